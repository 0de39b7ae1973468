import { describe, expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { compareUtf8 } from "../../core/utf8-order.ts";
import type { ListedRow, ObjectCursor } from "../../storage/store.ts";
import { keyText, objectNames } from "./object-names.ts";
import { type ListSource, listPage, type PageWish, walkPage } from "./page.ts";

type Counted = ListSource<string> & { rowsRead: number; closed: number };

/** Sorted names with the moves of a cursor; counts what it reads. */
function sourceOf(names: readonly string[]): Counted {
  const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  let from = 0;
  const firstAt = (accept: (name: string) => boolean): number => {
    const index = sorted.findIndex(accept);
    return index < 0 ? sorted.length : index;
  };
  const source: Counted = {
    rowsRead: 0,
    closed: 0,
    next() {
      const name = sorted[from];
      if (name !== undefined) {
        from++;
        source.rowsRead++;
      }
      return name;
    },
    seek(text) {
      from = firstAt((name) => Buffer.compare(Buffer.from(name), Buffer.from(text)) >= 0);
    },
    seekPast(prefix) {
      const bytes = Buffer.from(prefix);
      from = firstAt(
        (name) => Buffer.compare(Buffer.from(name), bytes) > 0 && !name.startsWith(prefix),
      );
    },
    seekAfter(text) {
      from = firstAt((name) => Buffer.compare(Buffer.from(name), Buffer.from(text)) > 0);
    },
    nameOf: (name) => name,
    close: () => {
      source.closed++;
    },
  };
  return source;
}

/** A source as a cursor of objects, whose keys lie in the middle of some memory. */
function cursorOf(source: Counted): ObjectCursor {
  const row = { key: Buffer.alloc(0), keyStart: 0, keyEnd: 0 };
  return {
    ...{ row: row as unknown as ListedRow, rowsRead: 0 },
    step() {
      const found = source.next();
      if (found === undefined) return false;
      row.key = Buffer.from(`//${found}//`);
      row.keyStart = 2;
      row.keyEnd = row.key.length - 2;
      return true;
    },
    next: () => undefined,
    seek: source.seek,
    seekAfter: source.seekAfter,
    seekPast: source.seekPast,
    close: source.close,
  };
}

/** The listing by its definition, over all names at once, compared as UTF-8 bytes. */
function naivePage(names: readonly string[], wish: PageWish): string[] {
  const shown = new Set<string>();
  for (const name of names) {
    if (!name.startsWith(wish.prefix)) continue;
    const at = wish.delimiter === "" ? -1 : name.indexOf(wish.delimiter, wish.prefix.length);
    shown.add(at < 0 ? `entry ${name}` : `prefix ${name.slice(0, at + wish.delimiter.length)}`);
  }
  const nameOf = (item: string) => Buffer.from(item.slice(item.indexOf(" ") + 1));
  return [...shown]
    .filter(
      (item) => wish.marker === "" || Buffer.compare(nameOf(item), Buffer.from(wish.marker)) > 0,
    )
    .sort((a, b) => Buffer.compare(nameOf(a), nameOf(b)));
}

const piece = fc.constantFrom(
  "a",
  "b",
  "/",
  "//",
  "é",
  "\uffee",
  "😀",
  "\u{10ffff}",
  "-",
  "\u0001",
);
const name = fc.array(piece, { minLength: 1, maxLength: 5 }).map((pieces) => pieces.join(""));
const maybe = fc.oneof(fc.constant(""), name);
const wishes = fc.record({
  prefix: maybe,
  delimiter: fc.constantFrom("", "/", "/", "a", "//", "😀"),
  marker: maybe,
  max: fc.integer({ min: 1, max: 6 }),
});

test("texts sort as their UTF-8 bytes do", () => {
  fc.assert(
    fc.property(name, name, (left, right) => {
      const bytes = Buffer.compare(Buffer.from(left), Buffer.from(right));
      expect(Math.sign(compareUtf8(left, right))).toBe(bytes);
    }),
  );
});

test("a page is what the naive listing begins with", () => {
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 40 }), wishes, (names, wish) => {
      const page = listPage(sourceOf(names), wish);
      const expected = naivePage(names, wish);
      const shown = page.items.map((item) => `${item.kind} ${item.name}`);
      expect(shown).toEqual(expected.slice(0, wish.max));
      expect(page.truncated).toBe(expected.length > wish.max);
    }),
    { numRuns: 500 },
  );
});

test("keys compared as bytes give the page that names compared as texts give", () => {
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 40 }), wishes, (names, wish) => {
      const shown: string[] = [];
      const cursor = cursorOf(sourceOf(names));
      const truncated = walkPage(objectNames(cursor, wish), wish, {
        entry: () => shown.push(`entry ${keyText(cursor.row)}`),
        prefix: (folded) => shown.push(`prefix ${folded}`),
      });
      const page = listPage(sourceOf(names), wish);
      expect(shown).toEqual(page.items.map((item) => `${item.kind} ${item.name}`));
      expect(truncated).toBe(page.truncated);
    }),
    { numRuns: 500 },
  );
});

test("pages joined by their last item show everything once", () => {
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 40 }), wishes, (names, wish) => {
      const shown: string[] = [];
      let marker = wish.marker;
      for (let pages = 0; pages <= names.length; pages++) {
        const page = listPage(sourceOf(names), { ...wish, marker });
        for (const item of page.items) shown.push(`${item.kind} ${item.name}`);
        if (!page.truncated) break;
        marker = page.items.at(-1)?.name ?? "nothing";
      }
      expect(shown).toEqual(naivePage(names, wish));
    }),
    { numRuns: 500 },
  );
});

describe("cost", () => {
  const names = Array.from({ length: 5000 }, (_, index) => `${index % 5}/${index}`);

  test("folding reads one row a common prefix, whatever lies below it", () => {
    const source = sourceOf(names);
    const wish = { prefix: "", delimiter: "/", marker: "", max: 1000 };
    expect(listPage(source, wish).items.map((item) => item.name)).toEqual([
      "0/",
      "1/",
      "2/",
      "3/",
      "4/",
    ]);
    expect(source.rowsRead).toBe(5);
  });

  test("a page reads one row more than it shows", () => {
    const source = sourceOf(names);
    listPage(source, { prefix: "", delimiter: "", marker: "", max: 10 });
    expect(source.rowsRead).toBe(11);
  });

  test("a page of nothing reads nothing and is not truncated", () => {
    const source = sourceOf(names);
    expect(listPage(source, { prefix: "", delimiter: "", marker: "", max: 0 })).toEqual({
      items: [],
      truncated: false,
    });
    expect(source.rowsRead).toBe(0);
  });
});

test.each([0, 1, 1000])("a page of %i lets go of its walk, once", (max) => {
  const source = sourceOf(["a", "b/1", "b/2"]);
  listPage(source, { prefix: "", delimiter: "/", marker: "", max });
  expect(source.closed).toBe(1);
});

test("a walk that fails is let go of too", () => {
  let closed = 0;
  const failing = {
    ...sourceOf(["a"]),
    next: () => {
      throw new Error("the disk");
    },
    close: () => {
      closed++;
    },
  };
  const wish = { prefix: "", delimiter: "", marker: "", max: 1 };
  expect(() => listPage(failing, wish)).toThrow("the disk");
  expect(closed).toBe(1);
});

test.each([
  ["k".repeat(1024), "listed"],
  ["é".repeat(512), "listed"],
  ["k".repeat(1025), "KeyTooLongError"],
  ["é".repeat(513), "KeyTooLongError"],
  ["k".repeat(30_000), "KeyTooLongError"],
])("a prefix or marker longer than any key is refused", (bound, expected) => {
  for (const wish of [{ prefix: bound }, { marker: bound }]) {
    const source = sourceOf(["a"]);
    let outcome = "listed";
    try {
      listPage(source, { ...{ prefix: "", delimiter: "", marker: "", max: 10 }, ...wish });
    } catch (failure) {
      outcome = (failure as { code?: string }).code ?? String(failure);
    }
    expect([outcome, source.closed]).toEqual([expected, 1]);
  }
});

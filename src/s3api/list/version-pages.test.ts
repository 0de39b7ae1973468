import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { parseObjectKey, parseVersionId } from "../../core/names.ts";
import { compareUtf8 } from "../../core/utf8-order.ts";
import type { ListedVersion, VersionCursor } from "../../storage/store.ts";
import type { VersionRef } from "../headers/version-ref.ts";
import { listPage, type PageItem } from "./page.ts";
import { versionSource } from "./sources.ts";

function marker(keyText: string, age: number, isLatest: boolean): ListedVersion {
  const key = parseObjectKey(keyText);
  const version = parseVersionId((0xffff - age).toString(16).padStart(32, "0"));
  if (key === undefined || version === undefined) throw new Error("no key or no version");
  return { key, isLatest, shown: { kind: "delete-marker", version, deletedMs: 0 } };
}

/** The rows of a bucket: so many versions of each key, newest first. */
function rowsOf(counts: ReadonlyMap<string, number>): ListedVersion[] {
  const keys = [...counts.keys()].sort(compareUtf8);
  return keys.flatMap((key) =>
    Array.from({ length: counts.get(key) ?? 0 }, (_, age) => marker(key, age, age === 0)),
  );
}

/** A cursor over rows in memory, which counts the rows it reads as the real one does. */
function cursorOver(rows: readonly ListedVersion[]): VersionCursor<ListedVersion> {
  let at = 0;
  let rowsRead = 0;
  const skipTo = (isPast: (row: ListedVersion) => boolean): void => {
    at = rows.findIndex(isPast);
    if (at < 0) at = rows.length;
  };
  return {
    next() {
      const row = rows[at];
      if (row === undefined) return undefined;
      at += 1;
      rowsRead += 1;
      return row;
    },
    seek: (from) => skipTo((row) => compareUtf8(row.key, from) >= 0),
    seekPast: (prefix) =>
      skipTo((row) => compareUtf8(row.key, prefix) > 0 && !row.key.startsWith(prefix)),
    seekAfter(key, version) {
      const rank = rows.findIndex((row) => row.key === key && row.shown.version === version);
      if (version === undefined || rank < 0) skipTo((row) => compareUtf8(row.key, key) > 0);
      else at = rank + 1;
    },
    get rowsRead() {
      return rowsRead;
    },
    close: () => undefined,
  };
}

type Item = PageItem<ListedVersion>;
type Wish = { readonly prefix: string; readonly delimiter: string };

/** What all pages together must show: folded by hand, without any seeking. */
function expected(rows: readonly ListedVersion[], { prefix, delimiter }: Wish): string[] {
  const shown: string[] = [];
  for (const { key, shown: row } of rows) {
    if (!key.startsWith(prefix)) continue;
    const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    const name = cut < 0 ? `${key} ${row.version}` : key.slice(0, cut + delimiter.length);
    if (shown.at(-1) !== name) shown.push(name);
  }
  return shown;
}

function nameOf(item: Item): string {
  return item.kind === "prefix" ? item.name : `${item.name} ${item.entry.shown.version}`;
}

/** Walks pages as a client does, by the markers of the last item shown. */
function walk(rows: readonly ListedVersion[], wish: Wish & { readonly max: number }): string[] {
  const shown: string[] = [];
  let keyMarker = "";
  let versionMarker: VersionRef | undefined;
  for (let pages = 0; pages <= rows.length + 1; pages++) {
    const source = versionSource(cursorOver(rows), versionMarker);
    const page = listPage(source, { ...wish, marker: keyMarker });
    expect(page.items.length).toBeLessThanOrEqual(wish.max);
    shown.push(...page.items.map(nameOf));
    const last = page.items.at(-1);
    if (!page.truncated || last === undefined) return shown;
    keyMarker = last.name;
    versionMarker = last.kind === "entry" ? last.entry.shown.version : undefined;
  }
  throw new Error("the pages never end");
}

const KEYS = ["a", "a/", "a/1", "a/2", "a/b/c", "a0", "b", "b//x", "ä", "𝄞", "\u{ffff}z"];

test("pages of any size, put together, are the whole listing", () => {
  const counts = fc.dictionary(fc.constantFrom(...KEYS), fc.integer({ min: 1, max: 5 }));
  const wish = fc.record({
    prefix: fc.constantFrom("", "a", "a/", "b/", "zz"),
    delimiter: fc.constantFrom("", "/", "//"),
    max: fc.integer({ min: 1, max: 7 }),
  });
  fc.assert(
    fc.property(counts, wish, (given, asked) => {
      const rows = rowsOf(new Map(Object.entries(given)));
      expect(walk(rows, asked)).toEqual(expected(rows, asked));
    }),
  );
});

test("a key marker alone passes every version of that key", () => {
  const rows = rowsOf(
    new Map([
      ["a", 3],
      ["b", 2],
    ]),
  );
  const page = listPage(versionSource(cursorOver(rows), undefined), {
    ...{ prefix: "", delimiter: "", marker: "a", max: 10 },
  });
  expect(page.items.map(({ name }) => name)).toEqual(["b", "b"]);
});

test("a common prefix costs one row, however many versions lie under it", () => {
  const rows = rowsOf(
    new Map([
      ["a/1", 1000],
      ["a/2", 1000],
      ["b", 2],
    ]),
  );
  const cursor = cursorOver(rows);
  const page = listPage(versionSource(cursor, undefined), {
    ...{ prefix: "", delimiter: "/", marker: "", max: 10 },
  });
  expect(page.items.map(({ name }) => name)).toEqual(["a/", "b", "b"]);
  expect(cursor.rowsRead).toBeLessThanOrEqual(3);
});

import { expect, test } from "vitest";
import { type ObjectKey, parseObjectKey } from "../../core/names.ts";
import type { ListedObject, ObjectCursor } from "../../storage/store.ts";
import { listPage } from "./page.ts";
import { objectSource } from "./sources.ts";

function keyOf(text: string): ObjectKey {
  const key = parseObjectKey(text);
  if (key === undefined) throw new Error(`${text} is no key`);
  return key;
}

const listing: ListedObject["listing"] = {
  size: 1,
  etag: "e",
  lastModifiedMs: 1,
  storageClass: undefined,
  checksumAlgorithms: [],
  checksumType: undefined,
};

/** A cursor over ASCII keys, in the order given. */
function cursorOf(keys: readonly string[]): ObjectCursor {
  let at = 0;
  let rowsRead = 0;
  const find = (accept: (key: string) => boolean): number => {
    const index = keys.findIndex(accept);
    return index < 0 ? keys.length : index;
  };
  return {
    get rowsRead() {
      return rowsRead;
    },
    next() {
      const key = keys[at++];
      if (key === undefined) return undefined;
      rowsRead++;
      return { key: keyOf(key), listing };
    },
    seek: (from) => {
      at = find((key) => key >= from);
    },
    seekPast: (prefix) => {
      at = find((key) => key > prefix && !key.startsWith(prefix));
    },
    close: () => {
      at = keys.length;
    },
  };
}

function names(marker: string, keys: readonly string[]): string[] {
  const wish = { prefix: "", delimiter: "/", marker, max: 10 };
  return listPage(objectSource(cursorOf(keys)), wish).items.map((item) => item.name);
}

test("a marker that is a key passes that key and no other", () => {
  const keys = ["a", "b", "c"];
  expect(names("b", keys)).toEqual(["c"]);
  expect(names("c", keys)).toEqual([]);
});

test("a marker that is no key begins at the next one", () => {
  expect(names("aa", ["a", "b", "c"])).toEqual(["b", "c"]);
});

test("a marker that is a common prefix, or lies in one, passes all of it", () => {
  const keys = ["a/1", "a/2", "a0"];
  expect(names("a/", keys)).toEqual(["a0"]);
  expect(names("a/1", keys)).toEqual(["a0"]);
});

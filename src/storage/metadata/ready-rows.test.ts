import { expect, test } from "vitest";
import { hashPair } from "./known-keys.ts";
import { ReadyRows } from "./ready-rows.ts";

function put(rows: ReadyRows, key: string, value: string): boolean {
  const name = Buffer.from(key);
  const { first } = hashPair(name, 0, name.length);
  if (rows.isFull(name.length + value.length) || !rows.mayTake(first)) return false;
  const start = rows.reserve(first, name.length, value.length);
  rows.memory.write(key + value, start);
  return true;
}

function all(rows: ReadyRows): string[] {
  return [...rows.sorted()].map(({ key, value }) => `${key}=${value}`);
}

test("gives rows back by key and in order, without those that were removed", () => {
  const rows = new ReadyRows(4096);
  for (const key of ["b", "a", "d", "c"]) put(rows, key, `value of ${key}`);
  rows.remove(Buffer.from("d"));
  expect(rows.get(Buffer.from("c"))?.toString()).toBe("value of c");
  expect(rows.get(Buffer.from("d"))).toBeUndefined();
  expect(rows.get(Buffer.from("e"))).toBeUndefined();
  expect(all(rows)).toEqual(["a=value of a", "b=value of b", "c=value of c"]);
});

test("is full when its memory or its table is, and holds nothing once it is cleared", () => {
  const rows = new ReadyRows(4096);
  let count = 0;
  while (put(rows, `key ${count}`, "v")) count += 1;
  expect(count).toBe(Math.ceil(4096 / 88));
  rows.clear();
  expect(all(rows)).toEqual([]);
  expect(rows.get(Buffer.from("key 1"))).toBeUndefined();
  expect(put(rows, "large", "x".repeat(4091))).toBe(true);
  expect(put(rows, "y", "")).toBe(false);
});

test("takes no key that would make every look-up long", () => {
  const rows = new ReadyRows(64 * 1024);
  let taken = 0;
  while (rows.mayTake(7)) {
    rows.memory.write("k", rows.reserve(7, 1, 0));
    taken += 1;
  }
  expect(taken).toBe(64);
});

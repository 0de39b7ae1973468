import { expect, test } from "vitest";
import { hashPair } from "./known-keys.ts";
import { ReadyRows, type Side } from "./ready-rows.ts";

function put(rows: ReadyRows, key: string, value: string): boolean {
  const name = Buffer.from(key);
  const { first } = hashPair(name, 0, name.length);
  const slot = rows.slotFor(first);
  if (rows.isFull(name.length + value.length) || slot < 0) return false;
  const start = rows.reserve(slot, { nameBytes: name.length, valueBytes: value.length });
  rows.memory.write(key + value, start);
  return true;
}

function all(rows: ReadyRows): string[] {
  return [...rows.parts(2)].flat().map(({ key, value }) => `${key}=${value}`);
}

test("gives rows back by key and in order, without those that were removed", () => {
  const rows = new ReadyRows(4096);
  for (const key of ["ob", "oa", "od", "oc"]) put(rows, key, `value of ${key}`);
  rows.pass(Buffer.from("od"), "object");
  expect(rows.get(Buffer.from("oc"), "object")?.toString()).toBe("value of oc");
  expect(rows.get(Buffer.from("tc"), "tombstone")).toBe("removed");
  expect(rows.get(Buffer.from("od"), "object")).toBeUndefined();
  expect(rows.get(Buffer.from("oe"), "object")).toBeUndefined();
  expect(all(rows)).toEqual(["oa=value of oa", "ob=value of ob", "oc=value of oc"]);
});

test("a key has an object or a tombstone, and what lies below of the other goes", () => {
  const rows = new ReadyRows(4096);
  const fill = (key: string, side: Side, below?: Side): void => {
    const { first } = hashPair(Buffer.from(key), 0, key.length);
    const start = rows.reserve(
      rows.slotFor(first),
      { nameBytes: key.length, valueBytes: 1 },
      side,
      below,
    );
    rows.memory.write(`${key}1`, start);
  };
  const change = (key: string, side: Side, value: string): void => {
    const { first } = hashPair(Buffer.from(key), 0, key.length);
    const row = rows.find(first, Buffer.from(key), key.length);
    rows.memory.write(value, rows.replace(row, side, value.length));
    expect(rows.sideAt(row)).toBe(side);
  };
  fill("ob", "tombstone", "object");
  fill("oa", "object", "tombstone");
  fill("od", "tombstone");
  fill("oc", "object", "object");
  change("oc", "tombstone", "a longer one");
  change("od", "object", "2");
  expect(all(rows)).toEqual([
    ...["oa=1", "ob=undefined", "oc=undefined", "od=2"],
    ...["ta=undefined", "tb=1", "tc=a longer one"],
  ]);
  expect(rows.get(Buffer.from("tb"), "tombstone")?.toString()).toBe("1");
  expect(rows.get(Buffer.from("ob"), "object")).toBe("removed");
  rows.pass(Buffer.from("tb"), "tombstone");
  expect(rows.get(Buffer.from("tb"), "tombstone")).toBeUndefined();
  // Its other row still goes.
  expect(all(rows)).toEqual([
    ...["oa=1", "ob=undefined", "oc=undefined", "od=2"],
    ...["ta=undefined", "tc=a longer one"],
  ]);
});

test("is full when its memory or its table is, and holds nothing once it is cleared", () => {
  const rows = new ReadyRows(4096);
  let count = 0;
  while (put(rows, `okey ${count}`, "v")) count += 1;
  expect(count).toBe(Math.ceil(4096 / 88));
  rows.clear();
  expect(all(rows)).toEqual([]);
  expect(rows.get(Buffer.from("okey 1"), "object")).toBeUndefined();
  expect(put(rows, "large", "x".repeat(4091))).toBe(true);
  expect(put(rows, "y", "")).toBe(false);
});

test("takes no key that would make every look-up long", () => {
  const rows = new ReadyRows(64 * 1024);
  let taken = 0;
  while (rows.slotFor(7) >= 0) {
    rows.memory.write("k", rows.reserve(rows.slotFor(7), { nameBytes: 1, valueBytes: 0 }));
    taken += 1;
  }
  expect(taken).toBe(64);
});

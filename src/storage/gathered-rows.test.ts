import { expect, test } from "vitest";
import type { Kv } from "../ports/kv.ts";
import { GatheredRows } from "./gathered-rows.ts";
import { hashPair } from "./metadata/known-keys.ts";
import type { Side } from "./metadata/ready-rows.ts";

/** A store that takes what is written in a later turn. */
function slowKv(): Kv {
  const rows = new Map<string, Uint8Array>();
  const nameOf = (key: Uint8Array): string => Buffer.from(key).toString("hex");
  return {
    get: (key) => rows.get(nameOf(key)),
    range: () => [],
    write: async (mutations) => {
      await new Promise((resolve) => setImmediate(resolve));
      for (const { key, value } of mutations) {
        if (value === undefined) rows.delete(nameOf(key));
        else rows.set(nameOf(key), Uint8Array.from(value));
      }
    },
    sync: () => Promise.resolve(),
    backup: () => Promise.resolve(),
    sizeBytes: () => 0,
    count: () => rows.size,
    close: () => Promise.resolve(),
  };
}

test("a row is found while it is gathered, on its way into the store, and there", async () => {
  const kv = slowKv();
  const rows = new GatheredRows(kv, 0);
  const key = Buffer.from("o a row");
  const value = Buffer.from("its value");
  const found = (): string => Buffer.from(rows.get(key) ?? []).toString();
  const room = rows.roomFor(key.length + value.length);
  if (room === "flush") throw new Error("there is no room");
  const sizes = { nameBytes: key.length, valueBytes: value.length };
  const start = room.reserve(room.slotFor(hashPair(key, 0, key.length).first), sizes);
  room.memory.set(Buffer.concat([key, value]), start);
  expect(found()).toBe("its value");
  await rows.flush();
  expect(kv.get(key)).toBeUndefined();
  expect(found()).toBe("its value");
  await rows.write([]);
  expect(kv.get(key)).toBeDefined();
  expect(found()).toBe("its value");
  await rows.write([{ key, value: undefined }]);
  expect(found()).toBe("");
});

test("what a key has below the memory that is filled is found on its way and in the store", async () => {
  const rows = new GatheredRows(slowKv(), 0);
  const put = (name: Buffer, side: Side): void => {
    const { first } = hashPair(name, 0, name.length);
    const room = rows.roomFor(name.length + 1);
    if (room === "flush") throw new Error("there is no room");
    room.memory.write(
      `${name}!`,
      room.reserve(room.slotFor(first), { nameBytes: name.length, valueBytes: 1 }, side),
    );
  };
  const below = (name: Buffer): string | undefined => {
    const { first } = hashPair(name, 0, name.length);
    return rows.below(first, name, name.length, true)?.side;
  };
  const object = Buffer.from("o an object");
  const tombstone = Buffer.from("o none");
  put(object, "object");
  put(tombstone, "tombstone");
  expect(below(object)).toBeUndefined();
  await rows.flush();
  expect([object, tombstone].map(below)).toEqual(["object", "tombstone"]);
  await rows.write([]);
  expect([object, tombstone].map(below)).toEqual(["object", "tombstone"]);
  expect(tombstone.toString()).toBe("o none");
  expect(rows.get(Buffer.from("t none"))).toBeDefined();
});

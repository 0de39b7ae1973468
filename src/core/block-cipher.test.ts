import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import {
  blocksOf,
  derivePartKey,
  openBlock,
  PartSealer,
  PLAIN_BLOCK_BYTES,
  STORED_BLOCK_BYTES,
  storedBytesOf,
} from "./block-cipher.ts";

const DATA_KEY = new Uint8Array(32).fill(5);
const PREFIX = new Uint8Array(8).fill(7);
const sealer = (partNumber = 1, prefix = PREFIX) => new PartSealer(DATA_KEY, partNumber, prefix);

const plaintexts = fc.uint8Array({ maxLength: 600 });

test("any last block comes back as it was, and no longer than it is said to be", () => {
  fc.assert(
    fc.property(plaintexts, fc.nat(10_000), (plaintext, partNumber) => {
      const block = sealer(partNumber).seal(plaintext, true);
      expect(block.length).toBe(storedBytesOf(plaintext.length));
      const key = derivePartKey(DATA_KEY, partNumber);
      const opened = openBlock(key, { partNumber, index: 0, isLast: true }, block);
      expect(opened?.equals(plaintext)).toBe(true);
    }),
  );
});

test("a bit that is changed anywhere in a block leaves nothing of it", () => {
  const key = derivePartKey(DATA_KEY, 1);
  const place = { partNumber: 1, index: 0, isLast: true };
  fc.assert(
    fc.property(plaintexts, fc.nat(), (plaintext, at) => {
      const block = sealer().seal(plaintext, true);
      const bit = at % (block.length * 8);
      block[bit >> 3] = (block[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(openBlock(key, place, block)).toBeUndefined();
    }),
  );
});

test("a block is read in its own place only", () => {
  const whole = Buffer.alloc(PLAIN_BLOCK_BYTES, 1);
  const part = sealer();
  const first = part.seal(whole, false);
  const last = part.seal(Buffer.from("end"), true);
  const key = derivePartKey(DATA_KEY, 1);
  const at = (index: number, isLast: boolean, partNumber = 1) => ({ partNumber, index, isLast });
  expect(openBlock(key, at(0, false), first)?.equals(whole)).toBe(true);
  expect(openBlock(key, at(1, true), last)?.toString()).toBe("end");
  expect(openBlock(key, at(0, true), first)).toBeUndefined();
  expect(openBlock(key, at(1, false), first)).toBeUndefined();
  expect(openBlock(key, at(0, true), last)).toBeUndefined();
  expect(openBlock(key, at(1, false), last)).toBeUndefined();
  expect(openBlock(key, at(1, true, 2), last)).toBeUndefined();
  expect(openBlock(derivePartKey(DATA_KEY, 2), at(1, true), last)).toBeUndefined();
  expect(openBlock(key, at(1, true), last.subarray(0, 27))).toBeUndefined();
});

test("the same bytes sent again as the same part look different", () => {
  const again = sealer(1, new Uint8Array(8).fill(8)).seal(Buffer.from("same"), true);
  expect(sealer().seal(Buffer.from("same"), true).equals(again)).toBe(false);
});

test("sixteen full blocks are one slice, and an empty part is one block", () => {
  expect(sealer().seal(Buffer.alloc(PLAIN_BLOCK_BYTES), false).length).toBe(STORED_BLOCK_BYTES);
  expect(storedBytesOf(16 * PLAIN_BLOCK_BYTES)).toBe(1024 * 1024);
  expect(blocksOf(0)).toBe(1);
  expect(blocksOf(PLAIN_BLOCK_BYTES)).toBe(1);
  expect(blocksOf(PLAIN_BLOCK_BYTES + 1)).toBe(2);
  expect(storedBytesOf(0)).toBe(28);
});

import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { copyInto, Gathered } from "./bytes.ts";

const offset = fc.integer({ min: 0, max: 40 });
const input = fc.uint8Array({ maxLength: 300 });

test("bytes are copied from any address to any, of shared memory too, and nothing else changes", () => {
  fc.assert(
    fc.property(offset, offset, input, fc.boolean(), (from, to, bytes, isShared) => {
      const memory = isShared ? new SharedArrayBuffer(400) : new ArrayBuffer(400);
      const into = Buffer.from(memory).fill(0xee);
      const source = Buffer.concat([Buffer.alloc(from), bytes]).subarray(from);
      copyInto(into, to, source);
      const expected = Buffer.alloc(400, 0xee);
      expected.set(bytes, to);
      expect(into.equals(expected)).toBe(true);
    }),
  );
});

test("what does not fit is refused before anything is changed", () => {
  const into = Buffer.alloc(8);
  expect(() => copyInto(into, 5, Buffer.from("four"))).toThrow(RangeError);
  expect(() => copyInto(into, 9, Buffer.from("f"))).toThrow(RangeError);
  expect(into.equals(Buffer.alloc(8))).toBe(true);
});

test("what comes in pieces is taken as one, twice, and keeps none of the memory it came in", () => {
  fc.assert(
    fc.property(fc.array(input), fc.array(input), fc.nat(200), (first, second, expectedBytes) => {
      const gathered = new Gathered(expectedBytes);
      for (const pieces of [first, second]) {
        const expected = Buffer.concat(pieces);
        for (const piece of pieces) {
          const memory = Buffer.from(piece);
          gathered.push(memory);
          memory.fill(0xee);
        }
        expect(gathered.length).toBe(expected.length);
        expect(gathered.take().equals(expected)).toBe(true);
        expect(gathered.length).toBe(0);
      }
    }),
  );
});

test("what comes as long as was expected takes memory once, whatever the pieces are", () => {
  const gathered = new Gathered(1000);
  for (let piece = 0; piece < 10; piece++) gathered.push(Buffer.alloc(100, piece));
  const taken = gathered.take();
  expect([taken.length, taken.buffer.byteLength]).toEqual([1000, 1000]);
});

import { deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { ByteWriter, LayoutError } from "./bytes.ts";
import { packParts, unpackBytes } from "./packed-bytes.ts";

function packBytes(bytes: Uint8Array, compress: boolean): Buffer {
  return Buffer.concat(packParts(bytes, compress));
}

test("what was packed is unpacked the same, compressed or not", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 2000 }),
    fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.nat(100_000))
      .map(([seed, count]) => Buffer.alloc(count, seed)),
  );
  fc.assert(
    fc.property(bytes, fc.boolean(), (plain, compress) => {
      const unpacked = unpackBytes(packBytes(plain, compress), plain.length);
      expect(unpacked.equals(plain)).toBe(true);
    }),
  );
});

test("text shrinks, and what does not shrink grows by nine bytes a piece at most", () => {
  const text = Buffer.alloc(1024 * 1024, "the same words again and again; ");
  expect(packBytes(text, true).length).toBeLessThan(text.length / 20);
  const noise = Buffer.alloc(600_000);
  for (let at = 0, state = 1; at < noise.length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    noise[at] = state >>> 16;
  }
  expect(packBytes(noise, true).length).toBe(noise.length + 3 * 9);
});

test("a piece that inflates to more than it says is refused, not inflated", () => {
  const bomb = deflateRawSync(Buffer.alloc(50_000_000));
  const packed = new ByteWriter().u8(1).u32(1000).u32(bomb.length).bytes(bomb).finish();
  expect(() => unpackBytes(packed, 1_000_000)).toThrow(LayoutError);
});

test("more than the bound is refused, in one piece or in many", () => {
  const packed = packBytes(Buffer.alloc(300_000), true);
  expect(() => unpackBytes(packed, 299_999)).toThrow(LayoutError);
  expect(unpackBytes(packed, 300_000).length).toBe(300_000);
});

test("any bytes at all unpack or are refused as not fitting the layout", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        expect(unpackBytes(bytes, 10_000).length).toBeLessThanOrEqual(10_000);
      } catch (failure) {
        expect(failure).toBeInstanceOf(LayoutError);
      }
    }),
  );
});

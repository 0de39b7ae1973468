import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { crc32OfRange, crc32OfSmall } from "./crc32.ts";

test("the checksum of small inputs is the one zlib computes", () => {
  expect(crc32OfSmall(Buffer.from("123456789"))).toBe(0xcbf43926);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      expect(crc32OfSmall(bytes)).toBe(crc32(bytes));
    }),
  );
});

test("the checksum of a range takes nothing from beside it", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.nat(20),
      fc.nat(20),
      (bytes, before, behind) => {
        const all = Buffer.concat([Buffer.alloc(before, 1), bytes, Buffer.alloc(behind, 2)]);
        expect(crc32OfRange(all, before, before + bytes.length)).toBe(crc32(bytes));
      },
    ),
  );
});

import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { crc32OfSmall } from "./crc32.ts";

test("the checksum of small inputs is the one zlib computes", () => {
  expect(crc32OfSmall(Buffer.from("123456789"))).toBe(0xcbf43926);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      expect(crc32OfSmall(bytes)).toBe(crc32(bytes));
    }),
  );
});

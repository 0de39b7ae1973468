import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { type BucketQuota, decodeQuota } from "./bucket-quota.ts";
import { ByteWriter } from "./bytes.ts";
import { writeVarintField } from "./tagged-fields.ts";

/** The value as earlier programs wrote it. */
function encodeQuota({ bytesMax, objectsMax }: BucketQuota): Buffer {
  const writer = new ByteWriter();
  if (bytesMax !== undefined) writeVarintField(writer, 1, bytesMax);
  if (objectsMax !== undefined) writeVarintField(writer, 3, objectsMax);
  return writer.finish();
}

test("a quota is read as it was written, and has one encoding", () => {
  const limit = fc.option(fc.maxSafeNat(), { nil: undefined });
  fc.assert(
    fc.property(limit, limit, (bytesMax, objectsMax) => {
      fc.pre(bytesMax !== undefined || objectsMax !== undefined);
      const quota = { bytesMax, objectsMax };
      expect(decodeQuota(encodeQuota(quota))).toEqual(quota);
    }),
  );
  expect(encodeQuota({ bytesMax: 300, objectsMax: 2 }).toString("hex")).toBe("0102ac02030102");
});

test.each(["", "01", "0102ac", "030102010100", "05010a", "0101050300"])(
  "%s is no quota, and is not taken for one without limits",
  (hex) => {
    expect(() => decodeQuota(Buffer.from(hex, "hex"))).toThrow();
  },
);

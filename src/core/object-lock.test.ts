import { describe, expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { LayoutError } from "./bytes.ts";
import {
  type BucketLock,
  decodeBucketLock,
  encodeBucketLock,
  LOCK_MODES,
  RETENTION_COUNT_MAX,
  retainedUntilMs,
} from "./object-lock.ts";

const lock: fc.Arbitrary<BucketLock> = fc.record({
  defaultRetention: fc.option(
    fc.record({
      mode: fc.constantFrom(...LOCK_MODES),
      unit: fc.constantFrom("days" as const, "years" as const),
      count: fc.integer({ min: 1, max: RETENTION_COUNT_MAX.days }),
    }),
    { nil: undefined },
  ),
});

describe("the lock of a bucket", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(lock, (value) => {
        expect(decodeBucketLock(encodeBucketLock(value))).toEqual(value);
      }),
    );
  });

  test("has these bytes, for ever", () => {
    const defaultRetention = { mode: "COMPLIANCE", unit: "days", count: 200 } as const;
    expect(encodeBucketLock({ defaultRetention }).toString("hex")).toBe("0101020302c801");
    expect(encodeBucketLock({ defaultRetention: undefined })).toHaveLength(0);
  });

  test.each([
    ["a mode without a period", "010101"],
    ["a period without a mode", "030101"],
    ["days and years", "010101030101050101"],
    ["an unknown mode", "010103030101"],
    ["a field cut off", "0101010302c8"],
  ])("is refused with %s", (_what, hex) => {
    expect(() => decodeBucketLock(Buffer.from(hex, "hex"))).toThrow(LayoutError);
  });

  test("is refused with a critical field of a later release, and read with an optional one", () => {
    expect(() => decodeBucketLock(Buffer.from("010101030101" + "0701ff", "hex"))).toThrow(
      /unknown critical field 7/,
    );
    expect(decodeBucketLock(Buffer.from("010101030101" + "0601ff", "hex"))).toEqual({
      defaultRetention: { mode: "GOVERNANCE", unit: "days", count: 1 },
    });
  });

  test("bytes that make no sense throw and never hang or read beyond themselves", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
        let value: BucketLock;
        try {
          value = decodeBucketLock(bytes);
        } catch {
          return;
        }
        expect(decodeBucketLock(encodeBucketLock(value))).toEqual(value);
      }),
    );
  });
});

describe("a default retention", () => {
  const created = Date.parse("2024-02-29T10:20:30.456Z");
  test.each([
    ["days", 1, "2024-03-01T10:20:30.456Z"],
    ["days", 366, "2025-03-01T10:20:30.456Z"],
    ["years", 1, "2025-03-01T10:20:30.456Z"],
    ["years", 4, "2028-02-29T10:20:30.456Z"],
  ] as const)("of %s %i ends to the millisecond", (unit, count, until) => {
    const untilMs = retainedUntilMs({ mode: "GOVERNANCE", unit, count }, created);
    expect(new Date(untilMs).toISOString()).toBe(until);
  });
});

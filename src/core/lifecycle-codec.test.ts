import { describe, expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { LayoutError } from "./bytes.ts";
import {
  FILTER_FORMS,
  type Lifecycle,
  type LifecycleExpiration,
  type LifecycleRule,
  TRANSITION_SIZES,
} from "./lifecycle.ts";
import { decodeLifecycle, encodeLifecycle } from "./lifecycle-codec.ts";

const count = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
const text = fc.string({ unit: "grapheme", maxLength: 12 });
const rule: fc.Arbitrary<LifecycleRule> = fc.record({
  id: text,
  enabled: fc.boolean(),
  form: fc.constantFrom(...FILTER_FORMS),
  filter: fc.record({
    prefix: maybe(text),
    tags: fc.array(fc.tuple(text, text), { maxLength: 3 }),
    sizeGreaterThan: maybe(fc.maxSafeNat()),
    sizeLessThan: maybe(fc.maxSafeNat()),
  }),
  expiration: maybe(
    fc.oneof(
      fc.record({ kind: fc.constant("days" as const), days: count }),
      fc.record({ kind: fc.constant("date" as const), dateMs: fc.maxSafeNat() }),
      fc.record({ kind: fc.constant("markers" as const), remove: fc.boolean() }),
    ) as fc.Arbitrary<LifecycleExpiration>,
  ),
  noncurrent: maybe(fc.record({ days: count, keep: maybe(count) })),
  abortUploadDays: maybe(count),
});
const lifecycle: fc.Arbitrary<Lifecycle> = fc.record({
  rules: fc.array(rule, { minLength: 1, maxLength: 4 }),
  transitionSize: fc.constantFrom(...TRANSITION_SIZES),
});

describe("a lifecycle", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(lifecycle, (value) => {
        expect(decodeLifecycle(encodeLifecycle(value))).toEqual(value);
      }),
    );
  });

  test("has these bytes, for ever", () => {
    const value: Lifecycle = {
      rules: [
        {
          id: "r",
          enabled: true,
          form: "and",
          filter: { prefix: "p", tags: [["k", "v"]], sizeGreaterThan: 1, sizeLessThan: 300 },
          expiration: { kind: "days", days: 3 },
          noncurrent: { days: 4, keep: 5 },
          abortUploadDays: 6,
        },
      ],
      transitionSize: "all_storage_classes_128K",
    };
    expect(encodeLifecycle(value).toString("hex")).toBe(
      "01262501017203010105010307017009" +
        "04016b01760b01010d02ac020f0103150104170105190106" +
        "020101",
    );
  });

  test.each([
    ["no rules", "0100", /no rules/],
    ["a rule without an id", "010706030101050101", /id of a rule/],
    ["a rule of an unknown state", "010a09010172030103050101", /state that is not known/],
    ["two ways to expire", "01100f0101720301010501010f0101110101", /more than one way/],
    ["versions kept that are never removed", "010d0c010172030101050101170101", /never removes/],
  ])("is refused with %s", (_what, hex, why) => {
    const decode = () => decodeLifecycle(Buffer.from(hex, "hex"));
    expect(decode).toThrow(LayoutError);
    expect(decode).toThrow(why);
  });

  test("is refused with a critical field of a later release in a rule", () => {
    const hex = "010d0c0101720301010501011b0101";
    expect(() => decodeLifecycle(Buffer.from(hex, "hex"))).toThrow(/unknown critical field 27/);
  });

  test("bytes that make no sense throw and never hang", () => {
    fc.assert(
      fc.property(lifecycle, fc.nat(), fc.integer({ min: 0, max: 255 }), (value, at, byte) => {
        const bytes = encodeLifecycle(value);
        bytes[at % bytes.length] = byte;
        try {
          decodeLifecycle(bytes);
        } catch (failure) {
          expect(failure).toBeInstanceOf(Error);
        }
      }),
    );
  });
});

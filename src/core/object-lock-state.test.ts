import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { isLocked, mayRetain, type Retention, readRetention } from "./object-lock-state.ts";

const NOW_MS = 1_000;
const governance = (untilMs: number): Retention => ({ mode: "GOVERNANCE", untilMs });
const compliance = (untilMs: number): Retention => ({ mode: "COMPLIANCE", untilMs });

describe("a version", () => {
  test.each([
    [undefined, false, false, false],
    [undefined, true, true, true],
    [governance(1_001), false, true, false],
    [governance(1_000), false, false, false],
    [compliance(1_001), false, true, true],
    [compliance(1_000), false, false, false],
    [compliance(1_000), true, true, true],
    [compliance(Number.NaN), false, true, true],
  ])("with retention %j and hold %s is locked: %s, and with bypass: %s", (...row) => {
    const [retention, legalHold, locked, bypassed] = row;
    const lock = { retention, legalHold };
    expect(isLocked(lock, NOW_MS, false)).toBe(locked);
    expect(isLocked(lock, NOW_MS, true)).toBe(bypassed);
  });

  test("that was never locked is not", () => {
    expect(isLocked(undefined, NOW_MS, false)).toBe(false);
  });
});

test.each([
  ["none", undefined, governance(5), true, true],
  ["governance that has ended", governance(1_000), undefined, true, true],
  ["compliance that has ended", compliance(1_000), governance(2_000), true, true],
  ["governance, by a longer one", governance(2_000), governance(3_000), true, true],
  ["governance, by a shorter one", governance(2_000), governance(1_999), false, true],
  ["governance, by compliance", governance(2_000), compliance(3_000), false, true],
  ["governance, by nothing", governance(2_000), undefined, false, true],
  ["compliance, by a longer one", compliance(2_000), compliance(2_000), true, true],
  ["compliance, by a shorter one", compliance(2_000), compliance(1_999), false, false],
  ["compliance, by governance", compliance(2_000), governance(9_000), false, false],
  ["compliance, by nothing", compliance(2_000), undefined, false, false],
])("retention takes the place of %s: allowed as it should be", (...row) => {
  const [, before, after, allowed, bypassed] = row;
  expect(mayRetain(before, after, NOW_MS, false)).toBe(allowed);
  expect(mayRetain(before, after, NOW_MS, true)).toBe(bypassed);
});

test("a mode that nobody knows is not read as a weaker one", () => {
  const bytes = new ByteWriter().u8(3).varint(5).finish();
  expect(() => readRetention(new ByteReader(bytes))).toThrow("unknown mode");
});

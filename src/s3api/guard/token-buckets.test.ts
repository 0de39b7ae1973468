import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { TokenBuckets } from "./token-buckets.ts";

const SETTINGS = { burst: 3, refillMs: 3000, entriesMax: 2 };

test("a name is exhausted after its burst, and has a token again after its share of time", () => {
  const table = new TokenBuckets(SETTINGS);
  for (let round = 0; round < 3; round++) {
    expect(table.isExhausted("a", 0)).toBe(false);
    table.take("a", 0);
  }
  expect(table.isExhausted("a", 0)).toBe(true);
  expect(table.waitMs("a", 0)).toBe(1000);
  expect(table.isExhausted("a", 999)).toBe(true);
  expect(table.isExhausted("a", 1000)).toBe(false);
  expect(table.isExhausted("b", 0)).toBe(false);
});

test("a name whose bucket is full again is forgotten", () => {
  const table = new TokenBuckets(SETTINGS);
  table.take("a", 0);
  expect([table.size, table.isClean("a", 999)]).toEqual([1, false]);
  expect([table.isClean("a", 1000), table.size]).toEqual([true, 0]);
});

test("the table never grows: the name that was quiet longest goes", () => {
  const table = new TokenBuckets(SETTINGS);
  for (const name of ["a", "b", "a", "c"]) table.take(name, 0);
  expect(table.size).toBe(2);
  expect([table.isClean("a", 0), table.isClean("b", 0), table.isClean("c", 0)]).toEqual([
    false,
    true,
    false,
  ]);
});

test("a clock that is set back gives no tokens and takes none", () => {
  const table = new TokenBuckets(SETTINGS);
  for (let round = 0; round < 3; round++) table.take("a", 10_000);
  expect(table.isExhausted("a", 0)).toBe(true);
  expect(table.isExhausted("a", 1000)).toBe(false);
});

test("a burst of 0 counts nothing", () => {
  const table = new TokenBuckets({ ...SETTINGS, burst: 0 });
  table.take("a", 0);
  expect([table.size, table.isExhausted("a", 0)]).toEqual([0, false]);
});

test("over any time, no more is let through than the burst and its refill", () => {
  const steps = fc.array(fc.nat(500), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(steps, (waits) => {
      const table = new TokenBuckets(SETTINGS);
      let nowMs = 0;
      let passed = 0;
      for (const waitMs of waits) {
        nowMs += waitMs;
        if (table.isExhausted("a", nowMs)) continue;
        table.take("a", nowMs);
        passed++;
      }
      expect(passed).toBeLessThanOrEqual(3 + nowMs / 1000);
    }),
  );
});

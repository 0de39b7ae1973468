import { expect, test } from "vitest";
import { timeLeftMs } from "./time-left.ts";

const MIB = 1024 * 1024;

test("a site whose large objects come first is not said to need hours", () => {
  // 100 objects of 4 MiB, then 100,000 rows of 1 KiB: rows alone would say 10,000 s.
  const total = { rows: 100_100, bytes: 500 * MIB };
  const leftMs = timeLeftMs({
    ...{ total, rowsBefore: 0, since: { rows: 10, bytes: 40 * MIB }, elapsedMs: 1000 },
  });
  expect(leftMs).toBeGreaterThan(40_000);
  expect(leftMs).toBeLessThan(60_000);
});

test("rows without bodies are told by their number", () => {
  const gone = { total: { rows: 400, bytes: 0 }, rowsBefore: 100, elapsedMs: 3000 };
  expect(timeLeftMs({ ...gone, since: { rows: 100, bytes: 0 } })).toBe(6000);
});

test("what came before an interruption counts by the mean", () => {
  const total = { rows: 100, bytes: 100 * MIB };
  const gone = { total, rowsBefore: 50, since: { rows: 25, bytes: 25 * MIB }, elapsedMs: 2000 };
  expect(timeLeftMs(gone)).toBe(2000);
});

test("nothing is said before the first row, and nothing is left behind the last", () => {
  const gone = { total: { rows: 10, bytes: 10 }, rowsBefore: 0, elapsedMs: 1000 };
  expect(timeLeftMs({ ...gone, since: { rows: 0, bytes: 0 } })).toBeUndefined();
  expect(timeLeftMs({ ...gone, since: { rows: 10, bytes: 0 } })).toBe(0);
  expect(timeLeftMs({ ...gone, since: { rows: 12, bytes: 20 } })).toBe(0);
});

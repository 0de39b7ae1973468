import { expect, test } from "vitest";
import { WritePace } from "./write-pace.ts";

function noted(count: number, elapsedMs: number, pace = new WritePace()): WritePace {
  for (let at = 0; at < count; at++) pace.note(elapsedMs);
  return pace;
}

test("a disk is not believed to be fast before 32 writes have shown it", () => {
  expect(noted(31, 0.2).isFast).toBe(false);
  expect(noted(32, 0.2).isFast).toBe(true);
});

test("one slow write ends the belief until as many have been fast again", () => {
  const pace = noted(1000, 0.2);
  pace.note(1.5);
  expect(pace.isFast).toBe(false);
  expect(noted(31, 0.2, pace).isFast).toBe(false);
  expect(noted(1, 0.2, pace).isFast).toBe(true);
});

test("a disk on which every write takes milliseconds is never waited for", () => {
  expect(noted(10_000, 4).isFast).toBe(false);
});

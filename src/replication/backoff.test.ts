import { expect, test } from "vitest";
import { backoffMs } from "./backoff.ts";

const least = { bytes: (count: number) => new Uint8Array(count) };
const most = { bytes: (count: number) => new Uint8Array(count).fill(255) };

test("waits double from 200 ms to 30 s and are anything in between", () => {
  const longest = [1, 2, 3, 8, 9, 1000].map((failures) => backoffMs(most, failures));
  expect(longest).toEqual([200, 400, 800, 25_600, 30_000, 30_000]);
  expect(backoffMs(least, 1)).toBe(1);
  expect(backoffMs(least, 1000)).toBe(1);
});

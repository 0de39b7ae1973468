import { expect, test } from "vitest";
import { createHeap } from "./heap.ts";

test("garbage is given back when that is asked for", () => {
  const heap = createHeap();
  const before = heap.heldBytes();
  let garbage: Buffer[] | undefined = Array.from({ length: 64 }, () => Buffer.alloc(1024 * 1024));
  const taken = heap.heldBytes();
  expect(garbage.length).toBe(64);
  expect(taken - before).toBeGreaterThan(32 * 1024 * 1024);
  garbage = undefined;
  heap.giveBack();
  expect(taken - heap.heldBytes()).toBeGreaterThan(32 * 1024 * 1024);
});

test("says what the process has worked so far", () => {
  const heap = createHeap();
  const before = heap.workedMs();
  let turns = 0;
  for (; heap.workedMs() - before < 30 && turns < 1e9; turns++);
  expect(turns).toBeGreaterThan(0);
  expect(heap.workedMs() - before).toBeGreaterThanOrEqual(30);
});

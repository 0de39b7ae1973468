import { setImmediate } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { createHeap } from "./heap.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test("what is held can be told when no descriptor is left", () => {
  vi.spyOn(process, "memoryUsage").mockImplementation(() => {
    throw new Error("EMFILE: too many open files, uv_resident_set_memory");
  });
  expect(createHeap().heldBytes()).toBeGreaterThan(1024 * 1024);
});

test("garbage is given back when that is asked for", async () => {
  const heap = createHeap();
  // What other tests of this process have left would be given back with it.
  heap.giveBack();
  const before = heap.heldBytes();
  let garbage: Buffer[] | undefined = Array.from({ length: 64 }, () => Buffer.alloc(1024 * 1024));
  const taken = heap.heldBytes();
  expect(garbage.length).toBe(64);
  expect(taken - before).toBeGreaterThan(32 * 1024 * 1024);
  garbage = undefined;
  // The engine frees buffers on a thread of its own, behind the collection.
  for (let tries = 0; tries < 100 && heap.heldBytes() > taken - 32 * 1024 * 1024; tries++) {
    heap.giveBack();
    await setImmediate();
  }
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

import { expect, test } from "vitest";
import { SimClock } from "../../test/sim/sim-clock.ts";
import type { Heap } from "../ports/heap.ts";
import { giveBackWhenQuiet } from "./quiet.ts";

const MIB = 1024 * 1024;

class FakeHeap implements Heap {
  held = 0;
  share = 0;
  collections = 0;
  readonly #clock: SimClock;
  #worked = 0;
  #askedAtMs = 0;

  constructor(clock: SimClock) {
    this.#clock = clock;
  }

  heldBytes(): number {
    return this.held;
  }

  giveBack(): void {
    this.collections += 1;
    this.held = 60 * MIB;
  }

  workedMs(): number {
    const nowMs = this.#clock.monotonicMs();
    this.#worked += (nowMs - this.#askedAtMs) * this.share;
    this.#askedAtMs = nowMs;
    return this.#worked;
  }
}

test("memory is given back once after work has ended, and not while there is any", async () => {
  const clock = new SimClock();
  const heap = new FakeHeap(clock);
  const end = giveBackWhenQuiet(clock, heap, { rest: () => 0 });
  const pass = async (): Promise<number> => {
    await clock.advance(60_000);
    return heap.collections;
  };
  Object.assign(heap, { held: 200 * MIB, share: 0.3 });
  expect(await pass()).toBe(0);
  heap.share = 0.001;
  expect(await pass()).toBe(1);
  // So little is not worth standing still for.
  heap.held = 80 * MIB;
  expect(await pass()).toBe(1);
  heap.held = 93 * MIB;
  expect(await pass()).toBe(2);
  end();
  heap.held = 200 * MIB;
  expect(await pass()).toBe(2);
});

test("threads that are not needed are ended, and what they held is given back", async () => {
  const clock = new SimClock();
  const heap = new FakeHeap(clock);
  let threads = 2;
  const rest = (): number => {
    const ended = threads;
    threads = 0;
    return ended;
  };
  heap.share = 0.5;
  giveBackWhenQuiet(clock, heap, { rest });
  await clock.advance(40_000);
  expect({ threads, collections: heap.collections }).toEqual({ threads: 0, collections: 0 });
  heap.share = 0;
  await clock.advance(20_000);
  expect(heap.collections).toBe(1);
  await clock.advance(120_000);
  expect(heap.collections).toBe(1);
});

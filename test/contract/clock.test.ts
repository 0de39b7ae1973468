import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/ports/clock.ts";
import { systemClock } from "../../src/ports/system-clock.ts";
import { SimClock } from "../sim/sim-clock.ts";

type Fixture = {
  readonly clock: Clock;
  /** Lets at least that much time pass. */
  readonly pass: (ms: number) => Promise<void>;
};

function real(): Fixture {
  return {
    clock: systemClock,
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms + 2)),
  };
}

function simulated(): Fixture {
  const clock = new SimClock();
  return { clock, pass: (ms) => clock.advance(ms) };
}

describe.each([
  ["the system's clock", real],
  ["the simulated clock", simulated],
])("%s", (_name, open) => {
  test("gives whole Unix milliseconds of this century", () => {
    const { clock } = open();
    expect(Number.isInteger(clock.nowMs())).toBe(true);
    expect(new Date(clock.nowMs()).getUTCFullYear()).toBeGreaterThan(2020);
  });

  test("its monotonic time never goes back and follows real waiting", async () => {
    const { clock, pass } = open();
    const start = clock.monotonicMs();
    let last = start;
    for (let reading = 0; reading < 1000; reading++) {
      const next = clock.monotonicMs();
      expect(next).toBeGreaterThanOrEqual(last);
      last = next;
    }
    await pass(20);
    expect(clock.monotonicMs() - start).toBeGreaterThanOrEqual(20);
  });

  test("a sleep is never shorter than asked for", async () => {
    const { clock, pass } = open();
    for (const ms of [0, 1, 5, 10]) {
      const start = clock.monotonicMs();
      let slept = -1;
      const sleeping = clock.sleep(ms).then(() => {
        slept = clock.monotonicMs() - start;
      });
      await pass(ms);
      await sleeping;
      expect(slept).toBeGreaterThanOrEqual(ms);
    }
  });

  test("a sleep ends at once when its signal aborts, before or during it", async () => {
    const { clock } = open();
    await clock.sleep(1_000_000_000, AbortSignal.abort());
    const controller = new AbortController();
    const sleeping = clock.sleep(1_000_000_000, controller.signal);
    controller.abort();
    await sleeping;
  });

  test("waiting longer than a timer can count does not end at once", async () => {
    const { clock, pass } = open();
    let called = false;
    const cancel = clock.after(2 ** 31 + 5, () => {
      called = true;
    });
    await pass(10);
    expect(called).toBe(false);
    cancel();
  });

  test("a callback comes once, in time order, and not after it was taken back", async () => {
    const { clock, pass } = open();
    const calls: string[] = [];
    clock.after(12, () => calls.push("later"));
    clock.after(1, () => calls.push("sooner"));
    const cancel = clock.after(5, () => calls.push("taken back"));
    cancel();
    cancel();
    await pass(30);
    expect(calls).toEqual(["sooner", "later"]);
  });
});

describe("the simulated clock alone", () => {
  test("stands still by itself", async () => {
    const clock = new SimClock(1000);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([1000, 0]);
  });

  test("its wall clock drifts and jumps while timers follow the monotonic one", async () => {
    const clock = new SimClock(1000);
    let fired = 0;
    clock.after(100, () => {
      fired += 1;
    });
    clock.jump(-500);
    clock.setDrift(2);
    await clock.advance(99);
    expect([clock.nowMs(), clock.monotonicMs(), fired]).toEqual([698, 99, 0]);
    await clock.advance(1);
    expect([clock.nowMs(), fired, clock.pendingTimers]).toEqual([700, 1, 0]);
  });
});

import { describe, expect, test } from "vitest";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { parseDailyHours, rateAt } from "../core/bandwidth-plan.ts";
import { Bandwidth } from "./bandwidth.ts";

test("bytes flow at the rate that was set, in the long run and after a pause", async () => {
  const clock = new SimClock();
  const bandwidth = new Bandwidth(clock, 1000);
  const { signal } = new AbortController();
  let taken = 0;
  const take = async (): Promise<void> => {
    for (;;) {
      await bandwidth.ready(signal);
      bandwidth.spend(700);
      taken += 700;
    }
  };
  void take();
  await clock.advance(10_000);
  expect(taken).toBeGreaterThanOrEqual(10_000);
  expect(taken).toBeLessThanOrEqual(12_000);
});

test("without a rate nothing waits, and an aborted wait ends", async () => {
  const clock = new SimClock();
  const free = new Bandwidth(clock, undefined);
  free.spend(1e12);
  await free.ready(new AbortController().signal);
  expect(free.bytesAtOnce(5000)).toBe(5000);

  const tight = new Bandwidth(clock, 10);
  expect(tight.bytesAtOnce(5000)).toBe(10);
  tight.spend(10_000);
  const abort = new AbortController();
  const ready = tight.ready(abort.signal);
  abort.abort();
  await ready;
  expect(clock.pendingTimers).toBe(0);
});

describe("a rate that changes with the hour", () => {
  const NOON_MS = Date.parse("2026-11-21T12:00:00Z");
  const HOUR_MS = 3_600_000;
  const plan = [
    { bytesPerSecond: 1000, hours: parseDailyHours("08:00-18:00") },
    { bytesPerSecond: 10_000, hours: parseDailyHours("18:00-22:00") },
  ];

  test("holds from its minute on, for who waits as well", async () => {
    const clock = new SimClock(NOON_MS);
    const bandwidth = new Bandwidth(clock, (wallMs) => rateAt(plan, wallMs));
    const { signal } = new AbortController();
    let taken = 0;
    const take = async (): Promise<void> => {
      while (clock.nowMs() < NOON_MS + 9.5 * HOUR_MS) {
        await bandwidth.ready(signal);
        const bytes = bandwidth.bytesAtOnce(1_000_000);
        bandwidth.spend(bytes);
        taken += bytes;
      }
    };
    void take();
    await clock.advance(6 * HOUR_MS);
    const byDay = taken;
    expect(byDay / (6 * 3600)).toBeCloseTo(1000, -2);
    await clock.advance(HOUR_MS);
    expect((taken - byDay) / 3600).toBeCloseTo(10_000, -3);
  });

  test("does not ask for what was taken without a bound, and ends a long wait", async () => {
    const clock = new SimClock(NOON_MS + 19.9 * HOUR_MS);
    const bandwidth = new Bandwidth(clock, (wallMs) => rateAt(plan, wallMs));
    const { signal } = new AbortController();
    expect(bandwidth.bytesAtOnce(5e9)).toBe(5e9);
    bandwidth.spend(5e9);
    await clock.advance(0.1 * HOUR_MS);
    let isReady = false;
    void bandwidth.ready(signal).then(() => {
      isReady = true;
    });
    await clock.advance(1);
    expect(isReady).toBe(true);
    // So much would be owed until long after the bound is over.
    bandwidth.spend(1e9);
    isReady = false;
    void bandwidth.ready(signal).then(() => {
      isReady = true;
    });
    await clock.advance(10 * HOUR_MS - 60_000);
    expect(isReady).toBe(false);
    await clock.advance(4 * HOUR_MS + 120_000);
    expect(isReady).toBe(true);
  });
});

import { expect, test } from "vitest";
import { SimClock } from "../../test/sim/sim-clock.ts";
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

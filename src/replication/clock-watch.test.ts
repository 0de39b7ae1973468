import { expect, test } from "vitest";
import { createMemoryLog } from "../../test/sim/memory-log.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { ClockGuard } from "../storage/clock-guard.ts";
import { watchClock } from "./clock-watch.ts";

test("the clock is watched from the first peer on, every second, until that is ended", async () => {
  const clock = new SimClock();
  const guard = new ClockGuard({ clock, log: createMemoryLog() });
  let peers = 0;
  let skews: number[] = [];
  let looks = 0;
  let written = 0;
  const hasPeers = () => {
    looks += 1;
    return peers > 0;
  };
  const activity = () => written;
  const end = watchClock({ clock, guard, hasPeers, activity, skews: () => skews });
  clock.jump(60_000);
  await clock.advance(5000);
  expect(guard.state.kind).toBe("trusted");
  await clock.advance(60_000);
  const before = looks;
  await clock.advance(60_000);
  expect(looks).toBe(before);
  written = 1;
  // What was written is in the index a moment later only.
  await clock.advance(3000);
  peers = 1;
  await clock.advance(1000);
  clock.jump(60_000);
  await clock.advance(1000);
  expect(guard.state).toMatchObject({ kind: "jumped", witness: "monotonic" });
  guard.accept();
  peers = 0;
  skews = [-6000, -7000];
  await clock.advance(1000);
  expect(guard.state).toMatchObject({ kind: "jumped", witness: "peers", aheadMs: 6000 });
  end();
  expect(clock.pendingTimers).toBe(0);
});

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
  const hasPeers = () => peers > 0;
  const end = watchClock({ clock, guard, hasPeers, skews: () => skews });
  clock.jump(60_000);
  await clock.advance(5000);
  expect(guard.state.kind).toBe("trusted");
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

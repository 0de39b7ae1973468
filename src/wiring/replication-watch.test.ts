import { expect, test } from "vitest";
import { createMemoryLog } from "../../test/sim/memory-log.ts";
import { hlcFromMs } from "../core/hlc.ts";
import { parseOriginId, parseSeq, parseSiteId } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import type { Clock } from "../ports/clock.ts";
import { ClockGuard } from "../storage/clock-guard.ts";
import { openWatch } from "./replication-watch.ts";

const MINUTE_MS = 60_000;

/** A wall clock that can be set, and time that has not passed. */
function openClock() {
  const log = createMemoryLog();
  const wall = { ms: 1_700_000_000_000 };
  const clock = {
    nowMs: () => wall.ms,
    monotonicMs: () => 1000,
    after: () => () => undefined,
  } as unknown as Clock;
  const guard = new ClockGuard({ clock, log });
  guard.arm();
  type Parts = Parameters<typeof openWatch>[0];
  const site = { guard, store: {}, identity: {} } as unknown as Parts["site"];
  const ports = { clock, log } as unknown as Parts["ports"];
  const rest = { driftMsMax: 5000, peers: () => [], refused: () => new Map() };
  const unused = () => expect.unreachable("nothing is asked");
  const client = {} as Parts["client"];
  return { wall, guard, watch: openWatch({ ports, site, client, moved: unused, ...rest }) };
}

test("what is dated ahead of a clock that is not believed any more is held back until it is", () => {
  const { wall, guard, watch } = openClock();
  const origin = required(parseOriginId("a".repeat(16)), "origin");
  const dot = { origin, seq: required(parseSeq(1), "sequence") };
  wall.ms += 10 * MINUTE_MS;
  expect(guard.nowMs()).toBe(wall.ms - 10 * MINUTE_MS);
  const from = required(parseSiteId("b".repeat(16)), "site");
  watch.quarantine.refuse(dot, hlcFromMs(wall.ms - MINUTE_MS), from);
  expect(watch.quarantine.isHeld(origin)).toBe(true);
  guard.accept();
  expect(watch.quarantine.isHeld(origin)).toBe(false);
  watch.stop();
});

import { expect, test } from "vitest";
import { createMemoryLog } from "../../test/sim/memory-log.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { hlcFromMs } from "../core/hlc.ts";
import { parseOriginId, parseSeq, parseSiteId } from "../core/names.ts";
import { Quarantine } from "./quarantine.ts";

const [origin, other, seq, from] = [
  parseOriginId("a".repeat(16)),
  parseOriginId("b".repeat(16)),
  parseSeq(7),
  parseSiteId("1".repeat(16)),
];
if (origin === undefined || other === undefined || seq === undefined || from === undefined) {
  throw new Error("these are names");
}

const HOUR_MS = 3600 * 1000;

test("an origin from the future is held until its time has come, and told of once an hour", () => {
  const clock = new SimClock(1_000_000);
  const log = createMemoryLog();
  const quarantine = new Quarantine({ clock, log, driftMsMax: 5000 });
  expect(quarantine.isHeld(origin)).toBe(false);
  expect(quarantine.nextMs()).toBeUndefined();
  quarantine.refuse({ origin, seq }, hlcFromMs(clock.nowMs() + 60_000), from);
  quarantine.refuse({ origin, seq }, hlcFromMs(clock.nowMs() + 60_000), from);
  expect([quarantine.isHeld(origin), quarantine.isHeld(other)]).toEqual([true, false]);
  expect(quarantine.nextMs()).toBe(55_000);
  expect(log.lines.map(({ level }) => level)).toEqual(["error"]);
  clock.jump(54_000);
  expect(quarantine.list()).toMatchObject([{ origin, aheadMs: 6000, sinceMs: 1_000_000, from }]);
  clock.jump(1000);
  expect([quarantine.isHeld(origin), quarantine.list().length]).toEqual([false, 0]);
  // It goes on ahead of time, with each of its operations.
  quarantine.refuse({ origin, seq }, hlcFromMs(clock.nowMs() + 5001), from);
  expect(quarantine.isHeld(origin)).toBe(true);
  expect(log.lines).toHaveLength(1);
  clock.jump(HOUR_MS);
  expect(quarantine.isHeld(origin)).toBe(false);
  quarantine.refuse({ origin, seq }, hlcFromMs(clock.nowMs() + 5001), from);
  expect(log.lines).toHaveLength(2);
  expect(quarantine.refusals).toBe(4);
});

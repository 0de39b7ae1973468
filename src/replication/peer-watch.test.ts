import { beforeEach, expect, test } from "vitest";
import { createMemoryLog, type MemoryLog } from "../../test/sim/memory-log.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { parseSiteId } from "../core/names.ts";
import { PeerWatch } from "./peer-watch.ts";

const id = parseSiteId("1".repeat(16));
if (id === undefined) throw new Error("16 digits are a site");
const PARIS = { id, name: "paris" };
const NOTHING = { received: new Map(), applied: new Map(), holes: new Map() };

let clock: SimClock;
let log: MemoryLog;
let watch: PeerWatch;

beforeEach(() => {
  clock = new SimClock(1_000_000);
  log = createMemoryLog();
  watch = new PeerWatch({ clock, log });
});

test("a peer that was never heard is connecting, and nothing is known of it", () => {
  expect(watch.facts(PARIS.id)).toEqual({
    ...{ link: "connecting", applied: undefined, received: undefined, skewMs: undefined },
    ...{ heardMonotonicMs: undefined, lastError: undefined, holes: new Map() },
  });
});

test("the last word counts, and failures are kept with their time", async () => {
  watch.told(PARIS, { ...NOTHING, wallMs: clock.nowMs() });
  await clock.advance(10);
  watch.link(PARIS.id, "connected");
  watch.failed(PARIS.id, "x".repeat(600));
  const facts = watch.facts(PARIS.id);
  expect(facts).toMatchObject({ link: "connected", skewMs: 0, heardMonotonicMs: 0 });
  const trouble = { message: "x".repeat(500), atMs: 1_000_010 };
  expect(facts.lastError).toEqual({ ...trouble, overMs: undefined });
  await clock.advance(5);
  for (let times = 0; times < 2; times++) {
    watch.answeredWell(PARIS.id);
    await clock.advance(5);
  }
  expect(watch.facts(PARIS.id).lastError).toEqual({ ...trouble, overMs: 1_000_015 });
  watch.failed(PARIS.id, "again");
  expect(watch.facts(PARIS.id).lastError).toMatchObject({ message: "again", overMs: undefined });
  watch.forget(PARIS.id);
  expect(watch.facts(PARIS.id).lastError).toBeUndefined();
});

test("the message that travelled fastest tells the difference of the clocks", async () => {
  for (const lateMs of [900, 30, 2000]) {
    watch.told(PARIS, { ...NOTHING, wallMs: clock.nowMs() + 100 - lateMs });
    await clock.advance(1000);
  }
  expect(watch.facts(PARIS.id).skewMs).toBe(70);
  expect(watch.skews()).toEqual([70]);
  expect(log.lines).toEqual([]);
  await clock.advance(120_000);
  expect(watch.skews()).toEqual([]);
  for (const skews of [[], [], [-9000]]) {
    watch.told(PARIS, { ...NOTHING, wallMs: clock.nowMs() - 9000 });
    expect(watch.skews()).toEqual(skews);
  }
});

test("a clock that is ahead is warned of once, one that is behind when it is sure", async () => {
  watch.told(PARIS, { ...NOTHING, wallMs: clock.nowMs() + 251 });
  watch.told(PARIS, { ...NOTHING, wallMs: clock.nowMs() + 900 });
  expect(log.lines.map(({ level }) => level)).toEqual(["warn"]);
  await clock.advance(2 * 3600 * 1000);
  for (let message = 1; message <= 8; message++) {
    watch.told(PARIS, { ...NOTHING, wallMs: clock.nowMs() - 300 });
    expect(log.lines).toHaveLength(message === 8 ? 2 : 1);
    await clock.advance(100);
  }
});

import { beforeEach, describe, expect, test } from "vitest";
import { createMemoryLog, type MemoryLog } from "../../test/sim/memory-log.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { believedClock, ClockGuard } from "./clock-guard.ts";
import type { Store } from "./store.ts";
import { gateWrites } from "./write-gate.ts";
import { WriteHold } from "./write-hold.ts";

const START_MS = 1_700_000_000_000;
const MINUTE_MS = 60_000;

let clock: SimClock;
let log: MemoryLog;
let guard: ClockGuard;

beforeEach(() => {
  clock = new SimClock(START_MS);
  log = createMemoryLog();
  guard = new ClockGuard({ clock, log });
});

test("a site without peers takes its clock as it is", () => {
  clock.jump(10 * MINUTE_MS);
  expect(guard.nowMs()).toBe(START_MS + 10 * MINUTE_MS);
  guard.look([-9 * MINUTE_MS, -9 * MINUTE_MS]);
  expect([guard.refusal(), guard.state.kind, guard.accept()]).toEqual([
    undefined,
    "trusted",
    false,
  ]);
});

describe("a clock that jumps forward", () => {
  beforeEach(() => guard.arm());

  test("is not believed: time goes on as before, and writes wait until it is right", async () => {
    await clock.advance(1000);
    clock.jump(10 * MINUTE_MS);
    await clock.advance(500);
    expect(guard.nowMs()).toBe(START_MS + 1500);
    expect(guard.refusal()?.kind).toBe("clock");
    expect(guard.state).toMatchObject({ kind: "jumped", witness: "monotonic", aheadMs: 600_000 });
    guard.look([]);
    expect(log.lines.map(({ level }) => level)).toEqual(["error"]);
    clock.jump(-10 * MINUTE_MS);
    expect([guard.refusal(), guard.state.kind]).toEqual([undefined, "trusted"]);
    expect(guard.nowMs()).toBe(START_MS + 1500);
  });

  test("is believed or not by the drift that was set", async () => {
    const strict = new ClockGuard({ clock, log }, 1000);
    strict.arm();
    clock.jump(1500);
    expect([guard.state.kind, guard.refusal()]).toEqual(["trusted", undefined]);
    expect(strict.refusal()?.kind).toBe("clock");
    clock.jump(-1500);
    strict.look([-1500, -1500]);
    guard.look([-1500, -1500]);
    expect([strict.state.kind, guard.state.kind]).toEqual(["jumped", "trusted"]);
  });

  test("is believed when an operator says so", () => {
    clock.jump(MINUTE_MS);
    expect(guard.refusal()?.hint).toContain("atoll clock accept");
    expect(guard.accept()).toBe(true);
    expect([guard.refusal(), guard.nowMs()]).toEqual([undefined, START_MS + MINUTE_MS]);
    expect(guard.accept()).toBe(false);
  });

  test("may be corrected little by little, and backward at once", async () => {
    for (let second = 1; second <= 20; second++) {
      clock.jump(4000);
      await clock.advance(1000);
      guard.look([]);
    }
    expect([guard.refusal(), guard.nowMs()]).toEqual([undefined, START_MS + 20 * 5000]);
    clock.jump(-MINUTE_MS);
    guard.look([]);
    expect([guard.refusal(), guard.nowMs()]).toEqual([undefined, START_MS + 40_000]);
    clock.jump(5000);
    expect(guard.refusal()).toBeUndefined();
    clock.jump(1);
    expect(guard.refusal()?.kind).toBe("clock");
  });

  test("is seen by the peers too, when more than half of all sites say so", () => {
    const ahead = -MINUTE_MS;
    for (const skews of [[], [ahead], [ahead, 0], [ahead, 3], [ahead, ahead, 0, 0]]) {
      guard.look(skews);
      expect(guard.refusal()).toBeUndefined();
    }
    guard.look([ahead, ahead - 5, 0]);
    guard.look([ahead, ahead]);
    expect(guard.state).toMatchObject({ kind: "jumped", witness: "peers", aheadMs: MINUTE_MS });
    expect(guard.refusal()?.kind).toBe("clock");
    guard.look([-5000, 17]);
    expect(guard.refusal()).toBeUndefined();
  });

  test("is believed against the peers until they have agreed once", () => {
    const ahead = -MINUTE_MS;
    guard.look([ahead, ahead]);
    expect(guard.accept()).toBe(true);
    guard.look([ahead, ahead]);
    expect(guard.refusal()).toBeUndefined();
    guard.look([0, 0]);
    guard.look([ahead, ahead]);
    expect(guard.refusal()?.kind).toBe("clock");
  });
});

test("storage reads the time that is believed, and its timers are the machine's", async () => {
  const believed = believedClock(clock, guard);
  guard.arm();
  clock.jump(MINUTE_MS);
  expect([believed.nowMs(), believed.monotonicMs()]).toEqual([START_MS, 0]);
  let fired = 0;
  believed.after(10, () => fired++);
  believed.after(10, () => fired++)();
  const slept = believed.sleep(20);
  await clock.advance(20);
  await slept;
  expect([fired, believed.monotonicMs()]).toEqual([1, 20]);
});

test("writes of clients are turned away at the gate, reads are not", async () => {
  const asked: string[] = [];
  const answer = (name: string) => async () => void asked.push(name);
  const conflicts = { resolve: answer("resolve"), list: () => asked.push("list") };
  const store = {
    ...{ putObject: answer("put"), deleteObjects: answer("delete"), conflicts },
    resealAccessKey: answer("reseal"),
    ...{ expireVersions: answer("expire"), object: () => asked.push("read") },
  } as unknown as Store;
  guard.arm();
  const { conflicts: settling, ...others } = gateWrites(store, { guard, hold: new WriteHold() });
  const gated = others as unknown as Record<string, () => Promise<unknown>>;
  await gated["putObject"]?.();
  clock.jump(MINUTE_MS);
  for (const name of ["putObject", "deleteObjects", "expireVersions", "resealAccessKey"]) {
    await expect(gated[name]?.()).rejects.toMatchObject({ kind: "clock" });
  }
  await expect(settling.resolve({} as never, "restore")).rejects.toMatchObject({ kind: "clock" });
  gated["object"]?.();
  settling.list(undefined, undefined, 1);
  expect(asked).toEqual(["put", "read", "list"]);
});

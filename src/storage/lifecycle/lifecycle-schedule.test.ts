import { describe, expect, test } from "vitest";
import { SimClock } from "../../../test/sim/sim-clock.ts";
import { lifecycleRule, lifecycleValue } from "../../../test/support/lifecycle-rules.ts";
import { StorageFault } from "../../core/faults.ts";
import { LIFECYCLE_SETTING } from "../../core/lifecycle-codec.ts";
import type { Log } from "../../ports/log.ts";
import type { Store } from "../store.ts";
import { LifecycleSchedule } from "./lifecycle-schedule.ts";
import type { LifecycleStore } from "./lifecycle-step.ts";

const HOUR_MS = 3_600_000;
/** Ten in the morning, UTC. */
const MORNING = Date.parse("2026-01-15T10:00:00Z");
const RULE = lifecycleRule({ expiration: { kind: "days", days: 1 } });

/** As much of a store as a schedule needs; counts the walks over each bucket. */
function scheduleOf(...names: string[]) {
  const clock = new SimClock(MORNING);
  const walks: string[] = [];
  const warnings: unknown[] = [];
  const settings = new Map([[LIFECYCLE_SETTING, lifecycleValue(RULE)]]);
  const bucket = (name: string) => ({ name, settings });
  const store = {
    bucket,
    buckets: (after = "") => names.filter((name) => name > after).map(bucket),
    versions: (name: string) => {
      walks.push(name);
      if (name === "broken") throw new Error("it cannot be read");
      return { next: () => undefined, seek: () => undefined, close: () => undefined };
    },
  } as unknown as LifecycleStore & Pick<Store, "buckets">;
  const log = {
    info: () => undefined,
    warn: (fields: unknown) => warnings.push(fields),
  } as unknown as Log;
  const activity = (): number => Buffer.concat([...settings.values()]).reduce((a, b) => a + b, 0);
  const doubt: { fault: StorageFault | undefined } = { fault: undefined };
  const refusal = () => doubt.fault;
  const schedule = new LifecycleSchedule({ store, clock, log, activity, refusal });
  return { clock, walks, warnings, schedule, settings, doubt };
}

describe("the schedule of lifecycles", () => {
  test("looks soon after the start, and then once a day after midnight", async () => {
    const { clock, walks, schedule } = scheduleOf("photos");
    schedule.start();
    await clock.advance(HOUR_MS);
    expect(walks).toEqual(["photos"]);
    await clock.advance(12 * HOUR_MS);
    expect(walks).toEqual(["photos"]);
    // It was eleven in the evening, and is one in the morning now.
    await clock.advance(2 * HOUR_MS);
    expect(walks).toEqual(["photos", "photos"]);
    await clock.advance(24 * HOUR_MS);
    expect(walks).toHaveLength(3);
    await schedule.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  test("walks again within a minute when rules have changed", async () => {
    const { clock, walks, schedule, settings } = scheduleOf("photos");
    schedule.start();
    await clock.advance(HOUR_MS);
    settings.set(LIFECYCLE_SETTING, lifecycleValue({ ...RULE, id: "another" }));
    await clock.advance(60_000);
    expect(walks).toEqual(["photos", "photos"]);
    await schedule.stop();
  });

  test("looks at thousands of buckets page by page, and at each of them once", async () => {
    const names = Array.from({ length: 1203 }, (_, at) => `bucket-${1000 + at}`);
    const { clock, walks, schedule } = scheduleOf(...names);
    schedule.start();
    await clock.advance(5_000);
    expect(walks).toEqual([]);
    await clock.advance(60_000);
    expect(walks).toEqual(names);
    await schedule.stop();
  });

  test("goes on with the other buckets when one fails, and tries that one again", async () => {
    const { clock, walks, warnings, schedule } = scheduleOf("broken", "photos");
    schedule.start();
    await clock.advance(5_000);
    expect(walks).toEqual(["broken", "photos"]);
    expect(warnings).toEqual([{ failure: "it cannot be read" }]);
    await clock.advance(60_000);
    expect(walks).toEqual(["broken", "photos", "broken"]);
    await schedule.stop();
  });

  test("stands still while the clock is not believed, and goes on when it is", async () => {
    const { clock, walks, warnings, schedule, doubt } = scheduleOf("photos");
    doubt.fault = new StorageFault("clock", "this site's clock has jumped ahead");
    schedule.start();
    await clock.advance(72 * HOUR_MS);
    await expect(schedule.runNow(undefined)).rejects.toThrow("jumped ahead");
    expect(walks).toEqual([]);
    expect(warnings).toEqual([]);
    doubt.fault = undefined;
    await clock.advance(60_000);
    expect(walks).toEqual(["photos"]);
    await schedule.stop();
  });

  test("does nothing any more once it has been stopped", async () => {
    const { clock, walks, schedule } = scheduleOf("photos");
    schedule.start();
    await schedule.stop();
    await clock.advance(48 * HOUR_MS);
    expect(await schedule.runNow(undefined)).toMatchObject({ examined: 0 });
    expect(walks).toEqual([]);
  });

  test("tells failures to who asked for a run", async () => {
    const { schedule, walks } = scheduleOf("broken", "photos");
    await expect(schedule.runNow(undefined)).rejects.toThrow("it cannot be read");
    expect(walks).toEqual(["broken", "photos"]);
    expect(schedule.stats()).toMatchObject({ passes: 1, running: false });
  });
});

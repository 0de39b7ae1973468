import { afterEach, expect, test } from "vitest";
import { LIFECYCLE_SETTING } from "../../src/core/lifecycle-codec.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { handOverAll } from "../support/hand-over.ts";
import { lifecycleRule, lifecycleValue } from "../support/lifecycle-rules.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { takeOver } from "../support/row-link.ts";
import { BUCKETS, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const VERSIONED = BUCKETS[1] ?? bucketOf("versioned");
const KEY = keyOf("a");
const DAY_MS = 24 * 3600 * 1000;

/** Carries the lifecycle out, as it does at every site by itself. */
async function expire({ running, machine }: SimSite): Promise<void> {
  machine.clock.leap(3 * DAY_MS);
  expect(await running.site.lifecycle.runNow(VERSIONED)).toMatchObject({ expired: 1 });
}

function versionsOf({ store }: SimSite): string[] {
  const cursor = store.versions(VERSIONED);
  const kinds: string[] = [];
  for (let one = cursor.next(); one !== undefined; one = cursor.next()) kinds.push(one.kind);
  cursor.close();
  return kinds;
}

test.each([
  ["the one", (sites: readonly SimSite[]) => sites],
  ["the other", (sites: readonly SimSite[]) => sites.toReversed()],
])(
  "a version that two sites expired has one marker where %s takes the other's rows over",
  async (_who, order) => {
    const first = await SimSite.open("expiry first");
    const second = await SimSite.open("expiry second");
    await setUp(first);
    const value = lifecycleValue(lifecycleRule({ expiration: { kind: "days", days: 1 } }));
    await first.store.putBucketSetting({ bucket: VERSIONED, name: LIFECYCLE_SETTING, value });
    await put(first.store, 1, 0, Buffer.from("expires"));
    await takeOver(first, second);
    for (const site of [first, second]) await expire(site);
    const [from, to] = order([first, second]);
    if (from === undefined || to === undefined) throw new Error("no sites");
    await takeOver(from, to);
    await handOverAll(to, from);
    await handOverAll(from, to);
    for (const site of [from, to]) {
      expect(versionsOf(site)).toEqual(["delete-marker", "object"]);
      expect(dumpLogicalRows(site.store)).toEqual(dumpLogicalRows(from.store));
      expect(site.store.currentVersion(VERSIONED, KEY)?.kind).toBe("delete-marker");
      const kept = dumpRows(site.kv, site.hash);
      await site.restart(true);
      expect(dumpRows(site.kv, site.hash)).toEqual(kept);
    }
  },
);

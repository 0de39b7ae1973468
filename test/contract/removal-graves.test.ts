import { afterEach, expect, test } from "vitest";
import { parseOriginId, parseSiteId } from "../../src/core/names.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { keyOf } from "../sim/store-journal.ts";
import { PLAIN } from "../support/remote-sites.ts";
import { BUCKETS, put, removeVersion, setUp } from "../support/row-workload.ts";
import { uploadAndDelete } from "../support/short-lived.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const DAY_MS = 24 * 3600 * 1000;
const PEER = required(parseSiteId("00000000000000aa"), "site id");
const ORIGIN = required(parseOriginId("00000000000000bb"), "origin");

async function meet({ store }: SimSite): Promise<void> {
  await store.putSite({
    ...{ id: PEER, name: "paris", publicKey: "00".repeat(32), addresses: [], certificates: [] },
    ...{ origins: [ORIGIN], state: "active", featureLevel: 1, insecure: false },
  });
}

/** Everything is acknowledged and old, and the house is kept. */
async function age(site: SimSite): Promise<void> {
  for (let look = 0; look < 4; look++) {
    site.store.replica.acknowledge(PEER, site.store.replica.applied());
    site.machine.clock.leap(9 * DAY_MS);
    await site.store.keepHouse();
  }
}

/** Lets time pass over some starts, and makes the index anew; gives the rows of before. */
async function ageAndRebuild(site: SimSite): Promise<string[]> {
  for (let round = 0; round < 3; round++) {
    await site.restart();
    await put(site.store, 0, 2, Buffer.from(`round ${round}`));
    await age(site);
  }
  const kept = dumpRows(site.kv, site.hash);
  await site.restart(true);
  return kept;
}

test("the removal of a mark stays as long as any segment in which its object may be", async () => {
  const site = await SimSite.open("removal-graves");
  await site.store.createBucket({ name: PLAIN, owner: "o" });
  await uploadAndDelete(site, keyOf("up"));
  await site.store.deleteBucket(PLAIN);
  await site.restart();
  await setUp(site);
  await meet(site);
  await put(site.store, 0, 0, Buffer.from("deleted"));
  await put(site.store, 0, 1, Buffer.from("stays"));
  await site.restart();
  await site.store.deleteObject({ bucket: PLAIN, key: keyOf("a") });
  const kept = await ageAndRebuild(site);
  expect(site.store.object(PLAIN, keyOf("a"))).toBeUndefined();
  expect(dumpRows(site.kv, site.hash)).toEqual(kept);
});

test("a change of a removed version is gone with its mark, also where its segment stays", async () => {
  const site = await SimSite.open("removed-changes");
  await setUp(site);
  await meet(site);
  await site.restart();
  for (const at of [0, 1]) await put(site.store, at, 0, Buffer.from("deleted"));
  await site.restart();
  for (const bucket of BUCKETS.slice(0, 2)) {
    const change = { kind: "tags", tags: [["a", "tag"]] } as const;
    await site.store.changeObject({ bucket, key: keyOf("a"), change });
  }
  await put(site.store, 0, 1, Buffer.from("stays"));
  await site.restart();
  await site.store.deleteObject({ bucket: PLAIN, key: keyOf("a") });
  await removeVersion(site.store, { bucket: BUCKETS[1] ?? PLAIN, key: keyOf("a") });
  const kept = await ageAndRebuild(site);
  expect(dumpRows(site.kv, site.hash)).toEqual(kept);
});

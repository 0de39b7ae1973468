import { afterEach, expect, test } from "vitest";
import type { StoredObject } from "../../src/storage/store.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { entriesFor, fetchParked, handOverAll, whole } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { BUCKETS, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * A write that waits for its bytes keeps what its site wrote behind it from nobody: who sees that
 * and changes it has seen it, although its log is not applied up to there.
 */

afterEach(closeSimSites);

const VERSIONED = BUCKETS[1] ?? bucketOf("versioned");
const TEMPORARY = bucketOf("temporary");
const KEY = keyOf("a");

/** Two sites; what `write` does at the first comes behind a write that the second one parks. */
async function behindParked(
  name: string,
  write: (from: SimSite) => Promise<void>,
): Promise<[SimSite, SimSite]> {
  const from = await SimSite.open(`${name} from`);
  const to = await SimSite.open(`${name} to`);
  await setUp(from);
  await handOverAll(from, to);
  await put(from.store, 0, 0, Buffer.from("waits"));
  await write(from);
  const [first, ...rest] = await entriesFor(from, to);
  if (first === undefined) throw new Error("no operation");
  const state = { kind: "parked", reason: "it is on its way" } as const;
  await to.store.replica.ingest([{ ...first, inline: undefined, state }], []);
  for (const one of rest) {
    await to.store.replica.ingest([await whole(from.store.replica, to.store.replica, one)], []);
  }
  expect(to.store.replica.parked()).toHaveLength(1);
  return [from, to];
}

/** The newest version of the key, as a request names it. */
function nameOf({ store }: SimSite): Pick<StoredObject, "bucket" | "key" | "version"> {
  const object = store.object(VERSIONED, KEY);
  if (object === undefined) throw new Error("no object");
  return { bucket: VERSIONED, key: KEY, version: object.version };
}

async function hold(site: SimSite, on: boolean): Promise<void> {
  const done = await site.store.changeObject({
    ...nameOf(site),
    change: { kind: "legal-hold", on },
  });
  expect(done.outcome).toBe("changed");
}

async function expectSame(from: SimSite, to: SimSite): Promise<void> {
  await handOverAll(to, from);
  await fetchParked(from, to);
  expect(to.store.replica.parked()).toEqual([]);
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  const kept = dumpRows(to.kv, to.hash);
  await to.restart(true);
  expect(dumpRows(to.kv, to.hash)).toEqual(kept);
}

test("a bucket is deleted that was made behind a write which waits for its bytes", async () => {
  const [from, to] = await behindParked("bucket", async ({ store }) => {
    await store.createBucket({ name: TEMPORARY, owner: "o" });
  });
  expect(await to.store.deleteBucket(TEMPORARY)).toEqual({ outcome: "deleted" });
  expect(to.store.bucket(TEMPORARY)).toBeUndefined();
  await expectSame(from, to);
  expect(from.store.bucket(TEMPORARY)).toBeUndefined();
});

test("a hold is lifted that was put behind a write which waits for its bytes", async () => {
  const [from, to] = await behindParked("hold", async (site) => {
    await put(site.store, 1, 0, Buffer.from("held"));
    await hold(site, true);
  });
  await hold(to, false);
  expect(to.store.object(VERSIONED, KEY)?.record.lock?.legalHold).toBe(false);
  await expectSame(from, to);
  expect(from.store.object(VERSIONED, KEY)?.record.lock?.legalHold).toBe(false);
});

test("a version is deleted whose hold was lifted behind a write which waits for its bytes", async () => {
  const [from, to] = await behindParked("lifted", async (site) => {
    await put(site.store, 1, 0, Buffer.from("held"));
    await hold(site, true);
    await hold(site, false);
  });
  expect((await to.store.deleteObject(nameOf(to))).outcome).toBe("deleted");
  expect(to.store.object(VERSIONED, KEY)).toBeUndefined();
  await expectSame(from, to);
  expect(from.store.object(VERSIONED, KEY)).toBeUndefined();
});

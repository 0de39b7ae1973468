import { afterEach, describe, expect, test } from "vitest";
import type { StoredObject } from "../../src/storage/store.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { handOverAll } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { takeOver } from "../support/row-link.ts";
import { BUCKETS, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * A delete of a version and a lock that did not know of each other: the version stays, at every
 * site, also where one of the two came as a row.
 */

afterEach(closeSimSites);

const VERSIONED = BUCKETS[1] ?? bucketOf("versioned");
const KEY = keyOf("a");

type Name = Pick<StoredObject, "bucket" | "key" | "version">;

/** Two sites with a version, and one that has nothing yet. */
async function threeSites(
  name: string,
  body: Buffer,
): Promise<{ a: SimSite; b: SimSite; c: SimSite; version: Name }> {
  const a = await SimSite.open(`${name} a`);
  const b = await SimSite.open(`${name} b`);
  const c = await SimSite.open(`${name} c`);
  await setUp(a);
  await b.store.createBucket({ name: bucketOf("theirs"), owner: "o" });
  await handOverAll(b, a);
  await put(a.store, 1, 0, body);
  await handOverAll(a, b);
  const version = a.store.object(VERSIONED, KEY)?.version;
  if (version === undefined) throw new Error("no version");
  return { a, b, c, version: { bucket: VERSIONED, key: KEY, version } };
}

async function remove({ store }: SimSite, version: Name): Promise<void> {
  expect((await store.deleteObject(version)).outcome).toBe("deleted");
}

async function lock({ store }: SimSite, version: Name): Promise<void> {
  const change = { kind: "legal-hold", on: true } as const;
  expect((await store.changeObject({ ...version, change })).outcome).toBe("changed");
}

async function expectLocked(sites: readonly SimSite[], body: Buffer): Promise<void> {
  for (let round = 0; round < 2; round++) {
    for (const [at, site] of sites.entries()) {
      await handOverAll(site, sites[(at + 1) % sites.length] ?? site);
    }
  }
  const [first] = sites;
  for (const site of sites) {
    const object = site.store.object(VERSIONED, KEY);
    if (object === undefined) throw new Error("a locked version is gone");
    expect(object.record.lock?.legalHold).toBe(true);
    expect((await readBody(site.store, object, 0, body.length)).equals(body)).toBe(true);
    if (first !== undefined) {
      expect(dumpLogicalRows(site.store)).toEqual(dumpLogicalRows(first.store));
    }
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(true);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  }
}

describe.each([
  ["small", Buffer.from("precious")],
  ["large", Buffer.alloc(300_000, "precious")],
])("a %s version stays when it was deleted and locked at once", (size, body) => {
  test("and its delete came as a row to a site that had nothing", async () => {
    const { a, b, c, version } = await threeSites(`nothing ${size}`, body);
    await remove(a, version);
    await lock(b, version);
    await takeOver(a, c);
    expect(c.store.object(VERSIONED, KEY)).toBeUndefined();
    expect(dumpLogicalRows(c.store)).toEqual(dumpLogicalRows(a.store));
    await expectLocked([a, b, c], body);
  });

  test("and its delete came as a row to a site that had it", async () => {
    const { a, b, c, version } = await threeSites(`had it ${size}`, body);
    await takeOver(a, c);
    await remove(a, version);
    await lock(b, version);
    await takeOver(a, c);
    expect(c.store.object(VERSIONED, KEY)).toBeUndefined();
    await expectLocked([a, b, c], body);
  });

  test("and its delete came as a row to the site that had locked it", async () => {
    const { a, b, c, version } = await threeSites(`locked ${size}`, body);
    await takeOver(a, c);
    await remove(a, version);
    await lock(c, version);
    await takeOver(a, c);
    await expectLocked([a, b, c], body);
  });

  test("and the lock came as a row to the site that had deleted it", async () => {
    const { a, b, c, version } = await threeSites(`deleted ${size}`, body);
    await takeOver(a, c);
    await remove(c, version);
    await lock(a, version);
    await takeOver(a, c);
    await expectLocked([a, b, c], body);
  });
});

import { afterEach, expect, test } from "vitest";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const bucket = bucketOf("spool");
const BYTES = new Seed("marks").bytes(9000);
const ETAG = "0".repeat(32);
const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };
const HOUR_MS = 3_600_000;

async function openSite(name: string): Promise<SimSite> {
  const site = await SimSite.open(name);
  await site.store.createBucket({ name: bucket, owner: "o" });
  return site;
}

async function put({ store }: SimSite, name: string): Promise<void> {
  const object = { size: BYTES.length, etag: ETAG, attributes: PLAIN, checksums: [], parts: [] };
  const body = { kind: "inline", bytes: BYTES } as const;
  const record = { ...object, encryption: undefined };
  const done = await store.putObject({ bucket, key: keyOf(name), object: record, body });
  expect(done.outcome).toBe("stored");
}

function remove({ store }: SimSite, name: string) {
  return store.deleteObject({ bucket, key: keyOf(name) });
}

/** So many objects come and go, one after the other; where there are versions, for good. */
async function comeAndGo(site: SimSite, count: number): Promise<void> {
  const { store } = site;
  for (let number = 0; number < count; number++) {
    const name = { bucket, key: keyOf(`n${number}`) };
    await put(site, name.key);
    const { version } = store.object(bucket, name.key) ?? {};
    const isNull = store.currentVersion(bucket, name.key)?.isNull === true;
    await store.deleteObject(isNull || version === undefined ? name : { ...name, version });
  }
}

async function keepHouse({ store, machine }: SimSite): Promise<void> {
  for (let look = 0; look < 4; look++) {
    machine.clock.leap(HOUR_MS);
    await store.keepHouse();
    // A segment is sealed beside that.
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

function files({ machine, directory }: SimSite): Promise<string[]> {
  return machine.disk.list(`${directory}/segments`);
}

test.each([
  ["", undefined],
  [" and their versions", "enabled"],
] as const)("where small objects%s come and go, what they took is given back", async (_, state) => {
  const site = await openSite("spool");
  const value = state && versioningSetting(state);
  await site.store.putBucketSetting({ bucket, name: "versioning", value });
  await comeAndGo(site, 60);
  expect((await files(site)).length).toBeGreaterThan(8);
  await keepHouse(site);
  // That with the bucket, the one with the marks, and those that are open.
  expect((await files(site)).length).toBeLessThan(6);
  const rows = dumpRows(site.kv, site.hash);
  await site.restart(true);
  expect(dumpRows(site.kv, site.hash)).toEqual(rows);
});

test("a delete that was moved still stands against what lies before it in the log", async () => {
  const site = await openSite("ghost");
  await put(site, "ghost");
  // Holds the segment in which the ghost lies.
  await put(site, "stays");
  await keepHouse(site);
  await remove(site, "ghost");
  await comeAndGo(site, 20);
  const before = await files(site);
  await keepHouse(site);
  expect(before.filter((name) => name > "seg-0000000002").length).toBeGreaterThan(2);
  const rows = dumpRows(site.kv, site.hash);
  await site.restart(true);
  expect(site.store.object(bucket, keyOf("ghost"))).toBeUndefined();
  expect(site.store.object(bucket, keyOf("stays"))?.record.size).toBe(BYTES.length);
  expect(dumpRows(site.kv, site.hash)).toEqual(rows);
});

test("an object that is written again while its tombstone is moved stays", async () => {
  const site = await openSite("again");
  await comeAndGo(site, 20);
  site.machine.clock.leap(HOUR_MS);
  await site.store.keepHouse();
  const names = Array.from({ length: 20 }, (_, number) => `n${number}`);
  site.machine.clock.leap(HOUR_MS);
  await Promise.all([site.store.keepHouse(), ...names.map((name) => put(site, name))]);
  await keepHouse(site);
  for (const rebuild of [false, true]) {
    await site.restart(rebuild);
    for (const name of names) {
      expect(site.store.object(bucket, keyOf(name))?.record.size, name).toBe(BYTES.length);
    }
  }
});

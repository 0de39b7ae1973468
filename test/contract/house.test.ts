import { afterEach, expect, test } from "vitest";
import type { PutObjectRequest, StagedBody } from "../../src/storage/store.ts";
import { Seed } from "../sim/seed.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { memberRecord } from "../support/member-record.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * What housekeeping must not take away: it gives back space that no row rests on, and neither a
 * body that is still read nor one that nothing names yet shows in a row.
 */

afterEach(closeSimSites);

const bucket = bucketOf("photos");
const key = keyOf("cat.jpg");
const IDLE_MS = 11 * 60_000;
const BYTES = new Seed("house").bytes(3_000_000);
const OTHER = new Seed("other").bytes(3_000_000);

async function openSite(name: string): Promise<SimSite> {
  const site = await SimSite.open(name);
  await site.store.createBucket({ name: bucket, owner: "o" });
  return site;
}

async function stage({ store }: SimSite, bytes = BYTES): Promise<StagedBody> {
  const writer = await store.stageBody();
  await writer.write(bytes);
  return await writer.finish();
}

async function putStaged({ store }: SimSite, staged: StagedBody, name = key): Promise<void> {
  const attributes = { system: [], user: [], storageClass: undefined, tags: [] };
  const more = { attributes, checksums: [], parts: [], encryption: undefined };
  const object: PutObjectRequest["object"] = { size: BYTES.length, etag: "0".repeat(32), ...more };
  await store.putObject({ bucket, key: name, object, body: { kind: "staged", staged } });
}

/** Has every segment sealed, and looks for what can be dropped. Gives how many were. */
async function keepHouse({ store, machine }: SimSite): Promise<number> {
  let dropped = 0;
  for (let look = 0; look < 3; look++) {
    machine.clock.leap(IDLE_MS);
    dropped += (await store.keepHouse()).segmentsDropped;
    // A segment is sealed beside that.
    await turns(100);
  }
  return dropped;
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test("a body that is being read stays until its reader is closed, though it was deleted", async () => {
  const site = await openSite("read");
  const { store } = site;
  await putStaged(site, await stage(site));
  const object = store.object(bucket, key);
  if (object === undefined) throw new Error("the object has gone");
  await keepHouse(site);
  const reader = store.openBody(object, { start: 0, end: BYTES.length });
  const slices = [Buffer.from((await reader.next()) ?? [])];
  await store.deleteObject({ bucket, key });
  expect(await keepHouse(site)).toBe(0);
  for (let slice = await reader.next(); slice !== undefined; slice = await reader.next()) {
    slices.push(Buffer.from(slice));
  }
  reader.close();
  expect(Buffer.concat(slices).equals(BYTES)).toBe(true);
  expect(await keepHouse(site)).toBeGreaterThan(0);
});

test("whoever reads slowly holds up what is read, and nothing else", async () => {
  const site = await openSite("slow");
  const { store } = site;
  await putStaged(site, await stage(site, OTHER), keyOf("dog.jpg"));
  await keepHouse(site);
  await putStaged(site, await stage(site));
  await keepHouse(site);
  const object = store.object(bucket, key);
  if (object === undefined) throw new Error("the object has gone");
  const reader = store.openBody(object, { start: 0, end: BYTES.length });
  await reader.next();
  for (const name of [key, keyOf("dog.jpg")]) await store.deleteObject({ bucket, key: name });
  const before = store.stats().segments.deadBytes;
  expect(await keepHouse(site)).toBeGreaterThan(0);
  const between = store.stats().segments.deadBytes;
  expect(between).toBeLessThan(before - BYTES.length / 2);
  expect(between).toBeGreaterThan(BYTES.length / 2);
  reader.close();
  expect(await keepHouse(site)).toBeGreaterThan(0);
  expect(store.stats().segments.deadBytes).toBeLessThan(BYTES.length / 2);
});

/** A site that has given segments up of which the nth cannot be removed, once; and their files. */
async function openHalfDropped(name: string, nth: number) {
  const site = await openSite(name);
  const files = () => site.machine.disk.list(`${site.directory}/segments`);
  const names = [key, keyOf("dog.jpg")];
  for (const [at, one] of names.entries()) {
    await putStaged(site, await stage(site, at === 0 ? BYTES : OTHER), one);
    await keepHouse(site);
  }
  for (const one of names) await site.store.deleteObject({ bucket, key: one });
  let removed = 0;
  site.machine.disk.steps.failWhen(({ kind, path }) =>
    kind === "remove" && path.includes("/segments/") && removed++ === nth ? "EIO" : undefined,
  );
  await expect(keepHouse(site)).rejects.toMatchObject({ code: "EIO" });
  return { site, files };
}

test.each([0, 1])("what could not be removed once goes with the next look (%i)", async (nth) => {
  const { site, files } = await openHalfDropped("tried again", nth);
  const before = await files();
  expect(await keepHouse(site)).toBeGreaterThan(nth);
  const after = await files();
  expect(before.filter((name) => !after.includes(name))).not.toEqual([]);
  await site.restart(true);
  expect(site.store.object(bucket, key)).toBeUndefined();
});

test("what was given up and could not be removed goes at the next start", async () => {
  const { site, files } = await openHalfDropped("started again", 0);
  const before = await files();
  await site.restart();
  const after = await files();
  expect(before.filter((name) => !after.includes(name))).not.toEqual([]);
});

test("a body that nothing names yet stays until it is named, or given up", async () => {
  const site = await openSite("staged");
  const staged = await stage(site);
  await keepHouse(site);
  await putStaged(site, staged);
  const object = site.store.object(bucket, key);
  if (object === undefined) throw new Error("the object has gone");
  expect((await readBody(site.store, object, 0, BYTES.length)).equals(BYTES)).toBe(true);
  await site.store.deleteObject({ bucket, key });
  const other = await stage(site);
  await keepHouse(site);
  const before = site.store.stats().segments.deadBytes;
  other.discard();
  expect(await keepHouse(site)).toBeGreaterThan(0);
  expect(site.store.stats().segments.deadBytes).toBeLessThan(before - BYTES.length / 2);
});

test("on a disk that is full to the last byte housekeeping waits for space, and the server goes on", async () => {
  const site = await openSite("full");
  await putStaged(site, await stage(site));
  await site.store.deleteObject({ bucket, key });
  // What it is to be told is written down: a look at the house writes.
  await site.store.putSite(memberRecord("a"));
  const { disk, clock } = site.machine;
  disk.freeBytes = 0;
  clock.leap(60_000);
  await expect(site.store.keepHouse()).rejects.toThrow("the disk is full to the last byte");
  disk.freeBytes = 2 ** 30;
  expect(await keepHouse(site)).toBeGreaterThan(0);
  await putStaged(site, await stage(site, OTHER));
});

test("a full disk is given space back by housekeeping alone, in the room that was set aside for it", async () => {
  const site = await SimSite.open("set aside", {}, 4 * 1024 * 1024);
  await site.store.createBucket({ name: bucket, owner: "o" });
  await putStaged(site, await stage(site));
  // The file that sets the room aside is made.
  await site.store.keepHouse();
  await site.store.deleteObject({ bucket, key });
  site.machine.disk.freeBytes = 0;
  expect(await keepHouse(site)).toBeGreaterThan(0);
});

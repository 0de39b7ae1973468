import { afterEach, expect, test } from "vitest";
import { METADATA_FIRST, REPLICATE_SETTING } from "../../src/core/metadata-first.ts";
import { fetchBody } from "../../src/replication/body-fetch.ts";
import { BootstrapRun } from "../../src/replication/bootstrap.ts";
import { openArchive, writeArchive } from "../../src/replication/row-archive.ts";
import type { LogicalRows } from "../../src/storage/logical-rows.ts";
import { SECTIONS } from "../../src/storage/row-operations.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { contentsOf, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const PLAIN = bucketOf("plain");
const LARGE = new Seed("rows").bytes(4_500_000);
const NEVER = new AbortController().signal;
const BOX = "/srv/box";

async function siteWithRows(name: string): Promise<SimSite> {
  const site = await SimSite.open(name);
  await setUp(site);
  const setting = { bucket: PLAIN, name: REPLICATE_SETTING, value: METADATA_FIRST };
  await site.store.putBucketSetting(setting);
  await put(site.store, 0, 0, LARGE);
  await put(site.store, 0, 1, Buffer.from("small"));
  return site;
}

/** All rows of one site at another, before their bytes are there. */
async function takeRows(from: SimSite, to: SimSite): Promise<readonly unknown[]> {
  const rows = await incomingRows(from.store.rows);
  const step = { rows, removed: [], progress: undefined, rewrite: false };
  return (await to.store.rows.import(step)).refused;
}

async function incomingRows(rows: LogicalRows) {
  const { encodeLogicalRow } = await import("../../src/storage/row-operations.ts");
  const found = [];
  for (const row of rows.read({ from: "", to: undefined }, 1000).rows) {
    const isSite = row.position < SECTIONS.buckets;
    if (isSite) continue;
    const inline = row.stored === undefined ? undefined : await rows.inlineBody(row.stored);
    const copy = inline === undefined ? undefined : Buffer.from(inline);
    const base = { encoded: encodeLogicalRow(row), inline: copy, manifests: [] };
    found.push({ ...base, remote: true as const });
  }
  return found;
}

test("rows of a bucket that shows them first are taken over without their bytes", async () => {
  const from = await siteWithRows("remote rows from");
  const to = await SimSite.open("remote rows to");
  expect(await takeRows(from, to)).toEqual([]);
  expect(to.store.remote.sum()).toEqual({ manifests: 1, bytes: LARGE.length });
  expect(to.store.object(PLAIN, keyOf("a"))?.record.size).toBe(LARGE.length);
  const kept = dumpRows(to.kv, to.hash);
  await to.restart(true);
  expect(dumpRows(to.kv, to.hash)).toEqual(kept);
  // The same again changes nothing, and leaves nothing that nobody names.
  expect(await takeRows(from, to)).toEqual([]);
  expect(to.store.remote.sum().manifests).toBe(1);
  await to.store.deleteObject({ bucket: PLAIN, key: keyOf("a") });
  expect(to.store.remote.sum().manifests).toBe(0);
});

test("rows of other buckets are refused without their bytes", async () => {
  const from = await siteWithRows("remote rows refused from");
  await put(from.store, 2, 0, LARGE);
  const to = await SimSite.open("remote rows refused to");
  expect(await takeRows(from, to)).toMatchObject([{ why: "bytes" }]);
  expect(to.store.object(PLAIN, keyOf("a"))?.record.size).toBe(LARGE.length);
  expect(to.store.object(bucketOf("suspended"), keyOf("a"))).toBeUndefined();
});

test("a box brings along all bytes that it has, and says which it has not", async () => {
  const from = await siteWithRows("remote box from");
  const whole = await SimSite.open("remote box whole");
  expect(await boxed(from)).toMatchObject({ skipped: 0 });
  await unpack(from, whole);
  expect(whole.store.remote.sum().manifests).toBe(0);
  expect(await contentsOf(whole.store)).toEqual(await contentsOf(from.store));

  const half = await SimSite.open("remote box half");
  await takeRows(from, half);
  expect(await boxed(half)).toMatchObject({ skipped: 1 });
  const last = await SimSite.open("remote box last");
  await unpack(half, last);
  expect(last.store.remote.sum()).toEqual({ manifests: 1, bytes: LARGE.length });
  expect(dumpLogicalRows(last.store)).toEqual(dumpLogicalRows(half.store));
});

test("rows come with their bytes where this site has ended by a later word what the other one says", async () => {
  const from = await siteWithRows("remote word from");
  const to = await SimSite.open("remote word to");
  await setUp(to);
  to.machine.clock.leap(1000);
  const setting = { bucket: PLAIN, name: REPLICATE_SETTING, value: undefined };
  await to.store.putBucketSetting({ ...setting, value: METADATA_FIRST });
  await to.store.putBucketSetting(setting);
  expect(to.store.stats().hlc).toBeGreaterThan(from.store.stats().hlc);
  await boxed(from);
  await unpack(from, to, { isWhole: false });
  expect(to.store.remote.showsRowsFirst(PLAIN)).toBe(false);
  expect(await contentsOf(to.store)).toEqual(await contentsOf(from.store));
  expect(to.store.remote.sum().manifests).toBe(0);
});

async function boxed(site: SimSite): Promise<Awaited<ReturnType<typeof writeArchive>>> {
  const { identity } = site.running.site;
  const { replica, rows } = site.store;
  const deps = { disk: site.machine.disk, replica, rows, cluster: () => identity.clusterId };
  const about = { site: identity.siteId, start: rows.start };
  return await writeArchive({ ...deps, ...about }, BOX, NEVER);
}

/** Takes a box over; one that is not `isWhole` is taken for a peer, whose bytes may stay there. */
async function unpack(from: SimSite, to: SimSite, { isWhole } = { isWhole: true }): Promise<void> {
  const archive = await openArchive(from.machine.disk, BOX, from.running.site.identity.clusterId);
  const { replica, rows } = to.store;
  const source = { replica, hash: to.hash, sources: () => [archive.bodies] };
  const told = { lied: () => undefined, fetched: () => undefined, asked: () => undefined };
  const { hasBodies: _left, ...peer } = archive.rows;
  const run = new BootstrapRun(
    {
      ...{ rows, clock: to.clock, log: createMemoryLog() },
      own: () => to.running.site.identity.origin,
      fetch: (refs, first, signal) => fetchBody({ ...source, ...told }, refs, first, signal),
    },
    isWhole ? archive.rows : peer,
  );
  await run.run(NEVER);
}

import { afterEach, expect, test } from "vitest";
import { parseOriginId, parseSiteId } from "../../src/core/names.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { rowNameOf } from "../../src/storage/row-operations.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { keyOf } from "../sim/store-journal.ts";
import { dumpLogicalRows, takeAllRows } from "../support/logical-rows.ts";
import { PLAIN } from "../support/remote-sites.ts";
import { put, setUp } from "../support/row-workload.ts";
import { uploadAndDelete } from "../support/short-lived.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * Objects that come and go take no space for ever, although the bucket itself, in the first
 * segment, stays: what was removed long ago is said once more where it would keep a dead segment.
 */

afterEach(closeSimSites);

const DAY_MS = 24 * 3600 * 1000;
const PEER = required(parseSiteId("00000000000000aa"), "site id");
const ORIGIN = required(parseOriginId("00000000000000bb"), "origin");
const ATTRIBUTES = { system: [], user: [], storageClass: undefined, tags: [] };

async function putAndDelete({ store }: SimSite, name: string): Promise<void> {
  const at = { bucket: PLAIN, key: keyOf(name) };
  const bytes = Buffer.alloc(30_000, name);
  const record = { size: bytes.length, etag: "0".repeat(32), attributes: ATTRIBUTES };
  const object = { ...record, checksums: [], parts: [], encryption: undefined };
  const done = await store.putObject({ ...at, object, body: { kind: "inline", bytes } });
  expect(done.outcome).toBe("stored");
  await store.deleteObject(at);
}

async function segmentsOf({ machine, directory }: SimSite): Promise<readonly string[]> {
  return await machine.disk.list(`${directory}/segments`);
}

/** Days on which objects come and go; gives how many segments there were after each ten. */
async function live(site: SimSite, days: number): Promise<number[]> {
  const segments: number[] = [];
  for (let day = 0; day < days; day++) {
    for (let at = 0; at < 4; at++) await putAndDelete(site, `day ${day}, object ${at}`);
    await uploadAndDelete(site, keyOf(`upload ${day}`));
    site.store.replica.acknowledge(PEER, site.store.replica.applied());
    site.machine.clock.leap(DAY_MS);
    for (let look = 0; look < 3; look++) await site.store.keepHouse();
    if (day % 10 === 9) segments.push((await segmentsOf(site)).length);
  }
  return segments;
}

async function meet({ store }: SimSite): Promise<void> {
  await store.putSite({
    ...{ id: PEER, name: "paris", publicKey: "00".repeat(32), addresses: [], certificates: [] },
    ...{ origins: [ORIGIN], state: "active", featureLevel: 1, insecure: false },
  });
}

test.each([
  ["with a peer", meet],
  ["alone", () => Promise.resolve()],
])(
  "where objects come and go, segments are given back though removals were carried out in them (%s)",
  async (who, prepare) => {
    const site = await SimSite.open(`graveyards ${who}`);
    await setUp(site);
    await prepare(site);
    // They share the first segment with what stays, and are deleted in later ones.
    await putAndDelete(site, "old");
    await uploadAndDelete(site, keyOf("old upload"));
    const segments = await live(site, 50);
    expect(Math.max(...segments.slice(1))).toBeLessThanOrEqual((segments[1] ?? 0) + 2);
    for (let hour = 0; hour < 24 * 10; hour++) {
      site.machine.clock.leap(DAY_MS / 24);
      await site.store.keepHouse();
    }
    // A site at rest has said everything.
    const atRest = await segmentsOf(site);
    for (let hour = 0; hour < 5; hour++) {
      site.machine.clock.leap(DAY_MS / 24);
      await site.store.keepHouse();
    }
    expect(await segmentsOf(site)).toEqual(atRest);
    const said = dumpLogicalRows(site.store);
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(true);
    expect(dumpLogicalRows(site.store)).toEqual(said);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  },
);

test("what has come back since it was removed is not removed once more", async () => {
  const from = await SimSite.open("graveyards from");
  await setUp(from);
  for (let at = 0; at < 3; at++) await put(from.store, at, 0, Buffer.from(`comes back ${at}`));
  const to = await SimSite.open("graveyards to");
  await takeAllRows(from, to.store, 100);
  await to.restart();
  // The segment is worth giving back.
  await put(to.store, 0, 1, Buffer.alloc(100_000, "gone"));
  const { rows } = to.store.rows.read({ from: "D", to: undefined }, 100);
  const removed = rows.flatMap(({ operation }) => rowNameOf(operation) ?? []);
  await to.store.rows.import({ rows: [], removed, progress: undefined, rewrite: false });
  expect(removed).toHaveLength(4);
  expect(to.store.object(PLAIN, keyOf("a"))).toBeUndefined();
  await to.restart();
  await takeAllRows(from, to.store, 100);
  await to.restart();
  const before = await segmentsOf(to);
  for (let look = 0; look < 4; look++) {
    to.machine.clock.leap(DAY_MS);
    await to.store.keepHouse();
  }
  const after = await segmentsOf(to);
  expect(before.filter((name) => !after.includes(name))).not.toEqual([]);
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  const kept = dumpRows(to.kv, to.hash);
  await to.restart(true);
  expect(dumpRows(to.kv, to.hash)).toEqual(kept);
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
});

import { afterEach, expect, test } from "vitest";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import { parseAccessKeyId, parseVersionId } from "../../src/core/names.ts";
import type { ChangeObjectRequest, PutObjectRequest, Store } from "../../src/storage/store.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { carryRow, dumpLogicalRows, takeAllRows } from "../support/logical-rows.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * A store says what it holds as rows; whoever takes them over holds the same.
 */

const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };
const BUCKETS = ["plain", "versioned", "suspended"].map(bucketOf);
const KEYS = ["a", "a/b", "a b", "é\u{1f600}", "\uffee"].map(keyOf);

afterEach(closeSimSites);

function recordOf(size: number): PutObjectRequest["object"] {
  const etag = size.toString(16).padStart(32, "0");
  return { size, etag, attributes: PLAIN, checksums: [], parts: [], encryption: undefined };
}

async function put(store: Store, at: number, key: number, bytes: Buffer): Promise<void> {
  const name = { bucket: BUCKETS[at] ?? bucketOf("plain"), key: KEYS[key] ?? keyOf("a") };
  let body: PutObjectRequest["body"] = { kind: "inline", bytes };
  if (bytes.length > 128 * 1024) {
    const writer = await store.stageBody();
    await writer.write(bytes);
    body = { kind: "staged", staged: await writer.finish() };
  }
  const done = await store.putObject({ ...name, object: recordOf(bytes.length), body });
  // A legal hold that an earlier step has put on the null version forbids the write.
  expect(["stored", "locked"]).toContain(done.outcome);
}

async function setUp({ store }: SimSite): Promise<void> {
  for (const name of BUCKETS) await store.createBucket({ name, owner: "o" });
  for (const [at, state] of [
    [1, "enabled"],
    [2, "suspended"],
  ] as const) {
    const bucket = BUCKETS[at] ?? bucketOf("plain");
    await store.putBucketSetting({ bucket, name: "versioning", value: versioningSetting(state) });
  }
}

function changeOf(seed: Seed): ChangeObjectRequest["change"] {
  if (seed.chance(0.3)) return { kind: "legal-hold", on: seed.chance(0.5) };
  if (seed.chance(0.3)) {
    const retention = { mode: "GOVERNANCE" as const, untilMs: seed.int(1000) };
    return { kind: "retention", retention, bypassGovernance: true };
  }
  return { kind: "tags", tags: [["t", String(seed.int(100))]] };
}

/** Does something at random that leaves a trace in the rows. */
async function change({ store }: SimSite, seed: Seed): Promise<void> {
  const at = seed.int(BUCKETS.length);
  const key = seed.int(KEYS.length);
  const name = { bucket: BUCKETS[at] ?? bucketOf("plain"), key: KEYS[key] ?? keyOf("a") };
  const roll = seed.int(10);
  if (roll < 4) await put(store, at, key, seed.bytes(seed.chance(0.05) ? 200_000 : 300));
  else if (roll < 6) await store.deleteObject(name);
  else if (roll < 7) await removeVersion(store, name);
  else if (roll < 9) await store.changeObject({ ...name, change: changeOf(seed) });
  else {
    const setting = {
      name: `x${seed.int(3)}`,
      value: seed.chance(0.7) ? seed.bytes(5) : undefined,
    };
    await store.putBucketSetting({ bucket: name.bucket, ...setting });
  }
}

async function removeVersion(
  store: Store,
  name: Pick<PutObjectRequest, "bucket" | "key">,
): Promise<void> {
  const found = store.currentVersion(name.bucket, name.key);
  if (found === undefined) return;
  const version = found.isNull ? "null" : found.version;
  await store.deleteObject({ ...name, version, bypassGovernance: true });
}

async function fill(site: SimSite, seed: Seed, steps: number): Promise<void> {
  await setUp(site);
  const { store } = site;
  for (let step = 0; step < steps; step++) await change(site, seed);
  await store.createBucket({ name: bucketOf("gone"), owner: "o" });
  await store.deleteBucket(bucketOf("gone"));
  const id = parseAccessKeyId("AKIAEXAMPLE");
  if (id === undefined) throw new Error("no access key id");
  const key = { id, name: "k", sealedSecret: seed.bytes(9), policies: [], createdMs: 7 };
  await store.putAccessKey({ ...key, state: "active" });
}

/** Every object that a store shows, with its bytes. */
async function contentsOf(store: Store): Promise<string[]> {
  const shown: string[] = [];
  for (const bucket of BUCKETS) {
    const cursor = store.versions(bucket);
    const keys = new Set<string>();
    for (let next = cursor.next(); next !== undefined; next = cursor.next()) keys.add(next.key);
    cursor.close();
    for (const key of keys) {
      const object = store.object(bucket, keyOf(key));
      if (object === undefined) continue;
      const bytes = await readBody(store, object, 0, object.record.size);
      shown.push(`${bucket}/${key} ${object.version} ${bytes.toString("base64").slice(0, 400)}`);
    }
  }
  return shown;
}

test.each([1, 2, 3, 4])(
  "rows taken over in steps of any size, twice and across restarts, make the same store (%i)",
  async (number) => {
    const seed = new Seed(`logical-rows-${number}`);
    const from = await SimSite.open(`from-${number}`);
    await fill(from, seed, 120);
    const expected = dumpLogicalRows(from.store);
    expect(dumpLogicalRows(from.store, 1)).toEqual(expected);
    const to = await SimSite.open(`to-${number}`);
    await takeAllRows(from, to.store, 1 + seed.int(3));
    expect(dumpLogicalRows(to.store)).toEqual(expected);
    const usage = BUCKETS.map((bucket) => to.store.bucketUsage(bucket));
    expect(usage).toEqual(BUCKETS.map((bucket) => from.store.bucketUsage(bucket)));

    const bytes = to.store.stats().segments.liveBytes;
    await takeAllRows(from, to.store, 50);
    expect(to.store.stats().segments.liveBytes).toBe(bytes);
    expect(dumpLogicalRows(to.store)).toEqual(expected);
    await to.restart();
    const kept = dumpRows(to.kv, to.hash);
    await to.restart(true);
    expect(dumpRows(to.kv, to.hash)).toEqual(kept);
    expect(dumpLogicalRows(to.store)).toEqual(expected);
    expect(await contentsOf(to.store)).toEqual(await contentsOf(from.store));

    // What is written afterwards is later than everything that came as a row.
    await put(to.store, 0, 0, Buffer.from("later"));
    const written = to.store.object(bucketOf("plain"), keyOf("a"));
    expect(written?.record.size).toBe(5);
  },
);

test("a stretch of rows is the same whether it is read alone or as part of all", async () => {
  const seed = new Seed("stretches");
  const site = await SimSite.open("stretches");
  await fill(site, seed, 150);
  const all = site.store.rows.read({ from: "", to: undefined }, 10_000).rows;
  const positions = all.map(({ position }) => position);
  expect(new Set(positions).size).toBe(positions.length);
  for (let round = 0; round < 60; round++) {
    const [first = 0, last = 0] = [seed.int(all.length), seed.int(all.length)].sort(
      (left, right) => left - right,
    );
    const range = { from: positions[first] ?? "", to: positions[last] };
    const read = site.store.rows.read(range, 10_000);
    expect(read.rows.map(({ position }) => position)).toEqual(positions.slice(first, last));
    expect(read.next).toBeUndefined();
  }
});

test("a version that is imported anew is read from its new place, and space goes back", async () => {
  const seed = new Seed("anew");
  const site = await SimSite.open("anew");
  await setUp(site);
  for (const at of [0, 1]) await put(site.store, at, 0, seed.bytes(1000));
  const before = dumpLogicalRows(site.store);
  const live = site.store.stats().segments.liveBytes;
  await site.restart();
  for (const row of site.store.rows.read({ from: "D", to: undefined }, 100).rows) {
    const rows = [await carryRow(site, site.store, row)];
    await site.store.rows.import({ rows, removed: [], progress: undefined, rewrite: true });
    const object = site.store.object(bucketOf("plain"), keyOf("a"));
    expect(object).toBeDefined();
  }
  expect(dumpLogicalRows(site.store)).toEqual(before);
  expect(site.store.stats().segments.liveBytes).toBe(live);
  const places = BUCKETS.slice(0, 2).map((bucket) => site.store.object(bucket, keyOf("a"))?.place);
  for (const place of places) expect(place?.segment).toBeGreaterThan(1);
  const kept = dumpRows(site.kv, site.hash);
  await site.restart(true);
  expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  expect(await contentsOf(site.store)).toHaveLength(2);
});

test("rows that are removed stay away after a rebuild, though their operations are in the log", async () => {
  const seed = new Seed("removed");
  const site = await SimSite.open("removed");
  await setUp(site);
  const [plain = bucketOf("plain"), versioned = plain] = BUCKETS;
  const key = keyOf("a");
  await put(site.store, 0, 0, seed.bytes(100));
  await put(site.store, 0, 1, seed.bytes(100));
  await site.store.deleteObject({ bucket: plain, key: keyOf("a/b") });
  await put(site.store, 1, 0, seed.bytes(100));
  await put(site.store, 1, 0, seed.bytes(50));
  const old = site.store.currentVersion(versioned, key)?.version;
  await removeVersion(site.store, { bucket: versioned, key });
  const stamps = new Map(
    site.store.rows
      .read({ from: "D", to: undefined }, 100)
      .rows.map(({ operation, position }) => [
        position.at(-1),
        parseVersionId(operation.hlc.toString(16).padStart(16, "0") + operation.dot.origin),
      ]),
  );
  const nullVersion = site.store.object(plain, key)?.version;
  const [tombstone, voided] = [stamps.get("t"), stamps.get("e")];
  if (!nullVersion || !tombstone || !voided || !old) throw new Error("rows are missing");
  await site.restart();
  await site.store.rows.import({
    ...{ rows: [], progress: undefined, rewrite: false },
    removed: [
      { what: "null", bucket: plain, key, stamp: nullVersion },
      { what: "tombstone", bucket: plain, key: keyOf("a/b"), stamp: tombstone },
      { what: "voided", bucket: versioned, key, stamp: voided, target: old },
    ],
  });
  expect(site.store.object(plain, key)).toBeUndefined();
  expect(site.store.bucketUsage(plain)).toMatchObject({ objects: 0, bytes: 0 });
  expect(site.store.object(versioned, key)?.record.size).toBe(100);
  const said = dumpLogicalRows(site.store);
  expect(said.filter((line) => line.startsWith('"D'))).toHaveLength(1);
  await site.restart();
  await site.store.keepHouse();
  const kept = dumpRows(site.kv, site.hash);
  await site.restart(true);
  expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  expect(dumpLogicalRows(site.store)).toEqual(said);
});

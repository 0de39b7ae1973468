import { afterEach, expect, test } from "vitest";
import { ByteWriter } from "../../src/core/bytes.ts";
import { parseVersionId } from "../../src/core/names.ts";
import { decodeOperation, encodeOperation } from "../../src/core/operation-codec.ts";
import type { LogicalRow } from "../../src/storage/logical-rows.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { handOverAll } from "../support/hand-over.ts";
import { carryRow, dumpLogicalRows, takeAllRows } from "../support/logical-rows.ts";
import { BUCKETS, contentsOf, fill, put, removeVersion, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * A store says what it holds as rows; whoever takes them over holds the same.
 */

afterEach(closeSimSites);

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

test("a stretch may begin and end at texts that are longer than any position", async () => {
  const site = await SimSite.open("long positions");
  await fill(site, new Seed("long positions"), 60);
  const all = site.store.rows.read({ from: "", to: undefined }, 10_000).rows;
  for (const [at, { position }] of all.entries()) {
    const behind = position + "\u{10ffff}".repeat(1000);
    const read = (from: string, to?: string) =>
      site.store.rows.read({ from, to }, 10_000).rows.map((row) => row.position);
    const longer = all.slice(at + 1).filter((row) => row.position.startsWith(position)).length;
    expect(longer).toBe(0);
    expect(read(behind)).toEqual(all.slice(at + 1).map((row) => row.position));
    expect(read(position, behind)).toEqual([position]);
  }
});

test("a row whose large body is said to be longer than its chunks is refused", async () => {
  const [from, to] = [await SimSite.open("longer from"), await SimSite.open("longer to")];
  await setUp(from);
  await put(from.store, 0, 0, new Seed("longer").bytes(150_000));
  const whole = await carryRow(from, to.store, onlyObject(from));
  const operation = decodeOperation(whole.encoded);
  const { body } = operation;
  if (body.kind !== "object-put" || body.object.body.kind !== "manifests") throw new Error("small");
  const manifests = body.object.body.manifests.map(({ hash }) => ({ hash, bytes: 150_001 }));
  const writer = new ByteWriter();
  const object = { ...body.object, size: 150_001, body: { kind: "manifests", manifests } } as const;
  encodeOperation(writer, { ...operation, body: { ...body, object } });
  const rest = { removed: [], progress: undefined, rewrite: false };
  const longer = { ...whole, encoded: Buffer.from(writer.finish()) };
  const { imported, refused } = await to.store.rows.import({ rows: [longer], ...rest });
  expect([imported, refused.map(({ why }) => why)]).toEqual([0, ["bytes"]]);
  const again = await carryRow(from, to.store, onlyObject(from));
  expect(await to.store.rows.import({ rows: [again], ...rest })).toMatchObject({ imported: 1 });
});

/** The row of the only object of a site. */
function onlyObject({ store }: SimSite): LogicalRow {
  const { rows } = store.rows.read({ from: "", to: undefined }, 100);
  const found = rows.find(({ stored }) => stored !== undefined);
  if (found === undefined) throw new Error("there is no object");
  return found;
}

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
        operation.body.kind === "version-delete" ? "x" : position.at(-1),
        parseVersionId(operation.hlc.toString(16).padStart(16, "0") + operation.dot.origin),
      ]),
  );
  const nullVersion = site.store.object(plain, key)?.version;
  const [tombstone, voided] = [stamps.get("t"), stamps.get("x")];
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

test("a row that lost to a later write leaves nothing of its large body", async () => {
  const [behind, ahead] = [await SimSite.open("behind"), await SimSite.open("ahead")];
  await setUp(behind);
  await put(behind.store, 0, 0, new Seed("large").bytes(200_000));
  await handOverAll(behind, ahead);
  await put(ahead.store, 0, 0, Buffer.from("later"));
  const said = dumpLogicalRows(ahead.store);
  // Its site does not know yet that it was overwritten.
  await takeAllRows(behind, ahead.store, 100);
  expect(dumpLogicalRows(ahead.store)).toEqual(said);
  const kept = dumpRows(ahead.kv, ahead.hash);
  await ahead.restart(true);
  expect(dumpRows(ahead.kv, ahead.hash)).toEqual(kept);
});

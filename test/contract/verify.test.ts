import { afterEach, expect, test } from "vitest";
import type { LogStart } from "../../src/core/records.ts";
import { diffRows, lastingDifferences } from "../../src/replication/row-diff.ts";
import { type FoundDifference, Verifier } from "../../src/replication/verify.ts";
import { rowNameOf } from "../../src/storage/row-operations.ts";
import { Seed } from "../sim/seed.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { dumpLogicalRows, takeAllRows } from "../support/logical-rows.ts";
import { chunkOf, fetchFrom, linkRows, ownHead, type RowLink } from "../support/row-link.ts";
import { BUCKETS, change, fill, put } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const NEVER = new AbortController().signal;
const ALL = { from: "", to: undefined };
const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };

type Pair = { readonly here: SimSite; readonly there: SimSite; readonly link: RowLink };

/** Two sites with the same rows that know of each other all there is. */
async function pairOf(name: string, steps: number): Promise<Pair & { readonly seed: Seed }> {
  const seed = new Seed(name);
  const there = await SimSite.open(`${name}-there`);
  await fill(there, seed, steps);
  const here = await SimSite.open(`${name}-here`);
  await takeAllRows(there, here.store, 100);
  const link = linkRows(there, here);
  return { here, there, link, seed };
}

function settle({ here, there, link }: Pair): void {
  link.heads = [ownHead(there), ownHead(here)];
}

type Wish = {
  readonly repair?: boolean;
  readonly deep?: boolean;
  readonly applied?: () => readonly LogStart[];
  readonly marksKeptMs?: number;
  readonly fetch?: ReturnType<typeof fetchFrom>;
};

async function verify(
  pair: Pair,
  wish: Wish = {},
): Promise<{ differences: FoundDifference[]; rows: number; requests: number }> {
  const { here, there, link } = pair;
  settle(pair);
  const heads = wish.applied ?? (() => link.heads);
  const { rows } = here.store;
  const verifier = new Verifier(
    {
      ...{ rows, hash: here.hash, clock: here.clock },
      fetch: wish.fetch ?? fetchFrom(there, here),
      ...(wish.marksKeptMs === undefined ? {} : { marksKeptMs: wish.marksKeptMs }),
      applied: () => new Map(heads().map(({ origin, seq }) => [origin, seq])),
      rightBytes: async (damage) => {
        if (damage.kind === "chunk") return await chunkOf(there, damage.hash);
        const { bucket, key } = damage.object;
        const object = there.store.object(bucket, key);
        return object && (await there.store.rows.inlineBody(object));
      },
    },
    link.calls,
    NEVER,
  );
  const before = link.calls.requests;
  const found = { differences: [] as FoundDifference[], rows: 0 };
  for (let from: string | undefined = ""; from !== undefined; ) {
    const range = { from, to: undefined };
    const step = await verifier.step({
      range,
      repair: wish.repair ?? false,
      deep: wish.deep ?? false,
    });
    found.differences.push(...step.differences);
    found.rows += step.rows;
    from = step.next;
  }
  return { ...found, requests: link.calls.requests - before };
}

async function punch(site: SimSite, wanted: (key: string) => boolean): Promise<number> {
  const rows = site.store.rows.read(ALL, 100_000).rows.filter(({ operation: { body } }) => {
    return body.kind === "object-put" && wanted(body.key);
  });
  const removed = rows.flatMap(({ operation }) => rowNameOf(operation) ?? []);
  await site.store.rows.import({ rows: [], removed, progress: undefined, rewrite: false });
  return removed.length;
}

async function putMany(site: SimSite, count: number): Promise<void> {
  const bucket = BUCKETS[0] ?? bucketOf("plain");
  const object = { size: 1, etag: "0".repeat(32), attributes: PLAIN, checksums: [], parts: [] };
  const puts = Array.from({ length: count }, (_, at) => {
    const key = keyOf(`many/${String(at).padStart(5, "0")}`);
    const body = { kind: "inline", bytes: Buffer.from("x") } as const;
    return site.store.putObject({
      bucket,
      key,
      object: { ...object, encryption: undefined },
      body,
    });
  });
  await Promise.all(puts);
}

test("sites that say the same are compared with one request for many rows", async () => {
  const pair = await pairOf("same", 100);
  await putMany(pair.there, 3000);
  await takeAllRows(pair.there, pair.here.store, 1000);
  const found = await verify(pair);
  expect(found).toMatchObject({ differences: [], requests: 1 });
  expect(found.rows).toBe(dumpLogicalRows(pair.here.store).length);
});

test("requests follow the difference, and a hole made by hand is healed", async () => {
  const pair = await pairOf("hole", 60);
  await putMany(pair.there, 5000);
  await takeAllRows(pair.there, pair.here.store, 1000);
  expect(await punch(pair.here, (key) => key === "many/03217")).toBe(1);
  const found = await verify(pair);
  expect(found.differences).toEqual([
    { position: expect.stringContaining("many/03217"), kind: "missing-here", repaired: false },
  ]);
  // The root, its sixteenths, a short range twice on each side of waiting, and who had what.
  expect(found.requests).toBeLessThanOrEqual(6);
  const mended = await verify(pair, { repair: true });
  expect(mended.differences).toMatchObject([{ kind: "missing-here", repaired: true }]);
  expect(mended.requests).toBeLessThanOrEqual(9);
  expect((await verify(pair)).differences).toEqual([]);
  expect(dumpLogicalRows(pair.here.store)).toEqual(dumpLogicalRows(pair.there.store));
});

test.each([1, 2, 3])("many holes of every kind are found and healed (%i)", async (number) => {
  const pair = await pairOf(`holes-${number}`, 200);
  const { here, there, seed } = pair;
  await put(there.store, 1, 2, seed.bytes(5_000_000));
  await takeAllRows(there, here.store, 1000);
  const holes = await punch(here, () => seed.chance(0.6));
  expect(holes).toBeGreaterThan(2);
  // What is left of the versions may have changed with those that went.
  const found = await verify(pair, { repair: true });
  expect(found.differences.length).toBeGreaterThanOrEqual(holes);
  expect(found.differences.filter(({ repaired }) => !repaired)).toEqual([]);
  expect(dumpLogicalRows(here.store)).toEqual(dumpLogicalRows(there.store));
});

test("what the peer lacks is told, and healed from there: then both are whole", async () => {
  const pair = await pairOf("lacks", 60);
  const { here, there } = pair;
  await putMany(there, 100);
  await takeAllRows(there, here.store, 1000);
  const whole = dumpLogicalRows(here.store);
  await punch(there, (key) => key === "many/00042");
  await punch(here, (key) => key === "many/00007");
  const found = await verify(pair, { repair: true });
  expect(found.differences).toMatchObject([
    { kind: "missing-here", repaired: true },
    { kind: "missing-there", repaired: false },
  ]);
  const back = { here: there, there: here, link: linkRows(here, there) };
  expect((await verify(back, { repair: true })).differences).toMatchObject([
    { kind: "missing-here", repaired: true },
  ]);
  expect((await verify(pair)).differences).toEqual([]);
  for (const { store } of [here, there]) expect(dumpLogicalRows(store)).toEqual(whole);
});

test("what is still under way is no difference, nor is it repaired", async () => {
  const pair = await pairOf("lag", 60);
  const before = pair.link.heads;
  await change(pair.there, pair.seed);
  await putMany(pair.there, 3);
  const dump = dumpLogicalRows(pair.here.store);
  // This site has not applied what the peer has: nothing can be said.
  const found = await verify(pair, { repair: true, applied: () => before });
  expect(found.differences.length).toBeGreaterThan(2);
  expect(new Set(found.differences.map(({ kind }) => kind))).toEqual(new Set(["unsettled"]));
  expect(dumpLogicalRows(pair.here.store)).toEqual(dump);
});

test("old tombstones that one side has dropped are no difference; fresh ones are", async () => {
  const pair = await pairOf("marks", 10);
  const { here, there } = pair;
  const [bucket = bucketOf("plain")] = BUCKETS;
  await putMany(there, 2);
  await there.store.deleteObject({ bucket, key: keyOf("many/00001") });
  await takeAllRows(there, here.store, 1000);
  const marks = here.store.rows
    .read(ALL, 10_000)
    .rows.filter(({ position }) => position.includes("many/00001"))
    .flatMap(({ operation }) => rowNameOf(operation) ?? []);
  expect(marks).toMatchObject([{ what: "tombstone" }]);
  await here.store.rows.import({ rows: [], removed: marks, progress: undefined, rewrite: false });
  expect((await verify(pair)).differences).toMatchObject([{ kind: "missing-here" }]);
  here.machine.clock.leap(2 * 3600 * 1000);
  expect((await verify(pair, { marksKeptMs: 3 * 3600 * 1000 })).differences).toHaveLength(1);
  expect((await verify(pair, { marksKeptMs: 3600 * 1000 })).differences).toEqual([]);
  here.machine.clock.leap(8 * 24 * 3600 * 1000);
  expect((await verify(pair)).differences).toEqual([]);
});

test("bytes that are damaged are found by reading them all, and healed", async () => {
  const pair = await pairOf("deep", 10);
  const { here, there, seed } = pair;
  const [bucket = bucketOf("plain")] = BUCKETS;
  await put(there.store, 0, 0, seed.bytes(700));
  await put(there.store, 0, 1, seed.bytes(5_000_000));
  await takeAllRows(there, here.store, 1000);
  await here.restart();
  await here.store.keepHouse();
  for (const key of ["a", "a/b"]) await spoil(here, here.store.object(bucket, keyOf(key)));
  expect((await verify(pair)).differences).toEqual([]);
  const found = await verify(pair, { deep: true });
  expect(found.differences.map(({ kind }) => kind)).toEqual(["damaged", "damaged"]);
  const mended = await verify(pair, { deep: true, repair: true });
  expect(mended.differences.map(({ repaired }) => repaired)).toEqual([true, true]);
  expect((await verify(pair, { deep: true })).differences).toEqual([]);
});

async function spoil(
  site: SimSite,
  object: Parameters<SimSite["spoil"]>[0] | undefined,
): Promise<void> {
  if (object === undefined) throw new Error("the object is not there");
  site.spoil(object);
}

test("a difference lasts when both sides say the same as before", () => {
  const here = new Map([
    ["a", "1"],
    ["b", "2"],
    ["c", "3"],
  ]);
  const there = new Map([
    ["a", "1"],
    ["b", "9"],
    ["d", "4"],
  ]);
  expect(diffRows(here, there)).toEqual([
    { position: "b", kind: "differs" },
    { position: "c", kind: "missing-there" },
    { position: "d", kind: "missing-here" },
  ]);
  const later = { here: new Map([...here, ["b", "3"]]), there };
  const lasting = lastingDifferences({ here, there }, later).map(({ position }) => position);
  expect(lasting).toEqual(["c", "d"]);
});

test.each([
  [false, 1000],
  [true, 2],
])(
  "a step tells and fetches only so much of what stands at other sites (repair: %s)",
  async (repair, most) => {
    const pair = await pairOf(`elsewhere-${repair}`, 0);
    const { here, there, link } = pair;
    await putMany(there, 2500);
    await takeAllRows(there, here.store, 1000);
    const { rows } = here.store;
    // As if every body were large, and nowhere near.
    const remote = { ...rows.remote, isRemote: () => true, bring: () => Promise.resolve() };
    const read: typeof rows.read = (range, rowsMax) => {
      const step = rows.read(range, rowsMax);
      return { ...step, rows: step.rows.map((row) => ({ ...row, stored: enlarged(row.stored) })) };
    };
    const verifier = new Verifier(
      {
        ...{ rows: { ...rows, remote, read }, hash: here.hash, clock: here.clock },
        applied: () => new Map(link.heads.map(({ origin, seq }) => [origin, seq])),
        fetch: fetchFrom(there, here),
        rightBytes: () => Promise.resolve(undefined),
      },
      link.calls,
      NEVER,
    );
    const told: string[] = [];
    for (let from: string | undefined = ""; from !== undefined && told.length < 20 * most; ) {
      const step = await verifier.step({ range: { from, to: undefined }, repair, deep: true });
      expect(step.differences.length).toBeLessThanOrEqual(most);
      told.push(...step.differences.map(({ position }) => position));
      from = step.next;
    }
    expect(new Set(told).size).toBe(told.length);
    expect(told.length).toBeGreaterThanOrEqual(Math.min(2500, 20 * most));
  },
);

function enlarged<Stored extends { readonly record: { readonly size: number } }>(
  stored: Stored | undefined,
): Stored | undefined {
  if (stored === undefined) return undefined;
  return { ...stored, record: { ...stored.record, size: 100 * 1024 * 1024 } };
}

test("what a peer compares in several steps is checked here in several too, and told once", async () => {
  const pair = await pairOf("told once", 0);
  const { here, there, link } = pair;
  await putMany(there, 30);
  await takeAllRows(there, here.store, 1000);
  for (const number of [3, 27]) {
    const object = here.store.object(
      BUCKETS[0] ?? bucketOf("plain"),
      keyOf(`many/000${number < 10 ? "0" : ""}${number}`),
    );
    if (object === undefined) throw new Error("an object is missing");
    here.spoil(object);
  }
  const { ranges } = link.calls;
  link.calls.ranges = (wanted, _rowsMax, signal) => ranges.call(link.calls, wanted, 10, signal);
  const found = await verify(pair, { deep: true });
  expect(found.differences.filter(({ kind }) => kind === "damaged")).toHaveLength(2);
});

test("a repair that breaks off lets go of the bodies that it has fetched", async () => {
  const pair = await pairOf("broken-off", 20);
  for (const key of [0, 1]) await put(pair.there.store, 0, key, pair.seed.bytes(300_000));
  await takeAllRows(pair.there, pair.here.store, 100);
  expect(await punch(pair.here, (key) => key === "a" || key === "a/b")).toBeGreaterThan(1);
  const fetchBodies = fetchFrom(pair.there, pair.here);
  const held = new Set<object>();
  const fetch: typeof fetchBodies = async (refs, ...given) => {
    if (held.size > 0) throw new Error("the line has broken");
    const found = await fetchBodies(refs, ...given);
    if (found.outcome !== "whole") return found;
    const manifests = found.manifests.map((manifest) => {
      const { staged } = manifest;
      if (staged === undefined) return manifest;
      held.add(staged);
      const discard = (): void => {
        staged.discard();
        held.delete(staged);
      };
      return { ...manifest, staged: Object.assign(Object.create(staged), { discard }) };
    });
    return { ...found, manifests };
  };
  await expect(verify(pair, { repair: true, fetch })).rejects.toThrow("the line has broken");
  expect(held.size).toBe(0);
});

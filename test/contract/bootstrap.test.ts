import { afterEach, expect, test } from "vitest";
import type { Operation } from "../../src/core/records.ts";
import { compareUtf8 } from "../../src/core/utf8-order.ts";
import { BootstrapRun } from "../../src/replication/bootstrap.ts";
import { rowNameOf } from "../../src/storage/row-operations.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { entriesFor, handOverAll } from "../support/hand-over.ts";
import { dumpLogicalRows, takeAllRows } from "../support/logical-rows.ts";
import { fetchFrom, linkRows, ownHead, type RowLink } from "../support/row-link.ts";
import {
  BUCKETS,
  change,
  contentsOf,
  fill,
  put,
  removeVersion,
  setUp,
} from "../support/row-workload.ts";
import type { SimSite as Site } from "../support/sim-site.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };
const PLAIN_BUCKET = bucketOf("plain");
const A = keyOf("a");
const NEVER = new AbortController().signal;

/** As after the horizon of tombstones: the rows are gone, and so is the word of it. */
async function removeForGood({ store }: Site, operations: readonly Operation[]): Promise<void> {
  const removed = operations.flatMap((operation) => rowNameOf(operation) ?? []);
  await store.rows.import({ rows: [], removed, progress: undefined, rewrite: false });
}

function bootstrap(
  from: Site,
  to: Site,
  { calls }: RowLink,
  bytesMax = 600,
  fetch = fetchFrom(from, to),
): BootstrapRun {
  const source = {
    site: from.running.site.identity.siteId,
    start: calls.start.bind(calls),
    rows: (request: Parameters<typeof calls.rows>[0], signal: AbortSignal) =>
      calls.rows({ ...request, bytesMax }, signal),
  };
  const deps = { rows: to.store.rows, clock: to.clock, log: createMemoryLog() };
  const own = () => to.running.site.identity.origin;
  return new BootstrapRun({ ...deps, own, fetch }, source);
}

test("an empty site takes over everything, and knows where logs go on", async () => {
  const seed = new Seed("bootstrap");
  const from = await SimSite.open("bootstrap-from");
  await fill(from, seed, 150);
  await put(from.store, 0, 1, seed.bytes(5_000_000));
  const to = await SimSite.open("bootstrap-to");
  const link = linkRows(from, to);
  const run = bootstrap(from, to, link);
  await run.run(NEVER);
  expect(run.progress()).toMatchObject({ state: "done", skipped: 0, removed: 0, leftMs: 0 });
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  expect(await contentsOf(to.store)).toEqual(await contentsOf(from.store));
  expect(to.store.rows.bootstrap()).toBeUndefined();
  expect(to.store.rows.floors()).toEqual(link.heads);
  const kept = dumpRows(to.kv, to.hash);
  await to.restart(true);
  expect(dumpRows(to.kv, to.hash)).toEqual(kept);
});

test("large bodies of several rows come at once, for each is journeys over a long line", async () => {
  const seed = new Seed("bootstrap-at-once");
  const from = await SimSite.open("at-once-from");
  await fill(from, seed, 1);
  for (let key = 0; key < 6; key++) await put(from.store, 0, key, seed.bytes(200_000));
  const to = await SimSite.open("at-once-to");
  const fetchOne = fetchFrom(from, to);
  let open = 0;
  let most = 0;
  const fetch: typeof fetchOne = async (...wish) => {
    open += 1;
    most = Math.max(most, open);
    return await fetchOne(...wish).finally(() => {
      open -= 1;
    });
  };
  await bootstrap(from, to, linkRows(from, to), 100_000, fetch).run(NEVER);
  expect([open, most]).toEqual([0, 4]);
  expect(await contentsOf(to.store)).toEqual(await contentsOf(from.store));
});

test("a bootstrap that is cut and killed again and again, while writes go on, goes on where it was", async () => {
  const seed = new Seed("bootstrap-kills");
  const from = await SimSite.open("kills-from");
  await fill(from, seed, 250);
  const to = await SimSite.open("kills-to");
  const link = linkRows(from, to);
  let cuts = 0;
  let asked = 0;
  const positions: string[] = [];
  for (let done = false; !done; ) {
    let left = 2;
    link.weather = (path) => {
      asked += path === "/v1/repl/rows" ? 1 : 0;
      left -= 1;
      if (left < 0) throw new Error("the link was cut");
    };
    const run = bootstrap(from, to, link);
    done = await run.run(NEVER).then(
      () => true,
      () => false,
    );
    if (done) break;
    cuts += 1;
    expect(run.progress().failure).toBe("the link was cut");
    positions.push(to.store.rows.bootstrap()?.position ?? "");
    await change(from, seed);
    if (cuts % 3 === 0) await to.restart(cuts % 2 === 0);
  }
  expect(cuts).toBeGreaterThan(5);
  // Every round came further than the one before: nothing was asked for twice but one page each.
  expect([...positions].sort(compareUtf8)).toEqual(positions);
  expect(asked).toBeLessThan(cuts * 3);
  expect(to.store.rows.floors()).toEqual(link.heads);
  // The tail comes by the log; here it is carried as rows.
  await takeAllRows(from, to.store, 100);
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
});

test("a lease that has ended begins the bootstrap anew", async () => {
  const seed = new Seed("bootstrap-lease");
  const from = await SimSite.open("lease-from");
  await fill(from, seed, 100);
  const to = await SimSite.open("lease-to");
  const link = linkRows(from, to);
  let left = 4;
  link.weather = () => {
    left -= 1;
    if (left < 0) throw new Error("the link was cut");
  };
  await expect(bootstrap(from, to, link).run(NEVER)).rejects.toThrow("the link was cut");
  const before = to.store.rows.bootstrap();
  expect(before?.position).not.toBe("");
  // Its own clock is two hours ahead by then: nothing of that is taken, and nothing is passed over.
  from.machine.clock.leap(2 * 60 * 60 * 1000);
  await put(from.store, 0, 0, seed.bytes(7));
  link.heads = [ownHead(from)];
  link.weather = () => undefined;
  await expect(bootstrap(from, to, link).run(NEVER)).rejects.toThrow("clock is far ahead");
  to.machine.clock.leap(2 * 60 * 60 * 1000);
  await bootstrap(from, to, link).run(NEVER);
  expect(to.store.rows.floors()).toEqual(link.heads);
  expect(before?.heads).not.toEqual(link.heads);
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
});

test("a site with data of its own merges: what was removed there goes, what is unknown there stays", async () => {
  const seed = new Seed("bootstrap-merge");
  const from = await SimSite.open("merge-from");
  await fill(from, seed, 60);
  const to = await SimSite.open("merge-to");
  await takeAllRows(from, to.store, 100);
  const [plain = bucketOf("plain"), versioned = plain] = BUCKETS;
  // Removed there for good, with nothing left that says so.
  for (let at = 0; at < BUCKETS.length; at++) await put(from.store, at, 4, seed.bytes(20));
  await takeAllRows(from, to.store, 100);
  const gone = from.store.rows
    .read({ from: "D", to: undefined }, 10_000)
    .rows.filter(
      ({ operation: { body } }) => body.kind === "object-put" && body.key === keyOf("\uffee"),
    );
  expect(gone.length).toBeGreaterThan(1);
  await removeForGood(
    from,
    gone.map(({ operation }) => operation),
  );
  // Written here only.
  const own = keyOf("only here");
  const object = { size: 3, etag: "0".repeat(32), attributes: PLAIN, checksums: [], parts: [] };
  const body = { kind: "inline", bytes: Buffer.from("own") } as const;
  const stored = { object: { ...object, encryption: undefined }, body };
  await to.store.putObject({ bucket: versioned, key: own, ...stored });

  const link = linkRows(from, to);
  const run = bootstrap(from, to, link);
  await run.run(NEVER);
  expect(run.progress().removed).toBe(gone.length);
  expect(to.store.object(plain, keyOf("\uffee"))).toBeUndefined();
  expect(to.store.object(versioned, own)?.record.size).toBe(3);
  const mine = (line: string): boolean => !line.includes("only here");
  expect(dumpLogicalRows(to.store).filter(mine)).toEqual(dumpLogicalRows(from.store));
  const kept = dumpRows(to.kv, to.hash);
  await to.restart(true);
  expect(dumpRows(to.kv, to.hash)).toEqual(kept);
});

test("what was removed here is not brought back by a site that had not heard of it", async () => {
  const seed = new Seed("bootstrap-removed");
  const from = await SimSite.open("removed-from");
  await setUp(from);
  await put(from.store, 1, 0, seed.bytes(10));
  const to = await SimSite.open("removed-to");
  await takeAllRows(from, to.store, 100);
  const [plain = bucketOf("plain"), versioned = plain] = BUCKETS;
  await removeVersion(to.store, { bucket: versioned, key: keyOf("a") });
  await bootstrap(from, to, linkRows(from, to)).run(NEVER);
  expect(to.store.currentVersion(versioned, keyOf("a"))).toBeUndefined();
});

test.each([
  ["earlier", 0, 50],
  ["later", 50, 0],
])(
  "what a site wrote %s beside the rows that it takes over is judged as there",
  async (when, waitsHere, waitsThere) => {
    const from = await SimSite.open(`beside-from-${when}`);
    const to = await SimSite.open(`beside-to-${when}`);
    for (const site of [from, to]) await setUp(site);
    to.machine.clock.leap(waitsHere);
    from.machine.clock.leap(waitsThere);
    for (const [key, site] of [from, to, from, to].entries()) {
      await put(site.store, 0, key % 2, Buffer.from(`first of ${key}`));
      await put(site.store, 0, key % 2, Buffer.from(`second of ${key}`));
      if (key < 2) await site.store.deleteObject({ bucket: PLAIN_BUCKET, key: A });
    }
    const link = linkRows(from, to);
    await bootstrap(from, to, link).run(NEVER);
    // What it overwrites while it knows nothing of others' logs is named all the same.
    await put(to.store, 0, 1, Buffer.from("third"));
    await handOverAll(to, from);
    await handOverAll(from, to);
    expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
    expect(await contentsOf(to.store)).toEqual(await contentsOf(from.store));
    const usage = to.store.bucketUsage(PLAIN_BUCKET);
    expect(usage).toEqual(from.store.bucketUsage(PLAIN_BUCKET));
    const kept = dumpRows(to.kv, to.hash);
    await to.restart(true);
    expect(dumpRows(to.kv, to.hash)).toEqual(kept);
  },
);

test.each([
  ["deleted", 0],
  ["removed version", 1],
])(
  "a %s that waited for its bytes while its site was away does not come behind the rows",
  async (what, at) => {
    const from = await SimSite.open(`parked-from ${what}`);
    const to = await SimSite.open(`parked-to ${what}`);
    await setUp(from);
    await handOverAll(from, to);
    await put(from.store, at, 0, Buffer.from("gone"));
    await put(from.store, at, 1, Buffer.from("live"));
    const late = await entriesFor(from, to);
    for (const one of late) {
      const parked = { kind: "parked", reason: "it is on its way" } as const;
      await to.store.replica.ingest([{ ...one, inline: undefined, state: parked }], []);
    }
    const bucket = BUCKETS[at] ?? PLAIN_BUCKET;
    if (at === 0) await from.store.deleteObject({ bucket, key: A });
    else await removeVersion(from.store, { bucket, key: A });
    const { rows } = from.store.rows.read({ from: "D", to: undefined }, 100);
    const marks = rows
      .map(({ operation }) => operation)
      .filter(({ body }) => "key" in body && body.key === A);
    await removeForGood(from, marks);
    const link = linkRows(from, to);
    let pages = 0;
    link.weather = (path) => {
      pages += path === "/v1/repl/rows" ? 1 : 0;
      if (pages > 1) throw new Error("the link was cut");
    };
    const run = bootstrap(from, to, link, 1);
    await expect(run.run(NEVER)).rejects.toThrow("the link was cut");
    for (const one of late) {
      const [outcome] = await to.store.replica.ingest([one], []);
      expect(outcome).toMatchObject({ outcome: "refused", reason: "gap" });
    }
    link.weather = () => undefined;
    await bootstrap(from, to, link).run(NEVER);
    expect(to.store.replica.parked()).toEqual([]);
    for (const one of late) {
      expect(await to.store.replica.ingest([one], [])).toEqual([{ outcome: "duplicate" }]);
    }
    expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
    expect(await contentsOf(to.store)).toEqual(await contentsOf(from.store));
    const kept = dumpRows(to.kv, to.hash);
    await to.restart(true);
    expect(dumpRows(to.kv, to.hash)).toEqual(kept);
  },
);

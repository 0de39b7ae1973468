import { afterEach, describe, expect, test } from "vitest";
import { hlcFromMs } from "../../src/core/hlc.ts";
import { parseSeq } from "../../src/core/names.ts";
import { ChainedEntry } from "../../src/storage/chained-entry.ts";
import { noteWithdrawing } from "../../src/storage/site-identity.ts";
import type { Store, StoredVersion } from "../../src/storage/store.ts";
import type { Withdrawing } from "../../src/storage/withdrawn-fields.ts";
import { Client } from "../sim/cluster/client.ts";
import { type Contents, listVersions, readWhole } from "../sim/cluster/client-words.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { handOver, handOverAll } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { BUCKETS as PLAIN_BUCKETS, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

/** Whether ids of versions are compared by their times, or not at all. */
type Ids = "dated" | "any";

const BUCKETS = ["alpha", "beta", "gamma"].map(bucketOf);
const [BUCKET = bucketOf("plain")] = PLAIN_BUCKETS;
const KEY = keyOf("a");
const PLAN = { versioned: true, locks: true, buckets: true, large: false, rowsFirst: false };

/** Everything that a site shows to clients, but for who wrote it. */
async function shownBy({ store }: SimSite, ids: Ids): Promise<string[]> {
  const shown: string[] = [];
  for (const bucket of BUCKETS) {
    const { settings = new Map() } = store.bucket(bucket) ?? {};
    const lines = listVersions(store, bucket).map((one) => showVersion(store, one, ids));
    shown.push(textOf(bucket, [...settings]), ...(await Promise.all(lines)));
  }
  for (const { id, state, name } of store.accessKeys()) shown.push(textOf(id, state, name));
  return shown;
}

async function showVersion(store: Store, one: StoredVersion, ids: Ids): Promise<string> {
  const { bucket, key, version, isNull, isLatest, kind } = one;
  const time = ids === "dated" ? version.slice(0, 16) : "";
  const name = textOf(bucket, key, time, isNull, isLatest, kind);
  if (one.kind === "delete-marker") return name;
  const { etag, attributes, lock } = one.object.record;
  const bytes = (await readWhole(store, one.object)).toString("base64").slice(0, 100);
  return textOf(name, etag, attributes, lock, bytes);
}

function textOf(...values: readonly unknown[]): string {
  return values.map((value) => JSON.stringify(value)).join(" ");
}

function ownSeq({ store }: SimSite): number {
  return store.replica.received().get(store.replica.origin)?.seq ?? 0;
}

/** The chain of a site's own log behind an operation. */
async function chainBehind({ store, hash }: SimSite, seq: number): Promise<Buffer> {
  const { origin } = store.replica;
  const [before = expect.unreachable()] = [parseSeq(seq - 1)];
  const heads = [...store.replica.received()];
  const after = new Map([...heads.map(([of, head]) => [of, head.seq] as const), [origin, before]]);
  const page = await store.replica.readLog(after, 1);
  const [entry] = page.outcome === "page" ? page.entries : [];
  return new ChainedEntry(hash, entry ?? expect.unreachable()).chain;
}

/** Has the next start withdraw everything behind a place in the site's own log. */
async function withdraw(
  site: SimSite,
  behind: number,
  times: Withdrawing["times"],
): Promise<string> {
  const { identity } = site.running.site;
  const { origin } = identity;
  const from = parseSeq(behind + 1);
  if (from === undefined) throw new Error("no such place");
  await site.running.site.close();
  const wish = { from: [{ origin, from }], times };
  await noteWithdrawing(site.machine.disk, site.directory, identity, wish);
  return origin;
}

type Fork = { readonly a: SimSite; readonly b: SimSite; readonly behind: number };

/**
 * A site that was set back to a snapshot of its disk, and has written since what no other site can
 * take, because they have the operations that it lost in the same places.
 */
async function fork(name: string): Promise<Fork> {
  const seed = new Seed(name);
  const contents: Contents = new Map();
  const a = await SimSite.open(`${name} a`);
  const b = await SimSite.open(`${name} b`);
  const now = (): number => a.machine.clock.nowMs();
  const client = new Client(seed.derive("client"), PLAN, contents, now);
  const write = async ({ store }: SimSite, count: number): Promise<void> => {
    for (let step = 0; step < count; step++) {
      for (const { machine } of [a, b]) machine.clock.leap(10);
      await client.next(store).send(store);
    }
  };
  await client.first().send(a.store);
  // Each knows that there is another site.
  await b.store.createBucket({ name: bucketOf("theirs"), owner: "o" });
  await handOverAll(a, b);
  await handOverAll(b, a);
  await write(a, 10);
  await handOverAll(a, b);
  await write(b, 10);
  await write(a, 5);
  await handOverAll(b, a);
  await handOverAll(a, b);
  const behind = ownSeq(a);
  await a.running.site.close();
  const snapshot = a.machine.disk.copy(seed.derive("snapshot"));
  a.running = await a.machine.open();
  while (ownSeq(a) < behind + 8) await write(a, 1);
  await handOverAll(a, b);
  await write(b, 10);
  await a.running.site.close();
  a.machine.disk = snapshot.copy(seed.derive("set back"));
  a.running = await a.machine.open();
  expect(ownSeq(a)).toBe(behind);
  while (ownSeq(a) < behind + 16) await write(a, 1);
  return { a, b, behind };
}

async function expectConverged({ a, b }: Fork): Promise<void> {
  for (const _round of [1, 2]) {
    await handOverAll(a, b);
    await handOverAll(b, a);
  }
  expect(dumpLogicalRows(a.store)).toEqual(dumpLogicalRows(b.store));
  expect(await shownBy(a, "dated")).toEqual(await shownBy(b, "dated"));
  for (const site of [a, b]) {
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(true);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  }
}

/** `FORKS=500` draws more of them by hand. */
const SEEDS = Array.from({ length: Number(process.env["FORKS"] ?? 8) }, (_none, at) => at + 1);

describe.each(SEEDS)("what a site wrote after it was set back (%i)", (seed) => {
  test("is issued again by its next incarnation, and reaches the others", async () => {
    const { a, b, behind } = await fork(`fork ${seed}`);
    const shown = await shownBy(a, "dated");
    const first = await chainBehind(a, behind + 1);
    const before = await withdraw(a, behind, "kept");
    a.running = await a.machine.open();
    expect(a.store.replica.origin).not.toBe(before);
    expect(a.store.replica.received().get(a.running.site.identity.origin)?.seq).toBeGreaterThan(0);
    const left = [...a.store.replica.received().values()].find(({ origin }) => origin === before);
    expect(left?.seq ?? 0).toBe(behind);
    expect(a.running.site.identity.withdrawn.map(({ first }) => first)).toEqual([first]);
    expect(await shownBy(a, "dated")).toEqual(shown);
    await expectConverged({ a, b, behind });
  });

  test("keeps what it shows, with times of now, when its times are not believed", async () => {
    const { a, b, behind } = await fork(`new times ${seed}`);
    const shown = await shownBy(a, "any");
    await withdraw(a, behind, "new");
    for (const { machine } of [a, b]) machine.clock.leap(60_000);
    const now = hlcFromMs(a.machine.clock.nowMs());
    a.running = await a.machine.open();
    expect(await shownBy(a, "any")).toEqual(shown);
    const { replica } = a.store;
    expect(replica.received().get(replica.origin)?.hlc).toBeGreaterThanOrEqual(now);
    await expectConverged({ a, b, behind });
  });
});

test("what was written with a clock that was ahead is issued again, and waits for its time", async () => {
  const { a, b, behind } = await fork("ahead");
  a.machine.clock.jump(3_600_000);
  await a.store.createBucket({ name: bucketOf("early"), owner: "o" });
  a.machine.clock.jump(-3_600_000);
  const shown = await shownBy(a, "dated");
  await withdraw(a, behind, "kept");
  a.running = await a.machine.open();
  expect(await shownBy(a, "dated")).toEqual(shown);
  expect(a.store.bucket(bucketOf("early"))).toBeDefined();
  for (const { machine } of [a, b]) machine.clock.leap(3_600_000);
  await expectConverged({ a, b, behind });
  expect(b.store.bucket(bucketOf("early"))).toBeDefined();
});

test("what names a lost write counts also where it was parked, and its bytes came no more", async () => {
  const a = await SimSite.open("parked a");
  const b = await SimSite.open("parked b");
  await setUp(a);
  await handOverAll(a, b);
  const write = async ({ store }: SimSite, key: number, text: string): Promise<void> => {
    for (const { machine } of [a, b]) machine.clock.leap(10);
    await put(store, 0, key, Buffer.from(text));
  };
  const behind = ownSeq(a);
  await a.running.site.close();
  const snapshot = a.machine.disk.copy(new Seed("parked snapshot"));
  a.running = await a.machine.open();
  await write(a, 0, "lost");
  await handOverAll(a, b);
  await write(b, 0, "over it");
  await a.running.site.close();
  a.machine.disk = snapshot.copy(new Seed("parked, set back"));
  a.running = await a.machine.open();
  await write(a, 1, "since");
  await handOver(b, a, undefined, () => true);
  await write(b, 0, "over both");
  await handOverAll(b, a);
  const [parked] = a.store.replica.parked();
  const entry = parked && (await a.store.replica.parkedEntry(parked.dot));
  if (entry === undefined) throw new Error("nothing is parked");
  await a.store.replica.ingest([{ ...entry, state: { kind: "void" } }], []);
  await withdraw(a, behind, "kept");
  a.running = await a.machine.open();
  await expectConverged({ a, b, behind });
  expect(a.store.stats().conflicts).toBe(0);
});

test("a start that dies while it withdraws operations leaves nothing behind", async () => {
  const { a, b, behind } = await fork("cut off");
  const shown = await shownBy(a, "dated");
  await withdraw(a, behind, "kept");
  let starts = 0;
  for (let cutAt = 3; ; cutAt += 7) {
    a.machine.disk.steps.cutPowerAt(cutAt);
    const died = await a.machine.open().then(
      (running) => {
        a.running = running;
        return false;
      },
      () => true,
    );
    if (!died) break;
    starts += 1;
    a.machine.cutPower();
  }
  expect(starts).toBeGreaterThan(10);
  a.machine.disk.steps.cutPowerAt(Number.POSITIVE_INFINITY);
  expect(await shownBy(a, "dated")).toEqual(shown);
  await expectConverged({ a, b, behind });
});

describe("operations whose log before has been dropped", () => {
  /** A site alone whose log begins late, with the place where it does. */
  async function shortLog(name: string): Promise<{ site: SimSite; floor: number }> {
    const site = await SimSite.open(name);
    await setUp(site);
    for (let count = 0; count < 60; count++) {
      await put(site.store, 0, 0, Buffer.alloc(3000, count));
      if (count === 30) await site.restart();
    }
    await site.store.keepHouse();
    const floor = site.store.replica.floors().get(site.store.replica.origin) ?? 0;
    expect(floor).toBeGreaterThan(0);
    return { site, floor };
  }

  test("stay where they are when that was asked for, and the site goes on", async () => {
    const { site, floor } = await shortLog("asked for");
    const before = await withdraw(site, floor, "new");
    await expect(site.machine.open()).rejects.toThrow("has been dropped");
    site.running = await site.machine.open();
    expect(site.store.replica.origin).toBe(before);
    expect(site.store.object(BUCKET, KEY)?.record.size).toBe(3000);
  });

  test("stay where they are when a site was set back, and it begins anew", async () => {
    const { site, floor } = await shortLog("set back");
    const before = await withdraw(site, floor, "kept");
    site.running = await site.machine.open();
    expect(site.store.replica.origin).not.toBe(before);
    expect(site.store.object(BUCKET, KEY)?.record.size).toBe(3000);
    const told = site.machine.log.lines.map(({ message }) => message);
    expect(told).toContain("what was written since cannot be issued again");
  });
});

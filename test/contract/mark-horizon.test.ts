import { afterEach, expect, test } from "vitest";
import { parseOriginId, parseSiteId } from "../../src/core/names.ts";
import type { Vector } from "../../src/core/records.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { BootstrapRun } from "../../src/replication/bootstrap.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { entriesFor, handOverAll } from "../support/hand-over.ts";
import { dumpLogicalRows, takeAllRows } from "../support/logical-rows.ts";
import { fetchFrom, linkRows } from "../support/row-link.ts";
import { BUCKETS, put, removeVersion, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const DAY_MS = 24 * 3600 * 1000;
const [PLAIN = bucketOf("plain"), VERSIONED = PLAIN] = BUCKETS;
const PEER = parseSiteId("00000000000000aa");
const ORIGIN = parseOriginId("00000000000000bb");

/** A site with a peer, a deleted object and a version that was removed for good. */
async function siteWithMarks(name: string): Promise<SimSite> {
  const site = await SimSite.open(name);
  await setUp(site);
  await put(site.store, 0, 0, Buffer.from("deleted"));
  await put(site.store, 1, 0, Buffer.from("removed"));
  await site.store.deleteObject({ bucket: PLAIN, key: keyOf("a") });
  await removeVersion(site.store, { bucket: VERSIONED, key: keyOf("a") });
  await meet(site);
  return site;
}

async function meet({ store }: SimSite): Promise<void> {
  if (PEER === undefined) throw new Error("no site id");
  await store.putSite({
    ...{ id: PEER, name: "paris", publicKey: "00".repeat(32), addresses: [], certificates: [] },
    ...{
      origins: ORIGIN === undefined ? [] : [ORIGIN],
      state: "active",
      featureLevel: 1,
      insecure: false,
    },
  });
}

/** The peer says that it has applied everything, or nothing. */
function acknowledge({ store }: SimSite, applied: Vector = store.replica.applied()): void {
  if (PEER !== undefined) store.replica.acknowledge(PEER, applied);
}

async function keepHouse({ store }: SimSite): Promise<void> {
  await store.keepHouse();
}

/** Positions of tombstones and of marks of removed versions. */
function marksOf({ store }: SimSite): number {
  const { rows } = store.rows.read({ from: "D", to: undefined }, 10_000);
  return rows.filter(({ operation: { body } }) => {
    return body.kind === "version-delete" || (body.kind === "object-delete" && !body.nullMarker);
  }).length;
}

test("marks go when every peer has applied them and a week has passed, and a rebuild agrees", async () => {
  const site = await siteWithMarks("marks");
  acknowledge(site);
  site.machine.clock.leap(2 * 3600 * 1000);
  await keepHouse(site);
  expect(marksOf(site)).toBe(2);
  site.machine.clock.leap(8 * DAY_MS);
  await keepHouse(site);
  expect(marksOf(site)).toBe(0);
  const said = dumpLogicalRows(site.store);
  await site.restart();
  await keepHouse(site);
  const kept = dumpRows(site.kv, site.hash);
  await site.restart(true);
  expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  expect(dumpLogicalRows(site.store)).toEqual(said);
  expect(site.store.object(PLAIN, keyOf("a"))).toBeUndefined();
  expect(site.store.currentVersion(VERSIONED, keyOf("a"))).toBeUndefined();
});

test("a site without any peer drops marks when a week has passed, and a rebuild agrees", async () => {
  const site = await SimSite.open("alone");
  await setUp(site);
  for (const at of [0, 1]) await put(site.store, at, 0, Buffer.from("gone"));
  await site.store.deleteObject({ bucket: PLAIN, key: keyOf("a") });
  await removeVersion(site.store, { bucket: VERSIONED, key: keyOf("a") });
  site.machine.clock.leap(6 * DAY_MS);
  await keepHouse(site);
  expect(marksOf(site)).toBe(2);
  site.machine.clock.leap(2 * DAY_MS);
  await keepHouse(site);
  expect(marksOf(site)).toBe(0);
  await site.restart();
  const said = dumpLogicalRows(site.store);
  await site.restart(true);
  expect(dumpLogicalRows(site.store)).toEqual(said);
  expect(site.store.object(PLAIN, keyOf("a"))).toBeUndefined();
  expect(site.store.currentVersion(VERSIONED, keyOf("a"))).toBeUndefined();
});

test("a rebuild goes on with the log behind a last delete whose mark has gone", async () => {
  const site = await SimSite.open("last");
  await setUp(site);
  await put(site.store, 0, 0, Buffer.from("deleted"));
  await meet(site);
  await site.restart();
  await site.store.deleteObject({ bucket: PLAIN, key: keyOf("a") });
  const head = site.store.logHead();
  await site.restart();
  for (let day = 0; day < 12; day++) {
    acknowledge(site);
    site.machine.clock.leap(DAY_MS);
    await keepHouse(site);
  }
  expect(marksOf(site)).toBe(0);
  await site.restart(true);
  expect(site.store.logHead()?.seq).toBe(head?.seq);
});

/** Its peer says where it is: then nothing keeps the marks any more. */
async function expectGoneOnceHeard(site: SimSite): Promise<void> {
  acknowledge(site);
  site.machine.clock.leap(DAY_MS);
  await keepHouse(site);
  expect(marksOf(site)).toBe(0);
}

test("marks stay for a peer that has not applied them, and for a bootstrap that began before", async () => {
  const site = await siteWithMarks("held");
  const before = new Map();
  acknowledge(site, before);
  site.machine.clock.leap(8 * DAY_MS);
  await keepHouse(site);
  expect(marksOf(site)).toBe(2);
  acknowledge(site);
  const release = site.store.replica.holdLog(() => [before]);
  site.machine.clock.leap(DAY_MS);
  await keepHouse(site);
  expect(marksOf(site)).toBe(2);
  release();
  site.machine.clock.leap(DAY_MS);
  await keepHouse(site);
  expect(marksOf(site)).toBe(0);
});

test("marks stay while something that a peer wrote before may still come", async () => {
  const site = await siteWithMarks("unseen");
  const other = await SimSite.open("unseen-other");
  await setUp(other);
  const theirs = new Map([...site.store.replica.applied(), ...other.store.replica.applied()]);
  acknowledge(site, theirs);
  site.machine.clock.leap(8 * DAY_MS);
  await keepHouse(site);
  expect(marksOf(site)).toBe(2);
});

test("marks stay while a peer has received what is not here, though it waits there for bytes", async () => {
  const site = await siteWithMarks("behind");
  const other = await SimSite.open("behind-other");
  await setUp(other);
  const { replica } = site.store;
  const received = new Map([...replica.applied(), ...other.store.replica.applied()]);
  replica.acknowledge(required(PEER, "site id"), replica.applied(), received);
  site.machine.clock.leap(8 * DAY_MS);
  await keepHouse(site);
  expect(marksOf(site)).toBe(2);
  // What it had received is not known any more, until it says so again.
  await site.restart();
  site.machine.clock.leap(DAY_MS);
  await keepHouse(site);
  expect(marksOf(site)).toBe(2);
  await expectGoneOnceHeard(site);
});

test("marks stay for a peer that was not heard of yet: what it wrote may be older than they are", async () => {
  const site = await siteWithMarks("unheard");
  site.machine.clock.leap(8 * DAY_MS);
  await keepHouse(site);
  expect(marksOf(site)).toBe(2);
  await expectGoneOnceHeard(site);
});

test("marks stay while a write that they stand against waits for its bytes", async () => {
  const from = await SimSite.open("waits-from");
  const to = await SimSite.open("waits-to");
  await setUp(from);
  await handOverAll(from, to);
  await put(from.store, 0, 0, Buffer.from("deleted"));
  await put(from.store, 1, 0, Buffer.from("removed"));
  const late = await entriesFor(from, to);
  for (const one of late) {
    const parked = { kind: "parked", reason: "it is on its way" } as const;
    await to.store.replica.ingest([{ ...one, inline: undefined, state: parked }], []);
  }
  await from.store.deleteObject({ bucket: PLAIN, key: keyOf("a") });
  await removeVersion(from.store, { bucket: VERSIONED, key: keyOf("a") });
  await handOverAll(from, to);
  await meet(to);
  acknowledge(to, from.store.replica.applied());
  to.machine.clock.leap(8 * DAY_MS);
  await keepHouse(to);
  expect(marksOf(to)).toBe(2);
  for (const one of late) {
    expect(await to.store.replica.ingest([one], [])).toEqual([{ outcome: "applied" }]);
  }
  expect(to.store.object(PLAIN, keyOf("a"))).toBeUndefined();
  expect(to.store.currentVersion(VERSIONED, keyOf("a"))).toBeUndefined();
  to.machine.clock.leap(DAY_MS);
  await keepHouse(to);
  expect(marksOf(to)).toBe(0);
});

test("a site that was away until the marks were dropped resurrects nothing when it comes back", async () => {
  const seed = new Seed("away");
  const here = await siteWithMarks("away-here");
  for (const at of [0, 1]) await put(here.store, at, 1, seed.bytes(30));
  const away = await SimSite.open("away-there");
  await takeAllRows(here, away.store, 100);
  // Away from now on: here both are removed, and after a month nobody waits for it any more.
  await here.store.deleteObject({ bucket: PLAIN, key: keyOf("a/b") });
  await removeVersion(here.store, { bucket: VERSIONED, key: keyOf("a/b") });
  acknowledge(here, new Map());
  await keepHouse(here);
  here.machine.clock.leap(31 * DAY_MS);
  await keepHouse(here);
  expect(marksOf(here)).toBe(0);
  away.machine.clock.leap(31 * DAY_MS);
  await put(away.store, 0, 2, seed.bytes(10));
  expect(away.store.object(PLAIN, keyOf("a/b"))).toBeDefined();

  const link = linkRows(here, away);
  const source = {
    site: here.running.site.identity.siteId,
    start: link.calls.start.bind(link.calls),
    rows: link.calls.rows.bind(link.calls),
  };
  const run = new BootstrapRun(
    {
      ...{ rows: away.store.rows, clock: away.clock, log: createMemoryLog() },
      own: () => away.running.site.identity.origin,
      fetch: fetchFrom(here, away),
    },
    source,
  );
  await run.run(new AbortController().signal);
  expect(away.store.object(PLAIN, keyOf("a/b"))).toBeUndefined();
  expect(away.store.currentVersion(VERSIONED, keyOf("a/b"))).toBeUndefined();
  expect(away.store.object(PLAIN, keyOf("a b"))).toBeDefined();
  // What it wrote while it was away comes by its log; nothing else of it does.
  await takeAllRows(away, here.store, 100);
  expect(here.store.object(PLAIN, keyOf("a/b"))).toBeUndefined();
  expect(here.store.currentVersion(VERSIONED, keyOf("a/b"))).toBeUndefined();
  expect(here.store.object(PLAIN, keyOf("a b"))).toBeDefined();
  expect(dumpLogicalRows(here.store)).toEqual(dumpLogicalRows(away.store));
});

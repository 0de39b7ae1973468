import { afterEach, expect, test } from "vitest";
import type { MemberSite } from "../../src/core/site-record.ts";
import { BootstrapRun } from "../../src/replication/bootstrap.ts";
import { OwedRows } from "../../src/replication/owed-rows.ts";
import { Verifier, type VerifyWish } from "../../src/replication/verify.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { handOverAll } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { fetchFrom, linkRows } from "../support/row-link.ts";
import { put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const PLAIN = bucketOf("plain");
const KEY = keyOf("a");
const NEVER = new AbortController().signal;

function objectAt({ store }: SimSite) {
  return store.object(PLAIN, KEY);
}

/** Takes over all rows; with `cut` it is broken off once a row has been left out. */
async function takeOver(from: SimSite, to: SimSite, cut = false): Promise<BootstrapRun> {
  const link = linkRows(from, to);
  link.heads = [...from.store.rows.heads()];
  link.weather = () => {
    if (cut && to.store.rows.bootstrap()?.owed !== undefined) throw new Error("the link was cut");
  };
  const source = {
    site: from.running.site.identity.siteId,
    start: link.calls.start.bind(link.calls),
    rows: (request: Parameters<typeof link.calls.rows>[0], signal: AbortSignal) =>
      link.calls.rows({ ...request, bytesMax: 200 }, signal),
  };
  const deps = { rows: to.store.rows, clock: to.clock, log: createMemoryLog() };
  const own = () => to.running.site.identity.origin;
  const run = new BootstrapRun({ ...deps, own, fetch: fetchFrom(from, to) }, source);
  await run.run(NEVER);
  return run;
}

/** A site with objects, of which the bytes of the first will be damaged. */
async function damagedSite(name: string): Promise<SimSite> {
  const site = await SimSite.open(name);
  await setUp(site);
  await put(site.store, 0, 0, Buffer.alloc(300, "damaged"));
  for (const key of [1, 2, 3]) await put(site.store, 0, key, Buffer.alloc(300, "whole"));
  return site;
}

async function spoil(site: SimSite): Promise<void> {
  // What was written last is read from memory.
  await site.restart();
  const object = objectAt(site);
  if (object === undefined) throw new Error("the object is not there");
  site.spoil(object);
}

/** Asks these sites, of which some may be away. */
function owedOf(to: SimSite, others: ReadonlyArray<SimSite | "away">): OwedRows {
  const { rows } = to.store;
  const members = others.map((_, at) => ({ id: String(at) }) as unknown as MemberSite);
  const verify = (peer: MemberSite, wish: VerifyWish) => {
    const other = others[Number(peer.id)];
    if (other === undefined || other === "away") throw new Error("it is away");
    const deps = {
      ...{ rows, hash: to.hash, clock: to.clock, marksKeptMs: 0 },
      applied: () => to.store.replica.applied(),
      fetch: fetchFrom(other, to),
      rightBytes: async () => undefined,
    };
    const link = linkRows(other, to);
    link.heads = [...other.store.rows.heads()];
    return new Verifier(deps, link.calls, NEVER).step(wish);
  };
  const log = createMemoryLog();
  return new OwedRows({ rows, clock: to.clock, log, peers: () => members, verify });
}

test("a row whose bytes are damaged at the source is owed, over restarts, until a member can give it", async () => {
  const from = await damagedSite("owed-from");
  const third = await SimSite.open("owed-third");
  await handOverAll(from, third);
  await spoil(from);
  const to = await SimSite.open("owed-to");
  await expect(takeOver(from, to, true)).rejects.toThrow("cut");
  expect(to.store.rows.bootstrap()?.owed).toHaveLength(1);
  await to.restart(true);
  const run = await takeOver(from, to);
  // Also what was left out before the restart is told at the end.
  expect(run.progress()).toMatchObject({ state: "done", skipped: 1 });
  expect(objectAt(to)).toBeUndefined();
  expect(to.store.object(PLAIN, keyOf("a/b"))?.record.size).toBe(300);
  const kept = dumpRows(to.kv, to.hash);
  await to.restart(true);
  expect(dumpRows(to.kv, to.hash)).toEqual(kept);
  const [position = ""] = to.store.rows.owed();
  expect(position).toContain("Dplain\0a\0");
  // Who cannot be asked, or has damaged bytes as well, is no reason to give up.
  await owedOf(to, []).ask();
  await owedOf(to, [from, "away"]).ask();
  expect(to.store.rows.owed()).toEqual([position]);
  await owedOf(to, [from, third]).ask();
  expect(to.store.rows.owed()).toEqual([]);
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(third.store));
  await to.restart(true);
  expect(to.store.rows.owed()).toEqual([]);
});

test("a row that is owed is not taken for removed by who takes over rows from here", async () => {
  const from = await damagedSite("passed-from");
  const third = await SimSite.open("passed-third");
  await handOverAll(from, third);
  await spoil(from);
  const to = await SimSite.open("passed-to");
  await takeOver(from, to);
  const fourth = await SimSite.open("passed-fourth");
  expect((await takeOver(to, fourth)).progress()).toMatchObject({ skipped: 1 });
  expect(fourth.store.rows.owed()).toEqual(to.store.rows.owed());
  // It has the bytes: nothing is removed, and nothing is missing.
  const run = await takeOver(to, third);
  expect(run.progress()).toMatchObject({ state: "done", removed: 0, skipped: 0 });
  expect(objectAt(third)?.record.size).toBe(300);
  expect(third.store.rows.owed()).toEqual([]);
});

test("a row is owed no more when every member says that there is none", async () => {
  const from = await damagedSite("given-up-from");
  await spoil(from);
  const to = await SimSite.open("given-up-to");
  await takeOver(from, to);
  await from.store.deleteObject({ bucket: PLAIN, key: KEY });
  await handOverAll(from, to);
  await owedOf(to, [from, "away"]).ask();
  expect(to.store.rows.owed()).toHaveLength(1);
  await owedOf(to, [from]).ask();
  expect(to.store.rows.owed()).toEqual([]);
});

import { afterEach, expect, test, vi } from "vitest";
import type { SiteRecord } from "../../src/core/site-record.ts";
import { BootstrapRun } from "../../src/replication/bootstrap.ts";
import { BootstrapLeases } from "../../src/replication/bootstrap-leases.ts";
import { answerBootstrap } from "../../src/replication/row-server.ts";
import { writeStartRequest } from "../../src/replication/wire-rows.ts";
import { TABLES } from "../../src/storage/metadata/rows.ts";
import { indexKey } from "../../src/storage/metadata/stored-rows.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { createSimRandom } from "../sim/sim-random.ts";
import { handOverAll } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { fetchFrom, knowTooMuch, linkRows } from "../support/row-link.ts";
import { BUCKETS, put } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const [PLAIN = "" as never] = BUCKETS;
/** Keys of the workload, in the order in which a walk meets them. */
const [FIRST, SECOND] = [0, 1];

/** Takes over all rows, one to a page; `between` is called before each page with its number. */
async function takeOver(
  from: SimSite,
  to: SimSite,
  between: (page: number) => Promise<void> = async () => undefined,
): Promise<void> {
  const link = linkRows(from, to);
  link.heads = [...from.store.rows.heads()];
  let page = 0;
  const source = {
    site: from.running.site.identity.siteId,
    start: link.calls.start.bind(link.calls),
    rows: async (request: Parameters<typeof link.calls.rows>[0], signal: AbortSignal) => {
      await between(page++);
      return await link.calls.rows({ ...request, bytesMax: 1 }, signal);
    },
  };
  const deps = { rows: to.store.rows, clock: to.clock, log: createMemoryLog() };
  const own = () => to.running.site.identity.origin;
  const run = new BootstrapRun({ ...deps, own, fetch: fetchFrom(from, to) }, source);
  await run.run(new AbortController().signal);
}

function marks({ kv }: SimSite): number {
  const { prefix } = TABLES.history;
  const range = { gte: indexKey(prefix, ""), lt: indexKey(prefix, "~") };
  return [...kv.range(range)].length;
}

function conflicts({ store }: SimSite): number {
  return store.conflicts.list(undefined, undefined, 10).conflicts.length;
}

/**
 * A site that has taken over rows of another one, of which one came before its log did: that is
 * overwritten here, and so is one that the log will never bring.
 */
async function joined(): Promise<{ readonly from: SimSite; readonly to: SimSite }> {
  const from = await SimSite.open("settled-from");
  const to = await SimSite.open("settled-to");
  await from.store.createBucket({ name: PLAIN, owner: "o" });
  await put(from.store, 0, FIRST, Buffer.from("first of all"));
  await put(from.store, 0, SECOND, Buffer.from("first of all"));
  await takeOver(from, to, async (page) => {
    if (page === 0) await put(from.store, 0, SECOND, Buffer.from("not covered by the heads"));
    // Behind the bucket and the first key.
    if (page === 2) await put(to.store, 0, FIRST, Buffer.from("written meanwhile"));
  });
  await put(to.store, 0, SECOND, Buffer.from("written before the log came"));
  return { from, to };
}

test("who overwrites what came as a row tells those who take over its rows, and forgets it when the log has come", async () => {
  const { from, to } = await joined();
  const [settled, ...others] = to.store.rows.settled();
  expect(others).toEqual([]);
  expect(settled?.write).toMatchObject({ origin: from.running.site.identity.origin, seq: 4 });
  const third = await SimSite.open("settled-third");
  await takeOver(to, third);
  expect(third.store.rows.settled()).toEqual([settled]);
  await third.restart(true);
  for (const site of [to, third]) {
    await handOverAll(from, site);
    expect(site.store.rows.settled()).toEqual([]);
    expect(conflicts(site)).toBe(0);
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(true);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  }
  await handOverAll(to, from);
  expect(conflicts(from)).toBe(0);
  expect(dumpLogicalRows(third.store)).toEqual(dumpLogicalRows(from.store));
});

test("what no log will bring any more is forgotten when the house is kept", async () => {
  const { to } = await joined();
  expect(marks(to)).toBe(2);
  await to.store.keepHouse();
  expect(marks(to)).toBe(1);
  expect(to.store.rows.settled()).toHaveLength(1);
});

test("what has still to come costs a look no reads of its own", async () => {
  const readsWith = async (keys: number): Promise<number> => {
    const from = await SimSite.open(`awaited-from-${keys}`);
    const to = await SimSite.open(`awaited-to-${keys}`);
    await from.store.createBucket({ name: PLAIN, owner: "o" });
    const putAll = async ({ store }: SimSite, text: string) => {
      for (let key = 0; key < keys; key++) await put(store, 0, key, Buffer.from(text));
    };
    await takeOver(from, to, async (page) => {
      if (page === 0) await putAll(from, "not covered by the heads");
    });
    await putAll(to, "written before the log came");
    expect(to.store.rows.settled()).toHaveLength(keys);
    const get = vi.spyOn(to.kv, "get");
    await to.store.keepHouse();
    expect(marks(to)).toBe(keys);
    return get.mock.calls.length;
  };
  expect(await readsWith(5)).toBe(await readsWith(1));
});

test("a conflict that is settled before its log has come stays settled when it comes", async () => {
  const from = await SimSite.open("resolved-from");
  const other = await SimSite.open("resolved-other");
  const to = await SimSite.open("resolved-to");
  other.machine.clock.leap(50);
  for (const { store } of [from, other]) await store.createBucket({ name: PLAIN, owner: "o" });
  await takeOver(from, to, async (page) => {
    if (page > 0) return;
    await put(from.store, 0, FIRST, Buffer.from("loses"));
    await put(other.store, 0, FIRST, Buffer.from("wins"));
    await handOverAll(other, from);
  });
  expect(conflicts(to)).toBe(1);
  const [lost] = to.store.conflicts.list(undefined, undefined, 1).conflicts;
  const { bucket, key, version } = lost ?? { bucket: PLAIN, key: "" as never, version: undefined };
  await to.store.conflicts.resolve({ bucket, key, version }, "discard");
  expect(conflicts(to)).toBe(0);
  await handOverAll(from, to);
  expect(conflicts(to)).toBe(0);
  await handOverAll(to, from);
  expect(conflicts(from)).toBe(0);
});

test("a site that remembers more than it can tell gives no rows now, and says why", async () => {
  const { from, to } = await joined();
  await knowTooMuch(to);
  const { hash, clock } = to;
  const deps = {
    ...{ rows: to.store.rows, hash, clock, leases: new BootstrapLeases(clock) },
    random: createSimRandom(new Seed("settled")),
    start: to.store.rows.start,
    isSetBack: async () => false,
    applied: () => new Map(),
    served: () => undefined,
  };
  const peer = { id: from.running.site.identity.siteId } as SiteRecord;
  const reply = await answerBootstrap(deps, {
    peer,
    body: writeStartRequest({ lease: undefined, known: [] }),
  });
  expect([reply.status, Buffer.from(reply.body).toString()]).toEqual([
    409,
    expect.stringContaining("too many writes"),
  ]);
  expect(deps.leases.vectors()).toEqual([]);
});

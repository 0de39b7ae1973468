import { afterEach, expect, test } from "vitest";
import { BootstrapRun } from "../../src/replication/bootstrap.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { handOverAll } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { fetchFrom, linkRows } from "../support/row-link.ts";
import { put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const VERSIONED = bucketOf("versioned");
const NEVER = new AbortController().signal;
const AHEAD = { outcome: "ahead-of-log" };

/** Takes over all rows; what happens meanwhile comes as rows, and is behind where logs go on. */
async function takeOverWhile(
  from: SimSite,
  to: SimSite,
  meanwhile: () => Promise<unknown>,
): Promise<void> {
  const link = linkRows(from, to);
  link.heads = [...from.store.rows.heads()];
  const source = {
    site: from.running.site.identity.siteId,
    start: async (...wish: Parameters<typeof link.calls.start>) => {
      const started = await link.calls.start(...wish);
      await meanwhile();
      return started;
    },
    rows: link.calls.rows.bind(link.calls),
  };
  const deps = { rows: to.store.rows, clock: to.clock, log: createMemoryLog() };
  const own = () => to.running.site.identity.origin;
  await new BootstrapRun({ ...deps, own, fetch: fetchFrom(from, to) }, source).run(NEVER);
}

async function pair(name: string): Promise<readonly [SimSite, SimSite]> {
  const from = await SimSite.open(`${name}-from`);
  await setUp(from);
  await put(from.store, 1, 0, Buffer.from("kept"));
  return [from, await SimSite.open(`${name}-to`)];
}

/** Both hear of everything, and agree. */
async function exchange(from: SimSite, to: SimSite): Promise<void> {
  await handOverAll(to, from);
  await handOverAll(from, to);
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
}

test("a bucket that came as a row is deleted once its log has come, and then everywhere", async () => {
  const [from, to] = await pair("late-bucket");
  const late = bucketOf("late");
  await takeOverWhile(from, to, () => from.store.createBucket({ name: late, owner: "o" }));
  expect(to.store.bucket(late)).toBeDefined();
  expect(await to.store.deleteBucket(late)).toEqual(AHEAD);
  // A bucket of which everything is known is no reason to wait.
  const early = bucketOf("plain");
  expect(await to.store.deleteBucket(early)).toEqual({ outcome: "deleted" });
  await to.restart(true);
  expect(await to.store.deleteBucket(late)).toEqual(AHEAD);
  await handOverAll(from, to);
  expect(await to.store.deleteBucket(late)).toEqual({ outcome: "deleted" });
  await exchange(from, to);
  for (const { store } of [from, to]) {
    expect([store.bucket(late), store.bucket(early)]).toEqual([undefined, undefined]);
  }
});

test("a bucket that was deleted and made again here goes although its first log has not come", async () => {
  const [from, to] = await pair("made-again");
  const late = bucketOf("late");
  await takeOverWhile(from, to, async () => {
    await from.store.createBucket({ name: late, owner: "o" });
    await from.store.deleteBucket(late);
  });
  expect(await to.store.createBucket({ name: late, owner: "o" })).toEqual({ outcome: "created" });
  expect(await to.store.deleteBucket(late)).toEqual({ outcome: "deleted" });
  expect(to.store.bucket(late)).toBeUndefined();
  await exchange(from, to);
  expect(from.store.bucket(late)).toBeUndefined();
});

test("a hold that came as a row is lifted once its log has come, and the version deleted", async () => {
  const [from, to] = await pair("late-hold");
  const key = keyOf("a");
  const hold = (site: SimSite, on: boolean) =>
    site.store.changeObject({ bucket: VERSIONED, key, change: { kind: "legal-hold", on } });
  await takeOverWhile(from, to, () => hold(from, true));
  expect(await hold(to, false)).toEqual(AHEAD);
  // Its tags are the last that were set, whatever their site knew.
  const tags = { kind: "tags", tags: [["t", "1"]] } as const;
  expect(await to.store.changeObject({ bucket: VERSIONED, key, change: tags })).toMatchObject({
    outcome: "changed",
  });
  await handOverAll(from, to);
  expect(await hold(to, false)).toMatchObject({ outcome: "changed" });
  await exchange(from, to);
  expect(from.store.object(VERSIONED, key)?.record.lock?.legalHold).toBe(false);
});

test("a version with a lock that came as a row, lifted by now, is deleted once the log has come", async () => {
  const [from, to] = await pair("late-lock");
  const key = keyOf("a");
  const change = (on: boolean) =>
    from.store.changeObject({ bucket: VERSIONED, key, change: { kind: "legal-hold", on } });
  await takeOverWhile(from, to, async () => {
    await change(true);
    await change(false);
    await put(from.store, 1, 1, Buffer.from("without any lock"));
  });
  const remove = (name: string) => {
    const version = to.store.object(VERSIONED, keyOf(name))?.version;
    return { bucket: VERSIONED, key: keyOf(name), version: version ?? "null" } as const;
  };
  const both = [remove("a/b"), remove("a")];
  const outcomes = await to.store.deleteObjects(both);
  expect(outcomes).toEqual([expect.objectContaining({ outcome: "deleted", existed: true }), AHEAD]);
  await handOverAll(from, to);
  expect(await to.store.deleteObject(remove("a"))).toMatchObject({ outcome: "deleted" });
  await exchange(from, to);
  for (const { store } of [from, to]) {
    expect(store.object(VERSIONED, key)).toBeUndefined();
    expect(store.object(VERSIONED, keyOf("a/b"))).toBeUndefined();
  }
});

import { afterEach, expect, test } from "vitest";
import { LIMITS } from "../../src/core/limits.ts";
import { fetchBody } from "../../src/replication/body-fetch.ts";
import { BootstrapRun } from "../../src/replication/bootstrap.ts";
import { openArchive, writeArchive } from "../../src/replication/row-archive.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { contentsOf, fill, put } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const NEVER = new AbortController().signal;
const BOX = "/srv/box";

async function exported(from: SimSite): Promise<Awaited<ReturnType<typeof writeArchive>>> {
  const { identity } = from.running.site;
  const { replica, rows } = from.store;
  const deps = { disk: from.machine.disk, replica, rows, cluster: () => identity.clusterId };
  return await writeArchive(
    { ...deps, site: identity.siteId, heads: () => rows.heads() },
    BOX,
    NEVER,
  );
}

async function imported(from: SimSite, to: SimSite): Promise<BootstrapRun> {
  const { clusterId } = from.running.site.identity;
  const archive = await openArchive(from.machine.disk, BOX, clusterId);
  const run = new BootstrapRun(
    {
      ...{ rows: to.store.rows, clock: to.clock, log: createMemoryLog() },
      own: () => to.running.site.identity.origin,
      fetch: (refs, first, signal) =>
        fetchBody(
          {
            ...{ replica: to.store.replica, hash: to.hash, sources: () => [archive.bodies] },
            lied: () => undefined,
            fetched: () => undefined,
          },
          refs,
          first,
          signal,
        ),
    },
    archive.rows,
  );
  await run.run(NEVER);
  return run;
}

test("what a site writes into a directory is all that another one takes out of it", async () => {
  const seed = new Seed("archive");
  const from = await SimSite.open("archive-from");
  await fill(from, seed, 120);
  await put(from.store, 0, 1, seed.bytes(9_000_000));
  const facts = await exported(from);
  expect(facts).toMatchObject({ rows: dumpLogicalRows(from.store).length, skipped: 0 });
  const to = await SimSite.open("archive-to");
  const run = await imported(from, to);
  expect(run.progress()).toMatchObject({ state: "done", skipped: 0 });
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  expect(await contentsOf(to.store)).toEqual(await contentsOf(from.store));
  expect(to.store.rows.floors()).toEqual(from.store.rows.heads());
  // Once more it changes nothing.
  await imported(from, to);
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
});

test("a site that remembers more than it can tell writes nothing now, and says why", async () => {
  const from = await SimSite.open("archive-settled");
  await fill(from, new Seed("archive-settled"), 5);
  const { disk } = from.machine;
  const { rows, replica } = from.store;
  const settled = () => Array.from({ length: LIMITS.settledWritesMax + 1 }, () => ({}) as never);
  const { clusterId, siteId: site } = from.running.site.identity;
  const deps = { disk, replica, rows: { ...rows, settled }, cluster: () => clusterId };
  const writing = writeArchive({ ...deps, site, heads: () => rows.heads() }, BOX, NEVER);
  await expect(writing).rejects.toMatchObject({
    kind: "busy",
    message: expect.stringContaining("too many writes"),
  });
  expect(await disk.list(BOX)).toEqual([]);
});

test("a directory that is in use, not whole, of another cluster, or altered is refused", async () => {
  const seed = new Seed("archive-bad");
  const from = await SimSite.open("archive-bad-from");
  await fill(from, seed, 30);
  await put(from.store, 0, 1, seed.bytes(300_000));
  const { disk } = from.machine;
  const { clusterId } = from.running.site.identity;
  await expect(openArchive(disk, BOX, clusterId)).rejects.toMatchObject({ kind: "unsupported" });
  await exported(from);
  await expect(exported(from)).rejects.toMatchObject({ kind: "unsupported" });
  const other = await SimSite.open("archive-other");
  const otherCluster = other.running.site.identity.clusterId;
  await expect(openArchive(disk, BOX, otherCluster)).rejects.toThrow("another cluster");

  for (const name of (await disk.list(BOX)).filter((one) => one.startsWith("chunk-"))) {
    disk.flipBit(`${BOX}/${name}`, 77);
  }
  const to = await SimSite.open("archive-bad-to");
  await expect(imported(from, to)).rejects.toThrow("other bytes");
  expect(to.store.rows.floors()).toEqual([]);

  await disk.remove(`${BOX}/archive.json`);
  await expect(openArchive(disk, BOX, clusterId)).rejects.toMatchObject({ kind: "unsupported" });
});

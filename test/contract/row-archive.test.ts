import { afterEach, expect, test, vi } from "vitest";
import { fetchBody } from "../../src/replication/body-fetch.ts";
import { BootstrapRun } from "../../src/replication/bootstrap.ts";
import { openArchive, writeArchive } from "../../src/replication/row-archive.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { carryRow, dumpLogicalRows } from "../support/logical-rows.ts";
import { knowTooMuch } from "../support/row-link.ts";
import { contentsOf, fill, put } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const NEVER = new AbortController().signal;
const BOX = "/srv/box";

async function exported(
  from: SimSite,
  box = BOX,
): Promise<Awaited<ReturnType<typeof writeArchive>>> {
  const { identity } = from.running.site;
  const { replica, rows } = from.store;
  const deps = { disk: from.machine.disk, replica, rows, cluster: () => identity.clusterId };
  return await writeArchive({ ...deps, site: identity.siteId, start: rows.start }, box, NEVER);
}

async function imported(from: SimSite, to: SimSite, box = BOX): Promise<BootstrapRun> {
  const { clusterId } = from.running.site.identity;
  const archive = await openArchive(from.machine.disk, box, clusterId);
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

/** Leaves a site as an import leaves it that is cut when it has come to a position. */
async function interrupted(from: SimSite, to: SimSite, box: string, at: number): Promise<void> {
  const { clusterId, siteId: site } = from.running.site.identity;
  const { rows: source } = await openArchive(from.machine.disk, box, clusterId);
  const { lease, heads } = await source.start(undefined, NEVER);
  const all = from.store.rows.read({ from: "", to: undefined }, 10_000).rows;
  const position = all[at]?.position ?? "";
  const rows = await Promise.all(all.slice(0, at).map((row) => carryRow(from, to.store, row)));
  const progress = { site, lease, position, rows: at, heads };
  await to.store.rows.import({ rows, removed: [], progress, rewrite: false });
}

test("an import that was cut in the middle of a page goes on there", async () => {
  const from = await SimSite.open("archive-cut");
  await fill(from, new Seed("archive-cut"), 60);
  await exported(from);
  const to = await SimSite.open("archive-cut-to");
  await interrupted(from, to, BOX, 20);
  const run = await imported(from, to);
  expect(run.progress()).toMatchObject({ state: "done", skipped: 0 });
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
});

test("an import of another directory than the one that was cut begins anew", async () => {
  const from = await SimSite.open("archive-older");
  await fill(from, new Seed("archive-older"), 60);
  await exported(from, "/srv/older");
  const older = dumpLogicalRows(from.store);
  const heads = from.store.rows.heads();
  await put(from.store, 0, 0, Buffer.from("written since"));
  await exported(from, "/srv/newer");
  const to = await SimSite.open("archive-older-to");
  await interrupted(from, to, "/srv/newer", 0);
  await imported(from, to, "/srv/older");
  expect(dumpLogicalRows(to.store)).toEqual(older);
  // What was written since has still to come by the log.
  expect(to.store.rows.floors()).toEqual(heads);
});

test("a site that remembers more than it can tell writes nothing now, and says why", async () => {
  const from = await SimSite.open("archive-settled");
  await fill(from, new Seed("archive-settled"), 5);
  const { disk } = from.machine;
  const { rows, replica } = from.store;
  await knowTooMuch(from);
  const { clusterId, siteId: site } = from.running.site.identity;
  const deps = { disk, replica, rows, cluster: () => clusterId };
  const writing = writeArchive({ ...deps, site, start: rows.start }, BOX, NEVER);
  await expect(writing).rejects.toMatchObject({
    kind: "busy",
    message: expect.stringContaining("too many writes"),
  });
  expect(await disk.stat(BOX)).toBeUndefined();
});

test("what was written of an archive that came to no end is taken back, and nothing else", async () => {
  const seed = new Seed("archive-no-end");
  const from = await SimSite.open("archive-no-end");
  await fill(from, seed, 5);
  await put(from.store, 0, 1, seed.bytes(9_000_000));
  const { disk } = from.machine;
  // The directory is the operator's own, and somebody else writes to it meanwhile.
  await disk.makeDirectory(BOX);
  const create = disk.create.bind(disk);
  vi.spyOn(disk, "create").mockImplementation(async (path, mode) => {
    if (path.endsWith("archive.json")) throw new Error("no space");
    if (path.includes("/manifest-")) await (await create(`${BOX}/foreign`, mode)).close();
    return await create(path, mode);
  });
  await expect(exported(from)).rejects.toThrow("no space");
  expect(await disk.list(BOX)).toEqual(["foreign"]);
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

  const to = await SimSite.open("archive-bad-to");
  // The last bytes of a page are those of a small body.
  const page = `${BOX}/rows-000001`;
  const lastBit = (await disk.readFile(page)).length * 8 - 1;
  disk.flipBit(page, lastBit);
  await expect(imported(from, to)).rejects.toMatchObject({ kind: "corrupt" });
  expect(dumpLogicalRows(to.store)).toEqual([]);
  disk.flipBit(page, lastBit);
  for (const name of (await disk.list(BOX)).filter((one) => one.startsWith("chunk-"))) {
    disk.flipBit(`${BOX}/${name}`, 77);
  }
  await expect(imported(from, to)).rejects.toThrow("other bytes");
  expect(to.store.rows.floors()).toEqual([]);

  await disk.remove(`${BOX}/archive.json`);
  await expect(openArchive(disk, BOX, clusterId)).rejects.toMatchObject({ kind: "unsupported" });
});

test("a file that was copied in part is refused, and not read for ever", async () => {
  const from = await SimSite.open("archive-short");
  await fill(from, new Seed("archive-short"), 5);
  await put(from.store, 0, 0, new Seed("short").bytes(300_000));
  await exported(from);
  const { disk } = from.machine;
  const [name = ""] = (await disk.list(BOX)).filter((one) => one.startsWith("chunk-"));
  const half = (await disk.readFile(`${BOX}/${name}`)).subarray(0, 100_000);
  await disk.remove(`${BOX}/${name}`);
  const file = await disk.create(`${BOX}/${name}`, "buffered");
  await file.write(half, 0);
  await file.sync();
  await file.close();
  const to = await SimSite.open("archive-short-to");
  await expect(imported(from, to)).rejects.toThrow("another length");
  expect(to.store.rows.floors()).toEqual([]);
});

import { afterEach, expect, test } from "vitest";
import { parseSiteId } from "../../src/core/names.ts";
import { required } from "../../src/core/tagged-fields.ts";
import type { AskPeer } from "../../src/replication/peer-calls.ts";
import { PeerFault } from "../../src/replication/peer-fault.ts";
import { writeArchive } from "../../src/replication/row-archive.ts";
import { Seed } from "../sim/seed.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { linkRows } from "../support/row-link.ts";
import { fill } from "../support/row-workload.ts";
import { memberOf, putLarge, serviceFor, settle, untilIdle } from "../support/rows-service.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

/** Puts a directory with all rows of a site on another one's disk, as if that were its cluster. */
async function carryBox(from: SimSite, to: SimSite): Promise<void> {
  const { rows, replica } = from.store;
  const { siteId: site } = from.running.site.identity;
  const { clusterId } = to.running.site.identity;
  const deps = { disk: to.machine.disk, replica, rows, cluster: () => clusterId, site };
  const { start } = rows;
  await writeArchive({ ...deps, start }, "/srv/box", new AbortController().signal);
}

test("an import of a directory that is damaged says what is to be done", async () => {
  const from = await SimSite.open("damaged-from");
  await putLarge(from, new Seed("import").bytes(300_000));
  const to = await SimSite.open("damaged-to");
  await carryBox(from, to);
  const { disk } = to.machine;
  const [chunk] = (await disk.list("/srv/box")).filter((name) => name.startsWith("chunk-"));
  disk.flipBit(`/srv/box/${chunk}`, 99);
  const { service } = serviceFor(from, to);
  await expect(service.import("/srv/box")).rejects.toMatchObject({
    ...{ kind: "corrupt", message: expect.stringContaining("the directory is damaged") },
    hint: expect.stringContaining("import it again"),
  });
  disk.flipBit(`/srv/box/${chunk}`, 99);
  expect(await service.import("/srv/box")).toMatchObject({ state: "done" });
});

test("a site that stops ends a directory that is being written, and waits for that", async () => {
  const site = await SimSite.open("stops");
  await putLarge(site, new Seed("stops").bytes(9_000_000));
  const { service } = serviceFor(await SimSite.open("stops-peer"), site);
  const writing = service.export("/srv/box").then(
    () => "written",
    (failure: unknown) => failure,
  );
  let isOver = false;
  void writing.then(() => {
    isOver = true;
  });
  await service.stop();
  expect(isOver).toBe(true);
  expect(await writing).toMatchObject({
    kind: "closed",
    message: expect.stringContaining("stops"),
  });
  // What was written so far would fill the disk that is to travel, and is good for nothing.
  expect(await site.machine.disk.stat("/srv/box")).toBeUndefined();
});

test("what a peer gives too slowly is left off for a directory, and for another peer", async () => {
  const from = await SimSite.open("slow-from");
  await fill(from, new Seed("slow"), 60);
  const to = await SimSite.open("slow-to");
  await carryBox(from, to);
  const gone = { ...memberOf(from), id: required(parseSiteId("00000000000000aa"), "site") };
  const silent: AskPeer = (_peer, { signal }) =>
    new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  const link = linkRows(from, to);
  const ask: AskPeer = (peer, request) =>
    peer.id === gone.id ? silent(peer, request) : link.ask(peer, request);
  const { service, peer } = serviceFor(from, to, {}, { ask, peers: () => [gone, memberOf(from)] });
  service.start();
  expect(service.bootstrap(gone.id)).toBe(true);
  await settle();
  // What is no archive interrupts nothing.
  await expect(service.import("/srv/nothing")).rejects.toMatchObject({ kind: "unsupported" });
  expect(service.progress()).toMatchObject({ site: gone.id, state: "running" });
  expect(await service.import("/srv/box")).toMatchObject({ site: peer.id, state: "done" });
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  expect(service.bootstrap(gone.id)).toBe(true);
  await settle();
  expect(service.bootstrap(peer.id)).toBe(true);
  await untilIdle(service);
  expect(service.progress()).toMatchObject({ site: peer.id, state: "done" });
  await service.stop();
});

test("an import that is damaged leaves a peer's rows where they were, and these go on", async () => {
  const from = await SimSite.open("back-from");
  await putLarge(from, new Seed("back").bytes(300_000));
  const to = await SimSite.open("back-to");
  await carryBox(from, to);
  const { disk } = to.machine;
  const pages = (await disk.list("/srv/box")).filter((name) => name.startsWith("rows-"));
  disk.flipBit(`/srv/box/${pages[0]}`, 99);
  const { lease, heads } = await linkRows(from, to).calls.start(
    undefined,
    new AbortController().signal,
  );
  const site = from.running.site.identity.siteId;
  const progress = { site, lease, position: "", rows: 0, heads };
  await to.store.rows.import({ rows: [], removed: [], progress, rewrite: false });
  const { service } = serviceFor(from, to);
  await expect(service.import("/srv/box")).rejects.toMatchObject({ kind: "corrupt" });
  await untilIdle(service);
  expect(service.progress()).toMatchObject({ site, state: "done" });
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  await service.stop();
});

test("an import is under way from the moment it is asked for", async () => {
  const from = await SimSite.open("import-from");
  await fill(from, new Seed("import"), 30);
  const to = await SimSite.open("import-to");
  const { identity } = from.running.site;
  await carryBox(from, to);
  const { service, peer } = serviceFor(from, to);
  const first = service.import("/srv/box");
  const second = service.import("/srv/box");
  expect(service.bootstrap(peer.id)).toBe(false);
  service.belowFloor(peer, [identity.origin]);
  expect(await second).toBeUndefined();
  expect(await first).toMatchObject({ state: "done" });
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  await expect(service.import("/srv/nothing")).rejects.toMatchObject({ kind: "unsupported" });
  expect(service.bootstrap(peer.id)).toBe(true);
  await service.stop();
});

test("a site that its cluster has removed takes over no rows, and asks no more", async () => {
  const [from, to] = [await SimSite.open("removed-from"), await SimSite.open("removed")];
  let asked = 0;
  const ask: AskPeer = async () => {
    asked += 1;
    const hint = "Join again.";
    throw new PeerFault("refused", "it was removed", { reason: "removed-site", hint });
  };
  const { service, peer, log } = serviceFor(from, to, {}, { ask });
  service.start();
  expect(service.bootstrap(peer.id)).toBe(true);
  await untilIdle(service);
  expect(service.progress()).toMatchObject({
    ...{ site: peer.id, state: "refused", failure: "it was removed. Join again." },
  });
  for (let turn = 0; turn < 100; turn++) await settle();
  expect([asked, service.isTakingOver]).toEqual([1, false]);
  expect(log.lines.map(({ message }) => message)).toEqual([
    "no rows are taken over: this site was removed from its cluster",
  ]);
  await service.stop();
});

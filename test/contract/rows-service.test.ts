import { afterEach, expect, test } from "vitest";
import { parseSeq, parseSiteId, type SiteId } from "../../src/core/names.ts";
import type { MemberSite } from "../../src/core/site-record.ts";
import { required } from "../../src/core/tagged-fields.ts";
import type { AskPeer, PeerCalls } from "../../src/replication/peer-calls.ts";
import { PeerFault } from "../../src/replication/peer-fault.ts";
import type { PeerCall } from "../../src/replication/peer-server.ts";
import {
  answerBootstrap,
  answerRanges,
  answerRowHashes,
  answerRows,
  type RowServerDeps,
} from "../../src/replication/row-server.ts";
import type { RowsService, RowsServiceDeps } from "../../src/replication/rows-service.ts";
import { Seed } from "../sim/seed.ts";
import { createSimRandom } from "../sim/sim-random.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { handOverAll } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { linkRows, ownHead } from "../support/row-link.ts";
import { fill, setUp } from "../support/row-workload.ts";
import {
  inSmallPages,
  memberOf,
  putLarge,
  serviceFor,
  settle,
  slowly,
  untilIdle,
  WAITING,
} from "../support/rows-service.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

/** A bucket and an object that nobody else has. */
async function putOwn({ store }: SimSite): Promise<void> {
  const [bucket, bytes] = [bucketOf("own"), Buffer.from("mine")];
  await store.createBucket({ name: bucket, owner: "o" });
  const attributes = { system: [], user: [], storageClass: undefined, tags: [] };
  const rest = { attributes, checksums: [], parts: [], encryption: undefined };
  const object = { size: bytes.length, etag: "0".repeat(32), ...rest };
  await store.putObject({ bucket, key: keyOf("k"), object, body: { kind: "inline", bytes } });
}

test("an empty site whose peer's log begins too late takes over rows by itself", async () => {
  const from = await SimSite.open("service-from");
  await fill(from, new Seed("service"), 60);
  const to = await SimSite.open("service-to");
  const { service, peer } = serviceFor(from, to);
  service.start();
  service.belowFloor(peer, [ownHead(from).origin]);
  expect(service.isTakingOver).toBe(true);
  await untilIdle(service);
  expect(service.progress()).toMatchObject({ state: "done", skipped: 0 });
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  expect(to.store.rows.floors()).toEqual([ownHead(from)]);
  await service.stop();
});

test("an empty site asks another member when the first one has operations without their bytes", async () => {
  const from = await SimSite.open("other-from");
  await fill(from, new Seed("other"), 60);
  const to = await SimSite.open("other-to");
  const link = linkRows(from, to);
  const asked: string[] = [];
  let cuts = 1;
  const ask: AskPeer = async (peer, request) => {
    asked.push(`${peer.name} ${request.path}`);
    const pages = asked.filter((one) => one === "berlin /v1/repl/rows").length;
    // Once it has begun at one of them, it stays there.
    if (pages === 3 && cuts-- > 0) throw new Error("the link was cut");
    if (peer.id !== WAITING.id) return link.ask(peer, request);
    return { status: 409, body: Buffer.from('{"problem":"bytes are not here yet"}') };
  };
  const peers = () => [WAITING, memberOf(from)];
  const { service, log } = serviceFor(from, to, {}, { ask: inSmallPages(ask), peers });
  service.start();
  service.belowFloor(WAITING, [ownHead(from).origin]);
  while (service.progress()?.state !== "done") await settle();
  expect(asked.filter((one) => one.startsWith("waiting"))).toEqual(["waiting /v1/repl/bootstrap"]);
  expect(log.lines.map(({ fields }) => fields["failure"])).toContain("bytes are not here yet");
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  await service.stop();
});

test("who is named to give rows is asked again and again, and no other member", async () => {
  const from = await SimSite.open("named-from");
  const to = await SimSite.open("named-to");
  const asked: string[] = [];
  const ask: AskPeer = async (peer) => {
    asked.push(peer.name);
    return { status: 409, body: Buffer.from('{"problem":"bytes are not here yet"}') };
  };
  const peers = () => [WAITING, memberOf(from)];
  const { service } = serviceFor(from, to, {}, { ask, peers });
  service.start();
  expect(service.bootstrap(WAITING.id)).toBe(true);
  while (asked.length < 5) await settle();
  expect(new Set(asked)).toEqual(new Set(["waiting"]));
  expect(service.progress()).toMatchObject({ state: "failed", failure: "bytes are not here yet" });
  await service.stop();
});

test("a site that was away is told the command, once, and does nothing by itself", async () => {
  const from = await SimSite.open("told-from");
  const to = await SimSite.open("told-to");
  await setUp(from);
  await handOverAll(from, to);
  await fill(from, new Seed("told"), 20);
  const before = dumpLogicalRows(to.store);
  const { service, log, peer } = serviceFor(from, to);
  service.start();
  for (let times = 0; times < 3; times++) service.belowFloor(peer, [ownHead(from).origin]);
  expect(service.isTakingOver).toBe(false);
  expect(dumpLogicalRows(to.store)).toEqual(before);
  const told = JSON.stringify(log.lines).split("atoll repl-bootstrap --from berlin").length - 1;
  expect(told).toBe(1);
  expect(service.bootstrap(peer.id)).toBe(true);
  await untilIdle(service);
  expect(service.progress()).toMatchObject({ state: "done" });
  await service.stop();
});

test("a site that was set back begins anew before it gives up a row, and then goes on", async () => {
  const from = await SimSite.open("lost-from");
  const to = await SimSite.open("lost-to");
  await fill(from, new Seed("lost"), 20);
  await putOwn(to);
  const before = dumpLogicalRows(to.store);
  const told: unknown[] = [];
  const seq = parseSeq(3);
  const setBacks: RowsServiceDeps["setBacks"] = {
    find: async (heads) => {
      told.push(heads);
      return seq;
    },
    beginAnew: (source, at) => {
      told.push([source, at]);
    },
  };
  const first = serviceFor(from, to, {}, { setBacks, own: () => ownHead(from).origin });
  first.service.start();
  first.service.bootstrap(first.peer.id);
  while (told.length < 2) await settle();
  await first.service.stop();
  expect(told).toEqual([[ownHead(from)], [first.peer.id, seq]]);
  expect(first.service.progress()).toMatchObject({ state: "failed", rows: 0 });
  expect(dumpLogicalRows(to.store)).toEqual(before);
  // The next start is another origin.
  const next = serviceFor(from, to);
  next.service.start();
  await untilIdle(next.service);
  expect(to.store.rows.floors()).toEqual([ownHead(from)]);
  expect(dumpLogicalRows(to.store)).toEqual(expect.arrayContaining(dumpLogicalRows(from.store)));
  await next.service.stop();
});

test("a site with data takes over by itself what one had that it meets, and is whole meanwhile", async () => {
  const from = await SimSite.open("met-from");
  await fill(from, new Seed("met-from"), 60);
  const to = await SimSite.open("met-to");
  await putOwn(to);
  const { service, log, peer, link } = serviceFor(from, to);
  service.start();
  const { origin } = ownHead(from);
  // It cannot be had at first: then this is no reason to hold anything back.
  link.weather = () => {
    throw new Error("the link was cut");
  };
  for (let tries = 0; tries < 3; tries++) {
    service.belowFloor(peer, [origin]);
    await untilIdle(service);
    await settle();
    expect([service.isTakingOver, to.store.rows.bootstrap()]).toEqual([false, undefined]);
  }
  expect(log.lines.filter(({ message }) => message.includes("later"))).toHaveLength(1);
  let pages = 0;
  const merging: unknown[] = [];
  link.weather = (path) => {
    if (path !== "/v1/repl/rows") return;
    pages += 1;
    if (pages > 1) merging.push(to.store.rows.bootstrap()?.merges);
    if (pages === 3) throw new Error("the link was cut");
  };
  service.belowFloor(peer, [origin]);
  await untilIdle(service);
  expect(merging.length).toBeGreaterThan(2);
  expect(new Set(merging)).toEqual(new Set([true]));
  expect(service.progress()).toMatchObject({ state: "done", skipped: 0, removed: 0 });
  const own = (row: string): boolean => /^"[CD]own/.test(row);
  const merged = dumpLogicalRows(to.store);
  expect(merged.filter((row) => !own(row))).toEqual(dumpLogicalRows(from.store));
  expect(merged.filter(own).length).toBeGreaterThan(0);
  await service.stop();
});

test("of two sites that want each other's rows at once, one goes first and both get them", async () => {
  const sites = await Promise.all(["each-a", "each-b"].map((name) => SimSite.open(name)));
  const [a, b] = sites as [SimSite, SimSite];
  const seed = new Seed("each");
  for (const site of sites) await fill(site, seed, 40);
  const services = new Map<SimSite, RowsService>();
  const taking: boolean[] = [];
  const open = (to: SimSite, from: SimSite): SiteId => {
    const ask: AskPeer = async (_peer, { path, body = Buffer.of() }) => {
      await settle();
      const route = services.get(from)?.routes.find((one) => one.path === path);
      const call = { peer: memberOf(to), body } as unknown as PeerCall;
      const answer = await required(route, "route").answer(call);
      taking.push(sites.every(({ store }) => store.rows.bootstrap() !== undefined));
      await settle();
      return { status: answer.status, body: Buffer.from(answer.body) };
    };
    const { service } = serviceFor(from, to, {}, { ask: inSmallPages(ask), clock: slowly(to) });
    services.set(to, service);
    return memberOf(from).id;
  };
  const [idOfB, idOfA] = [open(a, b), open(b, a)];
  expect(services.get(a)?.bootstrap(idOfB)).toBe(true);
  expect(services.get(b)?.bootstrap(idOfA)).toBe(true);
  const isDone = (site: SimSite): boolean => services.get(site)?.progress()?.state === "done";
  for (let turns = 0; turns < 200_000 && !(isDone(a) && isDone(b)); turns++) await settle();
  expect([isDone(a), isDone(b)]).toEqual([true, true]);
  expect(taking).not.toContain(true);
  expect(dumpLogicalRows(a.store)).toEqual(dumpLogicalRows(b.store));
  for (const service of services.values()) await service.stop();
});

test("a start goes on with a bootstrap that was interrupted", async () => {
  const from = await SimSite.open("resumed-from");
  await fill(from, new Seed("resumed"), 60);
  const to = await SimSite.open("resumed-to");
  const { lease, heads } = await linkRows(from, to).calls.start(
    undefined,
    new AbortController().signal,
  );
  const site = from.running.site.identity.siteId;
  const progress = { site, lease, position: "", rows: 0, heads };
  await to.store.rows.import({ rows: [], removed: [], progress, rewrite: false });
  await to.restart();
  const { service } = serviceFor(from, to);
  expect(service.isTakingOver).toBe(true);
  service.start();
  await untilIdle(service);
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  await service.stop();
});

test("a bootstrap whose source was removed meanwhile begins anew from another member", async () => {
  const from = await SimSite.open("left-from");
  await fill(from, new Seed("left"), 60);
  const to = await SimSite.open("left-to");
  const site = required(parseSiteId("00000000000000aa"), "site");
  const progress = { site, lease: "ab".repeat(16), position: "", rows: 0, heads: [ownHead(from)] };
  await to.store.rows.import({ rows: [], removed: [], progress, rewrite: false });
  await to.restart();
  const { service, peer } = serviceFor(from, to);
  service.start();
  await untilIdle(service);
  expect(service.progress()).toMatchObject({ site: peer.id, state: "done" });
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  await service.stop();
});

test("a peer that cannot give right bytes is noted, and the next one is asked", async () => {
  const site = await SimSite.open("damaged");
  const bytes = new Seed("damaged").bytes(5_000_000);
  const object = await putLarge(site, bytes);
  const asked: unknown[] = [];
  const cut = new PeerFault("unreachable", "the line was cut");
  const peers = ["paris", "oslo", "rome"].map((name) => ({
    site: name,
    chunk: async (wish: { readonly offset: number; readonly bytes: number }) => {
      if (name === "paris") throw cut;
      return name === "oslo" ? undefined : bytes.subarray(wish.offset, wish.offset + wish.bytes);
    },
  }));
  const { service } = serviceFor(site, site, {
    callsOf: () => peers as unknown as PeerCalls[],
    passedOver: { asked: (...how) => void asked.push(how) },
  });
  site.spoil(object);
  service.start();
  const read = await readBody(site.store, object, 0, 1000);
  expect(read.equals(bytes.subarray(0, 1000))).toBe(true);
  expect(asked).toEqual([
    ["paris", "right bytes", cut],
    ["oslo", "right bytes", undefined],
    ["rome", "right bytes", undefined],
  ]);
  await service.stop();
});

test("a site that was set back, and does not know it, takes nothing from who knows better", async () => {
  const from = await SimSite.open("set back from");
  const to = await SimSite.open("set back to");
  await fill(from, new Seed("before"), 20);
  await from.running.site.close();
  const snapshot = from.machine.disk.copy(new Seed("snapshot"));
  from.running = await from.machine.open();
  await fill(from, new Seed("lost"), 20);
  await handOverAll(from, to);
  const before = dumpLogicalRows(to.store);
  await from.running.site.close();
  from.machine.disk = snapshot;
  from.running = await from.machine.open();
  await fill(from, new Seed("since"), 30);
  const { service, peer } = serviceFor(from, to);
  service.start();
  expect(service.bootstrap(peer.id)).toBe(true);
  while ((service.progress()?.state ?? "running") === "running") await settle();
  expect(service.progress()).toMatchObject({
    state: "failed",
    failure: expect.stringContaining("set back"),
  });
  await service.stop();
  expect(dumpLogicalRows(to.store)).toEqual(before);
});

test("peers that ask for what cannot be are refused, and nothing is changed", async () => {
  const site = await SimSite.open("asked");
  await fill(site, new Seed("asked"), 10);
  const before = dumpLogicalRows(site.store);
  const { leases } = linkRows(site, site);
  const peer = { id: site.running.site.identity.siteId } as MemberSite;
  const deps = (changes: Partial<RowServerDeps> = {}): RowServerDeps => ({
    ...{ rows: site.store.rows, hash: site.hash, clock: site.clock, leases },
    ...{ random: createSimRandom(new Seed("asked")), applied: () => new Map() },
    start: site.store.rows.start,
    isSetBack: async () => false,
    served: () => undefined,
    ...changes,
  });
  const junk = [Buffer.from("{"), Buffer.from("null"), Buffer.from('{"lease":7}'), Buffer.of(255)];
  for (const body of junk) {
    for (const answer of [answerBootstrap, answerRows, answerRanges, answerRowHashes]) {
      expect((await answer(deps(), { peer, body })).status).toBe(400);
    }
  }
  const begin = async (lease: string | null, changes?: Partial<RowServerDeps>) => {
    const body = Buffer.from(JSON.stringify({ lease }));
    return (await answerBootstrap(deps(changes), { peer, body })).status;
  };
  expect(await begin("never given")).toBe(410);
  expect(await begin(null, { start: async () => ({ problem: "not now" }) })).toBe(409);
  expect(await begin(null, { isSetBack: async () => true })).toBe(409);
  expect(await begin(null)).toBe(200);
  expect(dumpLogicalRows(site.store)).toEqual(before);
});

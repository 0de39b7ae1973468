import { afterEach, expect, test } from "vitest";
import type { MemberSite } from "../../src/core/site-record.ts";
import type { AskPeer } from "../../src/replication/peer-calls.ts";
import { PeerFault } from "../../src/replication/peer-fault.ts";
import { Seed } from "../sim/seed.ts";
import { handOverAll } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { linkRows, ownHead } from "../support/row-link.ts";
import { fill } from "../support/row-workload.ts";
import { memberOf, serviceFor, settle, untilIdle, WAITING } from "../support/rows-service.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * An empty site that joins takes over the rows of a member, also where the logs would bring all: it
 * must not say that there is nothing where something is on its way.
 */

afterEach(closeSimSites);

test("it knows that it lacks something before anybody has given it a row, and after a restart", async () => {
  const from = await SimSite.open("joined-from");
  await fill(from, new Seed("joined"), 40);
  const to = await SimSite.open("joined-to");
  const ask: AskPeer = async () => {
    throw new PeerFault("unreachable", "the line is cut");
  };
  const cut = serviceFor(from, to, {}, { ask });
  cut.service.start();
  expect(await cut.service.joined(cut.peer.id)).toBe(true);
  expect(to.store.rows.bootstrap()).toMatchObject({ site: cut.peer.id, rows: 0, position: "" });
  // A join that was cut off is finished by trying it once more, and says the same.
  expect(await cut.service.joined(cut.peer.id)).toBe(true);
  await cut.service.stop();
  await to.restart();
  const { service } = serviceFor(from, to);
  expect(service.isTakingOver).toBe(true);
  service.start();
  expect(service.holdsLogs).toBe(true);
  await untilIdle(service);
  expect(service.progress()).toMatchObject({ state: "done", skipped: 0 });
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  expect(to.store.rows.floors()).toEqual([ownHead(from)]);
  await service.stop();
});

test("when the site that let it in gives none, another member does, also after a restart", async () => {
  const from = await SimSite.open("other-from");
  await fill(from, new Seed("other"), 40);
  const to = await SimSite.open("other-to");
  const asked: string[] = [];
  const refuse: AskPeer = async (peer) => {
    asked.push(peer.name);
    return { status: 409, body: Buffer.from('{"problem":"this site takes over rows itself"}') };
  };
  const before = serviceFor(from, to, {}, { ask: refuse, peers: () => [WAITING, memberOf(from)] });
  before.service.start();
  await before.service.joined(WAITING.id);
  while (asked.length < 4) await settle();
  // Until one of them begins to give rows, what the logs bring is taken.
  expect([before.service.isTakingOver, before.service.holdsLogs]).toEqual([true, false]);
  expect(asked.slice(0, 4)).toEqual(["waiting", "berlin", "waiting", "berlin"]);
  await before.service.stop();
  await to.restart();
  const link = linkRows(from, to);
  const ask: AskPeer = (peer, request) =>
    peer.id === WAITING.id ? refuse(peer, request) : link.ask(peer, request);
  const peers = () => [WAITING, memberOf(from)];
  const { service } = serviceFor(from, to, {}, { ask, peers });
  service.start();
  await untilIdle(service);
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  await service.stop();
});

test("when nobody is left, or it was removed, it has all that it will ever have", async () => {
  for (const why of ["alone", "removed"]) {
    const from = await SimSite.open(`${why}-from`);
    const to = await SimSite.open(`${why}-to`);
    const ask: AskPeer = async () => {
      throw new PeerFault("refused", "this site was removed", { reason: "removed-site" });
    };
    const peers = () => (why === "alone" ? [] : [memberOf(from)]);
    const { service } = serviceFor(from, to, {}, { ask, peers });
    service.start();
    expect(await service.joined(memberOf(from).id)).toBe(true);
    while (service.isTakingOver) await settle();
    expect(to.store.rows.bootstrap()).toBeUndefined();
    await service.stop();
    await to.restart(true);
    expect(to.store.rows.bootstrap()).toBeUndefined();
  }
});

test("when the logs have brought all that any member has, rows are not wanted any more", async () => {
  const from = await SimSite.open("logs-from");
  await fill(from, new Seed("logs"), 20);
  const to = await SimSite.open("logs-to");
  const asked: string[] = [];
  const ask: AskPeer = async (peer) => {
    asked.push(peer.name);
    return { status: 409, body: Buffer.from('{"problem":"too much came behind them"}') };
  };
  let isHeard = false;
  const receivedBy = (site: MemberSite["id"]) =>
    site === WAITING.id && !isHeard ? undefined : from.store.replica.applied();
  const peers = () => [memberOf(from), WAITING];
  const { service, peer, log } = serviceFor(from, to, {}, { ask, receivedBy, peers });
  service.start();
  await service.joined(peer.id);
  while (asked.length < 3) await settle();
  expect(service.isTakingOver).toBe(true);
  await handOverAll(from, to);
  const before = asked.length;
  while (asked.length < before + 4) await settle();
  // Another one may have more.
  expect(service.isTakingOver).toBe(true);
  isHeard = true;
  while (service.isTakingOver) await settle();
  expect(log.lines.at(-1)?.message).toContain("the logs have brought all");
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  await service.stop();
});

test("a site that has data takes over nothing because it joins", async () => {
  const from = await SimSite.open("full-from");
  const to = await SimSite.open("full-to");
  await fill(to, new Seed("full"), 10);
  const { service, peer } = serviceFor(from, to);
  service.start();
  expect(await service.joined(peer.id)).toBe(false);
  expect(to.store.rows.bootstrap()).toBeUndefined();
  await service.stop();
});

test("what was written here meanwhile stays, and goes to the others by its log", async () => {
  const from = await SimSite.open("own-from");
  await fill(from, new Seed("own"), 20);
  const to = await SimSite.open("own-to");
  const { service, peer } = serviceFor(from, to);
  await service.joined(peer.id);
  await fill(to, new Seed("beside"), 10);
  service.start();
  await untilIdle(service);
  await handOverAll(to, from);
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  await service.stop();
});

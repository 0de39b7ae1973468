import { afterEach, expect, test } from "vitest";
import type { MemoryReplica } from "../../test/support/memory-replica.ts";
import { openTwins, writeSmall } from "../../test/support/replication-twins.ts";
import { ByteWriter } from "../core/bytes.ts";
import { signHead } from "../core/head-signature.ts";
import { parseSeq } from "../core/names.ts";
import { decodeOperation, encodeOperation } from "../core/operation-codec.ts";
import type { LogStart } from "../core/records.ts";
import { chainBehind } from "./log-entries.ts";
import { findOwnFork, isKnownBetter, lostWithRows, type OwnForkDeps } from "./own-fork.ts";
import type { PulledPage } from "./peer-calls.ts";
import { type KnownHead, markOf } from "./wire-pages.ts";

let stop: () => Promise<void> = async () => undefined;

afterEach(() => stop());

async function open() {
  const twins = await openTwins(["berlin", "paris"]);
  stop = twins.stop;
  return { ...twins, berlin: twins.site("berlin"), paris: twins.site("paris") };
}

/** How many operations are left, how many were lost, and how many have been written since. */
const SET_BACKS: ReadonlyArray<readonly [string, number, number, number]> = [
  ["nothing but lost its end", 5, 3, 0],
  ["written less than it lost", 5, 7, 2],
  ["written as much as it lost", 5, 4, 4],
  ["written more than it lost", 5, 2, 30],
  ["written much since long ago", 1, 300, 900],
  ["lost everything", 0, 4, 0],
  ["written from its beginning on", 0, 3, 40],
];
const WHOLE: typeof SET_BACKS = [
  ["lost nothing", 5, 0, 0],
  ["written more than the peer knows", 5, 0, 3],
];

test.each(SET_BACKS)(
  "a site that was set back and has %s learns where: %i left, %i lost, %i written",
  async (_how, left, lost, written) => {
    const { berlin, paris, clock, start } = await open();
    for (let count = 0; count < left + lost; count++) writeSmall(berlin, `before ${count}`);
    writeSmall(paris, "its own");
    start();
    await clock.advance(5000);
    expect(paris.replica.entries.length).toBe(left + lost + 1);
    berlin.replica.setBack(left);
    for (let count = 0; count < written; count++) writeSmall(berlin, `since ${count}`);
    await clock.advance(60_000);
    expect(berlin.setBacks).toEqual([["paris", left + 1]]);
    expect(paris.setBacks).toEqual([]);
    const asked = berlin.asked.filter(({ path }) => path === "/v1/repl/pull");
    expect(asked.length).toBeLessThan(80);
  },
);

test("a line that breaks while the place is looked for puts that off by no minute", async () => {
  const { berlin, paris, clock, start, world } = await open();
  for (let count = 0; count < 5; count++) writeSmall(berlin, `before ${count}`);
  start();
  await clock.advance(5000);
  expect(paris.replica.entries.length).toBe(5);
  let broken = 0;
  world.meddle = async (to, { body }, deliver) => {
    const asks = to === "paris" && body?.toString().includes(`"only":["${berlin.owner.origin}"]`);
    if (!asks || broken++ > 0) return await deliver();
    throw new Error("ECONNRESET");
  };
  berlin.replica.setBack(3);
  for (let count = 0; count < 4; count++) writeSmall(berlin, `since ${count}`);
  await clock.advance(50_000);
  expect([broken > 1, berlin.setBacks]).toEqual([true, [["paris", 4]]]);
});

test("what a site has not signed is no proof that it was set back", async () => {
  const { berlin, paris, hash, clock, start } = await open();
  writeSmall(berlin, "one");
  start();
  await clock.advance(5000);
  const last = berlin.replica.entries.find(({ encoded }) => {
    return decodeOperation(encoded).dot.origin === berlin.owner.origin;
  });
  const seq = parseSeq(2);
  if (last === undefined || seq === undefined) throw new Error("nothing was written");
  const writer = new ByteWriter();
  const operation = decodeOperation(last.encoded);
  const chainBefore = chainBehind(hash, last.encoded);
  const dot = { ...operation.dot, seq };
  encodeOperation(writer, { ...operation, dot, chainBefore });
  const encoded = writer.finish();
  const { clusterId: cluster, siteId: site, origin } = berlin.owner;
  const head = { cluster, site, origin, seq, chain: chainBehind(hash, encoded) };
  const signature = signHead(paris.owner.keyPair, head);
  const state = { kind: "whole", manifests: [] } as const;
  await paris.replica.ingest(
    [{ encoded, inline: last.inline, state }],
    [{ site, origin, seq, chain: head.chain, signature }],
  );
  await clock.advance(40_000);
  expect(berlin.setBacks).toEqual([]);
  const told = berlin.log.lines.map(({ fields }) => String(fields["problem"]));
  expect(told).toContain(`the head of ${origin} has not been signed by its site`);
  expect(berlin.watch.facts(paris.member.id).link).toBe("suspended");
});

/** A site that was set back, with what a peer knows of its log: all that is left of it are rows. */
async function setBackFar(left: number, lost: number, written: number, clock: "right" | "behind") {
  const { berlin } = await open();
  const { replica } = berlin;
  const write = (what: string, count: number, nowMs: number): void => {
    replica.nowMs = () => nowMs;
    for (let at = 0; at < count; at++) writeSmall(berlin, `${what} ${at}`);
  };
  write("before", left, 1000);
  write("lost", lost, 2000);
  const there = replica.received().get(replica.origin);
  if (there === undefined) throw new Error("nothing was written");
  replica.setBack(left);
  write("since", written, clock === "right" ? 3000 : 1500);
  return { replica, heads: [{ ...there, vector: new Map() }] };
}

test.each(SET_BACKS)(
  "a site that has %s learns where, though only rows are left: %i left, %i lost, %i written",
  async (_how, left, lost, written) => {
    const { replica, heads } = await setBackFar(left, lost, written, "right");
    expect(await lostWithRows(replica, heads)).toBe(left + 1);
    expect(await lostWithRows(replica, [])).toBeUndefined();
  },
);

test.each(WHOLE)("a site that has %s was not set back", async (_how, left, lost, written) => {
  const { replica, heads } = await setBackFar(left, lost, written, "right");
  expect(await lostWithRows(replica, heads)).toBeUndefined();
});

function markAt({ origin, seq, chain }: LogStart): KnownHead {
  return [origin, seq, markOf(chain)];
}

test.each([...SET_BACKS, ...WHOLE])(
  "a site that has %s sees that by what a peer knows, whatever its clock said",
  async (_how, left, lost, written) => {
    for (const clock of ["right", "behind"] as const) {
      const { replica, heads } = await setBackFar(left, lost, written, clock);
      const known = heads.map(markAt);
      expect(await isKnownBetter(replica, known)).toBe(lost > 0);
      expect(await isKnownBetter(replica, [])).toBe(false);
    }
  },
);

test("a site whose log begins behind what a peer knows cannot see whether it was set back", async () => {
  const { replica, heads } = await setBackFar(5, 1, 9, "right");
  const known = heads.map(markAt);
  expect(await isKnownBetter(beginningBehind(replica, 7), known)).toBe(false);
  expect(await isKnownBetter(beginningBehind(replica, 6), known)).toBe(true);
});

test.each([
  ["written less than it lost", 7, 2, 8],
  ["written as much as it lost", 4, 4, 9],
  ["written more than it lost", 2, 30, 7],
])(
  "a site that has %s with a clock that was behind begins anew where it must",
  async (_how, lost, written, from) => {
    const { replica, heads } = await setBackFar(5, lost, written, "behind");
    expect(await lostWithRows(replica, heads)).toBe(from);
  },
);

/** A log without its first operations. */
function beginningBehind(replica: MemoryReplica, gone: number): OwnForkDeps["replica"] {
  const { origin } = replica;
  const floors = new Map([[origin, parseSeq(gone) ?? expect.unreachable()]]);
  const received = () => replica.received();
  const readLog = replica.readLog.bind(replica);
  return { origin, received, floors: () => floors, readLog };
}

test.each([
  [3, 6],
  [5, 6],
  [7, 8],
])(
  "of a log without its first %i operations no more is given up than has gone",
  async (gone, from) => {
    const { replica, heads } = await setBackFar(5, 4, 9, "right");
    expect(await lostWithRows(beginningBehind(replica, gone), heads)).toBe(from);
  },
);

test("where a peer's log begins too late, its rows are asked for", async () => {
  const { berlin } = await open();
  for (let count = 0; count < 3; count++) writeSmall(berlin, `since ${count}`);
  const calls = {
    pull: async () => ({ head: { outcome: "below-floor" }, entries: [] }) as unknown as PulledPage,
  };
  const check = (): never => expect.unreachable("there is no page to check");
  const { replica } = berlin;
  const found = findOwnFork({ replica, calls, check }, new AbortController().signal);
  expect(await found).toBe("below-floor");
});

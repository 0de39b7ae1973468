import { afterEach, expect, test } from "vitest";
import {
  appliedSeqs,
  openTwins,
  type TwinSite,
  writeSmall,
} from "../../test/support/replication-twins.ts";
import { StorageFault } from "../core/faults.ts";
import { dotOf } from "./log-entries.ts";

let stop: () => Promise<void> = () => Promise.resolve();
afterEach(() => stop());

async function openSites() {
  const twins = await openTwins(["berlin", "paris"]);
  stop = twins.stop;
  return twins;
}

/** Holds up what is taken at a site; what is in front of it in line is given by `release`. */
function holdTaking({ replica }: TwinSite) {
  const waiting: Array<() => void> = [];
  const taken: number[] = [];
  const ingest = replica.ingest.bind(replica);
  replica.ingest = async (operations, heads) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    taken.push(operations.length);
    return ingest(operations, heads);
  };
  return { taken, release: () => waiting.shift()?.() };
}

function writeMuch(site: TwinSite, count: number): void {
  for (let at = 0; at < count; at++) writeSmall(site, `key-${at}`, "x".repeat(100_000));
}

function pullsOf({ asked }: TwinSite): number {
  return asked.filter(({ path }) => path === "/v1/repl/pull").length;
}

test("while a page is taken the next one is asked for, and no more than that", async () => {
  const { clock, site, start } = await openSites();
  const [berlin, paris] = [site("berlin"), site("paris")];
  const { taken, release } = holdTaking(paris);
  writeMuch(berlin, 100);
  start();
  await clock.advance(1000);
  expect(pullsOf(paris)).toBe(2);
  expect(appliedSeqs(paris)).toEqual([]);
  release();
  await clock.advance(1000);
  expect(pullsOf(paris)).toBe(3);
  for (let page = 0; page < 5; page++) {
    release();
    await clock.advance(1000);
  }
  expect(appliedSeqs(paris)).toEqual([100]);
  expect(taken.reduce((sum, count) => sum + count, 0)).toBe(100);
  const seqs = paris.replica.entries.map(({ encoded }) => dotOf(encoded).seq);
  expect(seqs).toEqual(seqs.map((_, at) => at + 1));
});

test("a page that was asked for ahead is given up when the one before could not be taken", async () => {
  const { clock, site, start } = await openSites();
  const [berlin, paris] = [site("berlin"), site("paris")];
  const ingest = paris.replica.ingest.bind(paris.replica);
  let failures = 0;
  paris.replica.ingest = (operations, heads) => {
    if (failures++ > 0) return ingest(operations, heads);
    return Promise.reject(new StorageFault("disk-full", "the disk is full"));
  };
  writeMuch(berlin, 100);
  start();
  await clock.advance(1000);
  expect(appliedSeqs(paris)).toEqual([100]);
  expect(paris.replication.counts.lies).toBe(0);
  expect(paris.watch.facts(berlin.member.id).link).toBe("connected");
});

test("a page that was asked for ahead is given up when part of the one before was refused", async () => {
  const { clock, site, start } = await openSites();
  const [berlin, paris] = [site("berlin"), site("paris")];
  const ingest = paris.replica.ingest.bind(paris.replica);
  let pages = 0;
  paris.replica.ingest = async (operations, heads) => {
    if (pages++ > 0) return ingest(operations, heads);
    const first = await ingest(operations.slice(0, 3), []);
    const dot = dotOf(operations[3]?.encoded ?? new Uint8Array(0));
    const gap = { outcome: "refused", reason: "bytes", dot, message: "not here" } as const;
    return [...first, ...operations.slice(3).map(() => gap)];
  };
  writeMuch(berlin, 100);
  start();
  await clock.advance(1000);
  expect(appliedSeqs(paris)).toEqual([100]);
  expect(paris.watch.facts(berlin.member.id).link).toBe("connected");
});

test("a busy link is asked so seldom that each page brings many operations", async () => {
  const { clock, site, start } = await openSites();
  const [berlin, paris] = [site("berlin"), site("paris")];
  start();
  await clock.advance(1000);
  const before = pullsOf(paris);
  for (let ms = 0; ms < 200; ms++) {
    for (let at = 0; at < 10; at++) writeSmall(berlin, `key-${ms}-${at}`);
    await clock.advance(1);
  }
  await clock.advance(50);
  expect(appliedSeqs(paris)).toEqual([2000]);
  expect(pullsOf(paris) - before).toBeLessThan(20);
  writeSmall(berlin, "quiet again");
  await clock.advance(1);
  expect(appliedSeqs(paris)).toEqual([2001]);
});

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { toHex } from "../../src/core/bytes.ts";
import type { Hash } from "../../src/ports/hash.ts";
import type { LogEntry } from "../../src/storage/replica.ts";
import type { Store } from "../../src/storage/store.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows, type Running } from "../sim/sim-machine.ts";
import { bucketOf } from "../sim/store-journal.ts";
import {
  fetchParked,
  handOver,
  handOverAll,
  type LogSite,
  positionOf,
} from "../support/hand-over.ts";
import { change, contentsOf, fill, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";
import { realSite, type SiteFixture } from "../support/site-fixture.ts";

let a: SimSite;
let b: SimSite;

beforeEach(async () => {
  a = await SimSite.open("replica a");
  b = await SimSite.open("replica b");
});

afterEach(closeSimSites);

/** The index as it is and the one made from the log alone are the same. */
async function expectSameAfterRebuild(site: SimSite): Promise<void> {
  const kept = dumpRows(site.kv, site.hash);
  await site.restart(true);
  expect(dumpRows(site.kv, site.hash)).toEqual(kept);
}

/** A site in a real directory, which is opened again and again. */
class RealSite implements LogSite {
  readonly fixture: SiteFixture;
  running: Running;

  constructor(fixture: SiteFixture, running: Running) {
    this.fixture = fixture;
    this.running = running;
  }

  static async open(): Promise<RealSite> {
    const fixture = await realSite("off");
    return new RealSite(fixture, await fixture.open());
  }

  get store(): Store {
    return this.running.site.store;
  }

  get hash(): Hash {
    return this.fixture.hash;
  }

  async restart(rebuildIndex: boolean): Promise<void> {
    await this.running.site.close();
    this.running = await this.fixture.open({ rebuildIndex });
  }
}

test("logs in real directories are handed on, and rebuilt, as simulated ones are", async () => {
  const [one, other] = [await RealSite.open(), await RealSite.open()];
  try {
    await setUp(one);
    const seed = new Seed("real");
    for (let step = 0; step < 30; step++) await change(one, seed);
    await put(one.store, 0, 0, Buffer.alloc(300_000, 5));
    await handOverAll(one, other, 3000);
    await put(other.store, 1, 1, Buffer.from("answer"));
    await handOverAll(other, one);
    expect(await contentsOf(other.store)).toEqual(await contentsOf(one.store));
    for (const site of [one, other]) {
      const kept = dumpRows(site.running.kv, site.hash);
      await site.restart(true);
      expect(dumpRows(site.running.kv, site.hash)).toEqual(kept);
    }
    expect(await contentsOf(other.store)).toEqual(await contentsOf(one.store));
  } finally {
    for (const site of [one, other]) {
      await site.running.site.close();
      site.fixture.remove();
    }
  }
});

function toText({ encoded, inline, missing }: LogEntry): string {
  const bytes = inline === undefined ? "none" : toHex(inline);
  return `${toHex(encoded)} ${bytes} ${missing ?? "whole"}`;
}

describe("a log that takes in operations of other sites", () => {
  test("shows what they say, byte for byte, and says how far it is", async () => {
    await fill(a, new Seed("fill"), 60);
    await put(a.store, 0, 0, Buffer.alloc(300_000, 5));
    await handOverAll(a, b, 3000);
    expect(await contentsOf(b.store)).toEqual(await contentsOf(a.store));
    const origin = a.store.replica.origin;
    expect(b.store.replica.received().get(origin)).toEqual(a.store.replica.received().get(origin));
    expect(b.store.replica.applied().get(origin)).toBe(a.store.logHead()?.seq);
    await expectSameAfterRebuild(b);
    expect(await contentsOf(b.store)).toEqual(await contentsOf(a.store));
    expect(positionOf(b)).toEqual(positionOf(a));
  });

  test("shows from memory what it shows from the disk, also of others, parked or not", async () => {
    const before = positionOf(a);
    await a.store.replica.readLog(before, 1);
    const seed = new Seed("memory");
    await fill(b, seed, 10);
    await handOver(b, a, 1000, () => seed.chance(0.3));
    await handOverAll(a, b);
    for (let round = 0; round < 6; round++) {
      for (let step = 0; step < 10; step++) await change(seed.chance(0.5) ? a : b, seed);
      await handOver(b, a, 3000, () => seed.chance(0.3));
      if (round % 2 === 0) await fetchParked(b, a);
      await handOverAll(a, b);
    }
    const kept = await a.store.replica.readLog(new Map(), 10_000_000);
    await a.restart(false);
    const read = await a.store.replica.readLog(new Map(), 10_000_000);
    if (kept.outcome !== "page" || read.outcome !== "page") throw new Error("it is all there");
    expect(kept.entries.length).toBeGreaterThan(60);
    expect(kept.entries.some(({ missing }) => missing === "parked")).toBe(true);
    expect(kept.entries.map(toText)).toEqual(read.entries.map(toText));
  });

  test("converges when both write, in turns and at once, and a third one is told by one", async () => {
    const c = await SimSite.open("replica c");
    const seed = new Seed("both");
    await fill(a, seed, 10);
    await handOverAll(a, b);
    for (let round = 0; round < 5; round++) {
      for (let step = 0; step < 15; step++) await change(seed.chance(0.5) ? a : b, seed);
      await handOverAll(a, b, 2000);
      await handOverAll(b, a, 5000);
      await handOverAll(b, c, 4000);
    }
    const shown = await contentsOf(a.store);
    expect(await contentsOf(b.store)).toEqual(shown);
    expect(await contentsOf(c.store)).toEqual(shown);
    for (const site of [a, b, c]) await expectSameAfterRebuild(site);
    await a.store.createBucket({ name: bucketOf("later"), owner: "o" });
    await handOverAll(a, c);
    expect(c.store.bucket(bucketOf("later"))).toBeDefined();
  });
});

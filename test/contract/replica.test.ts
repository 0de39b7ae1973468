import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf } from "../sim/store-journal.ts";
import { handOverAll, positionOf } from "../support/hand-over.ts";
import { change, contentsOf, fill, put } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

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

import { afterEach, describe, expect, test } from "vitest";
import { hlcFromMs } from "../../src/core/hlc.ts";
import { parseSeq } from "../../src/core/names.ts";
import { noteWithdrawing } from "../../src/storage/site-identity.ts";
import type { Withdrawing } from "../../src/storage/withdrawn-fields.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { handOverAll } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { change, contentsOf, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

/** Contents with the times of versions, but not with their origins. */
async function datedContents({ store }: SimSite): Promise<string[]> {
  const shown = await contentsOf(store);
  return shown.map((line) => line.replace(/ ([0-9a-f]{16})[0-9a-f]{16} /, " $1 "));
}

/** Contents without the ids of versions. */
async function plainContents({ store }: SimSite): Promise<string[]> {
  return (await contentsOf(store)).map((line) => line.replace(/ [0-9a-f]{32} /, " "));
}

function ownSeq({ store }: SimSite): number {
  return store.replica.received().get(store.replica.origin)?.seq ?? 0;
}

/** Has the next start withdraw everything behind a place in the site's own log. */
async function withdraw(
  site: SimSite,
  behind: number,
  times: Withdrawing["times"],
): Promise<string> {
  const { identity } = site.running.site;
  const { origin } = identity;
  const from = parseSeq(behind + 1);
  if (from === undefined) throw new Error("no such place");
  await site.running.site.close();
  const wish = { from: [{ origin, from }], times };
  await noteWithdrawing(site.machine.disk, site.directory, identity, wish);
  return origin;
}

type Fork = { readonly a: SimSite; readonly b: SimSite; readonly behind: number };

/**
 * A site that was set back to a snapshot of its disk, and has written since what no other site can
 * take, because they have the operations that it lost in the same places.
 */
async function fork(name: string): Promise<Fork> {
  const seed = new Seed(name);
  const a = await SimSite.open(`${name} a`);
  const b = await SimSite.open(`${name} b`);
  await setUp(a);
  await handOverAll(a, b);
  for (let step = 0; step < 10; step++) await change(step % 3 === 0 ? b : a, seed);
  await handOverAll(b, a);
  await handOverAll(a, b);
  const behind = ownSeq(a);
  await a.running.site.close();
  const snapshot = a.machine.disk.copy(seed.derive("snapshot"));
  a.running = await a.machine.open();
  for (let step = 0; step < 8; step++) await change(a, seed);
  await put(a.store, 0, 0, seed.bytes(300));
  await handOverAll(a, b);
  for (let step = 0; step < 4; step++) await change(b, seed);
  await a.running.site.close();
  a.machine.disk = snapshot.copy(seed.derive("set back"));
  a.running = await a.machine.open();
  expect(ownSeq(a)).toBe(behind);
  await put(a.store, 1, 0, seed.bytes(200_000));
  for (let step = 0; step < 12; step++) await change(a, seed);
  await put(a.store, 1, 1, seed.bytes(200_000));
  return { a, b, behind };
}

async function expectConverged({ a, b }: Fork): Promise<void> {
  for (const _round of [1, 2]) {
    await handOverAll(a, b);
    await handOverAll(b, a);
  }
  expect(dumpLogicalRows(a.store)).toEqual(dumpLogicalRows(b.store));
  expect(await contentsOf(a.store)).toEqual(await contentsOf(b.store));
  for (const site of [a, b]) {
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(true);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  }
}

describe.each([1, 2, 3, 4, 5, 6, 7, 8])("what a site wrote after it was set back (%i)", (seed) => {
  test("is issued again by its next incarnation, and reaches the others", async () => {
    const { a, b, behind } = await fork(`fork ${seed}`);
    const shown = await datedContents(a);
    await expect(handOverAll(a, b)).rejects.toThrow("another history");
    const before = await withdraw(a, behind, "kept");
    a.running = await a.machine.open();
    expect(a.store.replica.origin).not.toBe(before);
    expect(a.store.replica.received().get(a.running.site.identity.origin)?.seq).toBeGreaterThan(0);
    const left = [...a.store.replica.received().values()].find(({ origin }) => origin === before);
    expect(left?.seq ?? 0).toBe(behind);
    expect(await datedContents(a)).toEqual(shown);
    await put(a.store, 0, 2, Buffer.from("afterwards"));
    await expectConverged({ a, b, behind });
  });

  test("keeps what it shows, with times of now, when its times are not believed", async () => {
    const { a, b, behind } = await fork(`new times ${seed}`);
    const shown = await plainContents(a);
    await withdraw(a, behind, "new");
    for (const { machine } of [a, b]) machine.clock.leap(60_000);
    const now = hlcFromMs(a.machine.clock.nowMs());
    a.running = await a.machine.open();
    expect(await plainContents(a)).toEqual(shown);
    const { replica } = a.store;
    expect(replica.received().get(replica.origin)?.hlc).toBeGreaterThanOrEqual(now);
    await expectConverged({ a, b, behind });
  });
});

test("a start that dies while it withdraws operations leaves nothing behind", async () => {
  const { a, b, behind } = await fork("cut off");
  const shown = await datedContents(a);
  await withdraw(a, behind, "kept");
  let starts = 0;
  for (let cutAt = 3; ; cutAt += 7) {
    a.machine.disk.steps.cutPowerAt(cutAt);
    const died = await a.machine.open().then(
      (running) => {
        a.running = running;
        return false;
      },
      () => true,
    );
    if (!died) break;
    starts += 1;
    a.machine.cutPower();
  }
  expect(starts).toBeGreaterThan(10);
  a.machine.disk.steps.cutPowerAt(Number.POSITIVE_INFINITY);
  expect(await datedContents(a)).toEqual(shown);
  await expectConverged({ a, b, behind });
});

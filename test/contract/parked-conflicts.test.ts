import { afterEach, expect, test } from "vitest";
import type { IncomingOperation } from "../../src/storage/replica.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf } from "../sim/store-journal.ts";
import { entriesFor, handOverAll, whole } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { change, contentsOf, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * A site that was alone says of no write which one it took the place of: of its own, the later one
 * took the place of all before. That must also be known where an earlier one waits for its bytes.
 */

afterEach(closeSimSites);

const PLAIN = bucketOf("plain");

function parked(one: IncomingOperation): IncomingOperation {
  return { ...one, inline: undefined, state: { kind: "parked", reason: "it is on its way" } };
}

async function twoSites(name: string): Promise<[SimSite, SimSite]> {
  const from = await SimSite.open(`${name} from`);
  const to = await SimSite.open(`${name} to`);
  await setUp(from);
  return [from, to];
}

async function expectSame(from: SimSite, to: SimSite): Promise<void> {
  expect(to.store.conflicts.list(PLAIN, undefined, 10).conflicts).toEqual([]);
  expect(dumpLogicalRows(to.store)).toEqual(dumpLogicalRows(from.store));
  expect(await contentsOf(to.store)).toEqual(await contentsOf(from.store));
  const kept = dumpRows(to.kv, to.hash);
  await to.restart(true);
  expect(dumpRows(to.kv, to.hash)).toEqual(kept);
}

for (const restarts of [false, true]) {
  const when = restarts ? ", also across restarts and rebuilds" : "";
  test(`an earlier write whose bytes come late is no conflict beside a later one of its site${when}`, async () => {
    const [from, to] = await twoSites(`late${when}`);
    await handOverAll(from, to);
    for (const body of ["first", "second", "third"].map((text) => Buffer.from(text))) {
      await put(from.store, 0, 0, body);
    }
    const [first, second, third] = await entriesFor(from, to);
    if (first === undefined || second === undefined || third === undefined) throw new Error("none");
    const take = (one: IncomingOperation) => to.store.replica.ingest([one], []);
    await take(parked(first));
    if (restarts) await to.restart(true);
    await take(parked(second));
    await take(third);
    if (restarts) await to.restart(true);
    for (const one of [second, first]) {
      const again = await whole(from.store.replica, to.store.replica, one);
      expect(await take(again)).toEqual([{ outcome: "applied" }]);
    }
    await expectSame(from, to);
  });
}

test("whatever of a lone site's log waits for its bytes, the outcome is the same", async () => {
  const seed = new Seed("parked-conflicts");
  for (let round = 0; round < 12; round++) {
    const [from, to] = await twoSites(`round ${round}`);
    for (let turn = 0; turn < 25; turn++) await change(from, seed);
    const late: IncomingOperation[] = [];
    for (const one of await entriesFor(from, to)) {
      const waits = one.inline !== undefined && seed.chance(0.4);
      if (waits) late.push(one);
      const incoming = waits ? parked(one) : await whole(from.store.replica, to.store.replica, one);
      await to.store.replica.ingest([incoming], []);
    }
    while (late.length > 0) {
      const [one] = late.splice(seed.int(late.length), 1);
      if (one === undefined) break;
      const again = await whole(from.store.replica, to.store.replica, one);
      await to.store.replica.ingest([again], []);
    }
    await expectSame(from, to);
  }
});

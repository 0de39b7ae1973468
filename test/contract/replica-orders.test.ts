import { afterEach, expect, test } from "vitest";
import type { RowStep } from "../../src/storage/logical-rows.ts";
import { encodeLogicalRow } from "../../src/storage/row-operations.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { fetchParked, handOver, handOverAll, positionOf } from "../support/hand-over.ts";
import { fc } from "../support/properties.ts";
import { change, contentsOf, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

/** What happens next: a site writes, or gives another one a page of some size. */
const STEPS = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("write" as const), site: fc.nat({ max: 2 }) }),
    fc.record({
      kind: fc.constant("page" as const),
      from: fc.nat({ max: 2 }),
      to: fc.nat({ max: 2 }),
      bytes: fc.constantFrom(1, 700, 4000, 1_000_000),
      parks: fc.boolean(),
    }),
    fc.record({ kind: fc.constant("restart" as const), site: fc.nat({ max: 2 }) }),
  ),
  { minLength: 10, maxLength: 45 },
);

let run = 0;

/** Everything that sites must agree on: their rows as operations, whatever place they stand in. */
async function logicalRowsOf({ store }: SimSite): Promise<string[]> {
  const rows: string[] = [];
  for (let from: string | undefined = ""; from !== undefined; ) {
    const step: RowStep = store.rows.read({ from, to: undefined }, 1000);
    for (const row of step.rows) rows.push(Buffer.from(encodeLogicalRow(row)).toString("hex"));
    from = step.next;
  }
  return rows;
}

test("sites agree whatever the order and size of pages, and a rebuild agrees with each", async () => {
  await fc.assert(
    fc.asyncProperty(STEPS, fc.nat(), async (steps, number) => {
      run += 1;
      const seed = new Seed(`orders/${number}`);
      const names = ["a", "b", "c"].map((name) => `orders ${run} ${name}`);
      const sites = await Promise.all(names.map((name) => SimSite.open(name)));
      const [first, second, third] = sites;
      if (first === undefined || second === undefined || third === undefined) throw new Error();
      await setUp(first);
      for (const step of steps) {
        const site = sites["site" in step ? step.site : step.from] ?? first;
        if (step.kind === "restart") await site.restart();
        else if (step.kind === "write") await write(site, seed);
        else {
          const isParked = (): boolean => step.parks && seed.chance(0.2);
          await handOver(site, sites[step.to] ?? second, step.bytes, isParked);
        }
      }
      for (let round = 0; round < 2; round++) {
        await handOverAll(first, second);
        await handOverAll(second, third);
        await handOverAll(third, first);
        for (const to of sites) for (const from of sites) await fetchParked(from, to);
      }
      const rows = await logicalRowsOf(first);
      for (const site of sites) {
        expect(positionOf(site)).toEqual(positionOf(first));
        expect(site.store.replica.applied()).toEqual(first.store.replica.applied());
        expect(await contentsOf(site.store)).toEqual(await contentsOf(first.store));
        expect(await logicalRowsOf(site)).toEqual(rows);
        const kept = dumpRows(site.kv, site.hash);
        await site.restart(true);
        expect(dumpRows(site.kv, site.hash)).toEqual(kept);
      }
      await closeSimSites();
    }),
    { numRuns: 25 },
  );
});

/** A site that has not heard of any bucket has nothing to write into. */
async function write(site: SimSite, seed: Seed): Promise<void> {
  if ([...site.store.buckets()].length < 3) await setUp(site);
  site.machine.clock.leap(seed.int(3));
  await change(site, seed);
}

import { afterEach, expect, test } from "vitest";
import type { RowStep } from "../../src/storage/logical-rows.ts";
import { encodeLogicalRow } from "../../src/storage/row-operations.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { fetchParked, handOver, handOverAll, positionOf } from "../support/hand-over.ts";
import { fc } from "../support/properties.ts";
import { BUCKETS, change, contentsOf, put, setUp } from "../support/row-workload.ts";
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

type Step = (typeof STEPS extends fc.Arbitrary<infer Steps> ? Steps : never)[number];

/** Lets sites live through the steps, hands everything to everybody, and compares what they have. */
async function expectAgreement(
  steps: readonly Step[],
  seed: Seed,
  write: (site: SimSite, seed: Seed) => Promise<void>,
  begin: (sites: readonly SimSite[]) => Promise<void>,
): Promise<void> {
  run += 1;
  const names = ["a", "b", "c"].map((name) => `orders ${run} ${name}`);
  const sites = await Promise.all(names.map((name) => SimSite.open(name)));
  const [first, second, third] = sites;
  if (first === undefined || second === undefined || third === undefined) throw new Error();
  await begin(sites);
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
  await expectSame(sites);
  await closeSimSites();
}

async function expectSame(sites: readonly SimSite[]): Promise<void> {
  const [first] = sites;
  if (first === undefined) throw new Error("no sites");
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
}

test("sites agree whatever the order and size of pages, and a rebuild agrees with each", async () => {
  await fc.assert(
    fc.asyncProperty(STEPS, fc.nat(), (steps, number) =>
      expectAgreement(steps, new Seed(`orders/${number}`), writeAnywhere, async ([first]) => {
        if (first !== undefined) await setUp(first);
      }),
    ),
    { numRuns: 25 },
  );
});

test("sites agree about one name that all of them overwrite, delete and tag", async () => {
  await fc.assert(
    fc.asyncProperty(STEPS, fc.nat(), (steps, number) =>
      expectAgreement(steps, new Seed(`one name/${number}`), writeOneName, meet),
    ),
    { numRuns: 50 },
  );
});

test("what is said of a write that is overwritten leaves nothing, whatever else is parked", async () => {
  const [here, there] = [await SimSite.open("said here"), await SimSite.open("said there")];
  await setUp(here);
  await put(here.store, 0, 0, Buffer.from("first"));
  await handOverAll(here, there);
  await put(there.store, 0, 0, Buffer.from("second"));
  await put(here.store, 0, 1, Buffer.from("another"));
  const said = { kind: "tags", tags: [["of", "the first"]] } as const;
  const [bucket, key] = [BUCKETS[0] ?? bucketOf("plain"), keyOf("a")];
  await here.store.changeObject({ bucket, key, change: said });
  let entries = 0;
  const outcomes = await handOver(here, there, 1_000_000, () => entries++ === 0);
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(["parked", "applied"]);
  await fetchParked(here, there);
  await handOverAll(there, here);
  await expectSame([here, there]);
  expect(here.store.object(bucket, key)?.record.attributes.tags).toEqual([]);
});

/** All sites have heard of each other, as members have before they write. */
async function meet(sites: readonly SimSite[]): Promise<void> {
  for (const site of sites) await setUp(site);
  for (const to of sites) for (const from of sites) if (from !== to) await handOverAll(from, to);
}

/** A site that has not heard of any bucket has nothing to write into. */
async function writeAnywhere(site: SimSite, seed: Seed): Promise<void> {
  if ([...site.store.buckets()].length < 3) await setUp(site);
  site.machine.clock.leap(seed.int(3));
  await change(site, seed);
}

/** Puts, deletes and tags one key of a bucket without versions; now and then it puts another. */
async function writeOneName(site: SimSite, seed: Seed): Promise<void> {
  const name = { bucket: BUCKETS[0] ?? bucketOf("plain"), key: keyOf("a") };
  site.machine.clock.leap(seed.int(3));
  const dice = seed.int(10);
  if (dice < 3) await put(site.store, 0, 0, seed.bytes(20));
  else if (dice < 5) await put(site.store, 0, 1, seed.bytes(20));
  else if (dice < 6) await site.store.deleteObject(name);
  else {
    const change = { kind: "tags", tags: [["t", String(seed.int(100))]] } as const;
    await site.store.changeObject({ ...name, change });
  }
}

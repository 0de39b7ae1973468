import { afterEach, expect, test, vi } from "vitest";
import { LIMITS } from "../../src/core/limits.ts";
import { parseSeq } from "../../src/core/names.ts";
import { decodeOperation } from "../../src/core/operation-codec.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { heldLogs } from "../../src/replication/held-logs.ts";
import type { RowCalls } from "../../src/replication/row-calls.ts";
import type { IncomingOperation, LogEntry } from "../../src/storage/replica.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { keyOf } from "../sim/store-journal.ts";
import { fetchParked, positionOf, signedHere, whole } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { takeOver as takeOverWhole } from "../support/row-link.ts";
import { BUCKETS, change, contentsOf, put, removeVersion, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * A site that waits for bytes gives its rows: the logs that they come by go on in front of what
 * waits, and bring once more what came behind.
 */

afterEach(closeSimSites);

const LIVES = 30;
const NEVER_REACHED = required(parseSeq(Number.MAX_SAFE_INTEGER), "sequence");
const PARKED = { kind: "parked", reason: "it is on its way" } as const;

/** What is written with its bytes beside it; of a group all or none. */
function mayWait({ encoded, inline }: LogEntry): boolean {
  return inline !== undefined && decodeOperation(encoded).group === undefined;
}

/** Hands on what is there, of which some waits for its bytes from then on. */
async function hear(
  from: SimSite,
  to: SimSite,
  waits: () => boolean,
  holdsLogs = false,
): Promise<number> {
  const held = heldLogs({ holdsLogs }, to.store.rows, to.store.replica);
  if (held === "all") return 0;
  const position = positionOf(to);
  for (const origin of held ?? []) position.set(origin, NEVER_REACHED);
  const page = await from.store.replica.readLog(position, 1 << 20);
  if (page.outcome !== "page") throw new Error("the log begins later");
  const incoming: IncomingOperation[] = [];
  for (const entry of page.entries) {
    const parked = { ...entry, inline: undefined, state: PARKED };
    const isWhole = !mayWait(entry) || !waits();
    incoming.push(isWhole ? await whole(from.store.replica, to.store.replica, entry) : parked);
  }
  const heads = [...page.heads, ...signedHere(from, page.entries)];
  const outcomes = await to.store.replica.ingest(incoming, heads);
  const refused = outcomes.filter(({ outcome }) => outcome === "refused");
  expect(refused.filter((one) => "reason" in one && !/bytes|gap/.test(one.reason))).toEqual([]);
  return outcomes.filter(({ outcome }) => outcome !== "refused" && outcome !== "duplicate").length;
}

async function takeOver(
  from: SimSite,
  to: SimSite,
  step: () => Promise<void> = async () => undefined,
  merge: { readonly merges?: true } = {},
): Promise<"done" | "cut"> {
  const rows = (calls: RowCalls): RowCalls["rows"] => {
    return async (request, signal) => {
      await step();
      return await calls.rows({ ...request, bytesMax: 400 }, signal);
    };
  };
  return await takeOverWhole(from, to, { ...merge, rows }).then(
    () => "done" as const,
    (failure: unknown) => {
      if (String(failure).includes("the link was cut")) return "cut" as const;
      throw failure;
    },
  );
}

async function allHear(sites: readonly SimSite[]): Promise<void> {
  for (let heard = 1; heard > 0; ) {
    heard = 0;
    for (const from of sites) {
      for (const to of sites) if (from !== to) heard += await hear(from, to, () => false);
    }
  }
}

/** Bytes come at last, from whoever has them, until nothing waits any more. */
async function bringBytes(sites: readonly SimSite[]): Promise<void> {
  for (let round = 0; round < 100; round++) {
    for (const to of sites) for (const from of sites) if (from !== to) await fetchParked(from, to);
    await allHear(sites);
    if (sites.every(({ store }) => store.replica.parked().length === 0)) return;
  }
  throw new Error("something waits for ever");
}

async function expectSame(sites: readonly SimSite[]): Promise<void> {
  const [first, ...others] = sites;
  const rows = dumpLogicalRows(required(first, "site").store);
  const contents = await contentsOf(required(first, "site").store);
  for (const site of others) {
    expect(dumpLogicalRows(site.store)).toEqual(rows);
    expect(await contentsOf(site.store)).toEqual(contents);
    expect(site.store.replica.applied()).toEqual(first?.store.replica.applied());
  }
  for (const site of sites) {
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(true);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  }
}

/** What a site waited for when its rows were taken. */
async function live(seed: Seed): Promise<number> {
  const sites: SimSite[] = [];
  for (const name of ["north", "south", "east", "late"]) {
    const site = await SimSite.open(`${seed.derive(name).int(1_000_000_000)}`);
    site.machine.clock.leap(seed.int(40));
    sites.push(site);
  }
  const members = sites.slice(0, 3);
  const late = required(sites[3], "site");
  for (const site of members) await setUp(site);
  if (seed.chance(0.5)) await setUp(late);
  const step = async (): Promise<void> => {
    for (const { machine } of sites) machine.clock.leap(seed.int(8));
    const [site, other] = [seed.pick(members), seed.pick(members)];
    if (seed.chance(0.6)) await change(site, seed);
    else if (site !== other) await hear(site, other, () => seed.chance(0.3));
    else if (seed.chance(0.3)) await fetchParked(seed.pick(members), site);
    else if (seed.chance(0.1)) await site.restart(seed.chance(0.5));
  };
  for (let left = 30 + seed.int(60); left > 0; left--) await step();
  const from = seed.pick(members);
  if (seed.chance(0.3)) await hear(from, late, () => seed.chance(0.5));
  const waiting = from.store.replica.parked().length;
  const merge = seed.chance(0.3) ? ({ merges: true } as const) : {};
  const walk = async (): Promise<void> => {
    if (seed.chance(0.5)) await step();
    if (seed.chance(0.3)) await hear(from, late, () => seed.chance(0.3), true);
    if (seed.chance(0.1)) throw new Error("the link was cut");
  };
  for (let outcome = "cut"; outcome === "cut"; ) {
    outcome = await takeOver(from, late, walk, merge);
    if (outcome === "cut") await late.restart(seed.chance(0.5));
  }
  if (seed.chance(0.5)) await hear(from, late, () => seed.chance(0.3));
  for (let left = seed.int(10); left > 0; left--) await change(late, seed);
  if (seed.chance(0.5)) await allHear(sites);
  await bringBytes(sites);
  await expectSame(sites);
  await closeSimSites();
  return waiting;
}

test("who takes over the rows of a site that waits for bytes ends as all others do", async () => {
  let waited = 0;
  for (let number = 0; number < LIVES; number++) {
    const what = `beside parked ${number}`;
    waited += await live(new Seed(what)).catch((failure: unknown) => {
      throw new Error(what, { cause: failure });
    });
  }
  expect(waited).toBeGreaterThan(LIVES);
});

/** One site has burnt with the bytes of a write that two others heard of, and of what it wrote then. */
async function burnt(): Promise<readonly [SimSite, SimSite]> {
  const [gone, first, second] = await Promise.all(
    ["burnt", "first", "second"].map((name) => SimSite.open(name)),
  );
  if (gone === undefined || first === undefined || second === undefined) throw new Error("no site");
  await setUp(gone);
  for (const site of [first, second]) await hear(gone, site, () => false);
  await put(gone.store, 0, 0, Buffer.from("lost"));
  await put(gone.store, 0, 1, Buffer.from("overwritten"));
  await put(gone.store, 0, 2, Buffer.from("deleted"));
  await put(gone.store, 1, 2, Buffer.from("removed"));
  await put(gone.store, 0, 3, Buffer.from("there"));
  for (const site of [first, second]) {
    let at = 0;
    await hear(gone, site, () => at++ === 0);
    expect(site.store.replica.parked()).toHaveLength(1);
  }
  const { store } = first;
  await put(store, 0, 1, Buffer.from("later"));
  await store.deleteObject({ bucket: required(BUCKETS[0], "bucket"), key: keyOf("a b") });
  const versioned = { bucket: required(BUCKETS[1], "bucket"), key: keyOf("a b") };
  await removeVersion(store, versioned);
  return [first, second];
}

test("where bytes burnt with a site, a new one takes over rows, and all of them give up what is lost", async () => {
  const [first, second] = await burnt();
  const late = await SimSite.open("new");
  await takeOver(first, late);
  expect(late.store.conflicts.list(BUCKETS[0], undefined, 10).conflicts).toEqual([]);
  await allHear([first, second, late]);
  expect(late.store.replica.parked()).toMatchObject(
    first.store.replica.parked().map(({ dot }) => ({ dot })),
  );
  await expectSame([first, second, late]);
  // And once more: it gives its rows to the next one, from in front of the same write.
  const next = await SimSite.open("newer");
  await takeOver(late, next);
  await allHear([first, second, late, next]);
  const [lost] = next.store.replica.parked();
  expect(await next.store.replica.giveUp(required(lost, "parked").dot)).toBe(true);
  await allHear([first, second, late, next]);
  for (const { store } of [first, second, late, next]) {
    const { dot } = required(store.replica.parked()[0], "parked");
    const entry = required(await store.replica.parkedEntry(dot), "entry");
    expect(store.replica.superseded(decodeOperation(entry.encoded), true)).toBe(true);
    await store.replica.ingest([{ ...entry, state: { kind: "void" } }], []);
  }
  await expectSame([first, second, late, next]);
});

test.each([
  ["comes among rows", false],
  ["came by the log before rows that overwrite it", true],
])("a change of a write that waits for its bytes %s, and is kept for it", async (_how, isLog) => {
  const [from, first, second, late] = await Promise.all(
    ["writes", "waits", "changes", "takes"].map((name) => SimSite.open(name)),
  );
  if (!(from && first && second && late)) throw new Error("no site");
  await setUp(from);
  for (const site of [first, second, late]) await hear(from, site, () => false);
  await put(from.store, 0, 0, Buffer.from("on its way"));
  await hear(from, first, () => true);
  await hear(from, second, () => false);
  const bucket = required(BUCKETS[0], "bucket");
  const change = { kind: "tags", tags: [["said", "elsewhere"]] } as const;
  second.machine.clock.leap(5);
  await second.store.changeObject({ bucket, key: keyOf("a"), change });
  if (isLog) await hear(second, late, () => true);
  first.machine.clock.leap(10);
  await put(first.store, 0, 0, Buffer.from("later"));
  await hear(second, first, () => false);
  await takeOver(first, late);
  await bringBytes([from, first, second, late]);
  const { conflicts } = late.store.conflicts.list(bucket, undefined, 10);
  expect(conflicts).toMatchObject([{ record: { attributes: { tags: change.tags } } }]);
  await expectSame([from, first, second, late]);
});

test("rows are not given where the log behind a parked write is not whole, and the reason is told", async () => {
  const [first, second] = await burnt();
  const begun: number[] = [];
  const start = ({ store }: SimSite) => store.rows.start((heads) => begun.push(heads.length));
  expect(await start(first)).toMatchObject({ settled: [{ key: "a/b" }, { key: "a b" }] });
  const { replica } = first.store;
  const { dot } = required(replica.parked()[0], "parked");
  const floors = vi.spyOn(replica, "floors").mockReturnValue(new Map([[dot.origin, dot.seq]]));
  expect(await start(first)).toEqual({ problem: expect.stringContaining("does not reach back") });
  floors.mockRestore();
  const limits: { readonly operationsAgainMax: number } = LIMITS;
  const many = vi.spyOn(limits, "operationsAgainMax", "get").mockReturnValue(0);
  expect(await start(first)).toEqual({ problem: expect.stringContaining("too much came behind") });
  many.mockRestore();
  // A head that no site has signed, as after a page that was taken in part.
  const waits = await SimSite.open("waits");
  const page = await second.store.replica.readLog(new Map(), 1 << 20);
  if (page.outcome !== "page") throw new Error("no page");
  const entries = page.entries.map((entry) =>
    whole(second.store.replica, waits.store.replica, entry),
  );
  await waits.store.replica.ingest(await Promise.all(entries), []);
  expect(await start(waits)).toEqual({ problem: expect.stringContaining("can be told on") });
});

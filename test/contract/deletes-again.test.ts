import { afterEach, expect, test } from "vitest";
import { parseSeq } from "../../src/core/names.ts";
import { decodeOperation } from "../../src/core/operation-codec.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { keyOf } from "../sim/store-journal.ts";
import { handOver, handOverAll, whole } from "../support/hand-over.ts";
import { dumpLogicalRows } from "../support/logical-rows.ts";
import { memberRecord } from "../support/member-record.ts";
import { takeOver } from "../support/row-link.ts";
import { BUCKETS, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const DAY_MS = 24 * 3600 * 1000;
const NAME = { bucket: required(BUCKETS[0], "bucket"), key: keyOf("a") };

type World = { readonly north: SimSite; readonly south: SimSite; readonly east: SimSite };

/** Two members that have deleted an object, and a site alone with an older one of that name. */
async function makeWorld(name: string): Promise<World> {
  const [north, south, east] = await Promise.all(
    ["north", "south", "east"].map((one) => SimSite.open(`${name} ${one}`)),
  );
  if (north === undefined || south === undefined || east === undefined) throw new Error("no sites");
  const world = { north, south, east };
  await setUp(north);
  await setUp(east);
  await put(east.store, 0, 0, Buffer.from("written by a site that is alone"));
  leap(world, DAY_MS);
  await put(north.store, 0, 0, Buffer.from("deleted"));
  await handOverAll(north, south);
  await north.store.deleteObject(NAME);
  await handOverAll(north, south);
  await meet(north, south);
  await meet(south, north);
  await handOverAll(north, south);
  await handOverAll(south, north);
  return world;
}

function leap({ north, south, east }: World, ms: number): void {
  for (const { machine } of [north, south, east]) machine.clock.leap(ms);
}

/** A site hears that another one is a member. */
async function meet(site: SimSite, { running }: SimSite): Promise<void> {
  const { siteId: id, origin } = running.site.identity;
  await site.store.putSite(memberRecord("a", { id, origins: [origin] }));
}

/** A site keeps house that knows what its peer has. */
async function keepHouse(site: SimSite, { running, store }: SimSite): Promise<void> {
  site.store.replica.acknowledge(running.site.identity.siteId, store.replica.applied());
  await site.store.keepHouse();
}

/** What a site holds of the key: what clients see, conflicts and tombstones. */
function rowsOf({ store }: SimSite): string[] {
  const { rows } = store.rows.read({ from: "D", to: undefined }, 1000);
  return rows.flatMap(({ operation: { body } }) => {
    if (body.kind === "object-delete" && body.nullSlot) return ["tombstone"];
    if (body.kind !== "object-put") return [];
    return [body.conflict === true ? "conflict" : "object"];
  });
}

function originOf({ running }: SimSite): string {
  return running.site.identity.origin;
}

function isOf(encoded: Uint8Array, origin: string): boolean {
  return decodeOperation(encoded).dot.origin === origin;
}

/** Operations that a site has made. */
function made({ store }: SimSite): number {
  return store.logHead()?.seq ?? 0;
}

/** Everything that one site says, another says too, also once its index has been built anew. */
async function expectAgreement(sites: readonly SimSite[]): Promise<void> {
  const [first, ...others] = sites;
  const said = first === undefined ? [] : dumpLogicalRows(first.store);
  for (const other of others) expect(dumpLogicalRows(other.store)).toEqual(said);
  for (const site of sites) {
    await site.restart();
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(true);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  }
}

test("a delete that one member has forgotten is said again by who meets an older write", async () => {
  const world = await makeWorld("forgotten");
  const { north, south, east } = world;
  leap(world, 8 * DAY_MS);
  await keepHouse(south, north);
  expect([rowsOf(north), rowsOf(south)]).toEqual([["tombstone"], []]);
  await handOverAll(east, south);
  expect(rowsOf(south)).toEqual(["object"]);
  const before = made(north);
  await handOverAll(east, north);
  expect(rowsOf(north)).toEqual(["tombstone", "conflict"]);
  expect(made(north)).toBe(before + 1);
  await handOverAll(north, south);
  expect(rowsOf(south)).toEqual(rowsOf(north));
  // Said once: who hears it says nothing.
  const heard = made(south);
  await handOverAll(south, north);
  expect(made(south)).toBe(heard);
  await expectAgreement([north, south]);
});

test("it holds too where the write comes after what was said again", async () => {
  const world = await makeWorld("order");
  const { north, south, east } = world;
  leap(world, 8 * DAY_MS);
  await keepHouse(south, north);
  await handOverAll(east, north);
  const own = north.running.site.identity.origin;
  const page = await north.store.replica.readLog(south.store.replica.applied(), 1024 * 1024);
  if (page.outcome !== "page") throw new Error("no page");
  const again = page.entries.filter(({ encoded }) => isOf(encoded, own));
  const whole = { kind: "whole", manifests: [] } as const;
  await south.store.replica.ingest(
    again.map((one) => ({ ...one, state: whole })),
    [],
  );
  expect(rowsOf(south)).toEqual(["tombstone"]);
  await handOverAll(east, south);
  expect(rowsOf(south)).toEqual(["tombstone", "conflict"]);
  await handOverAll(north, south);
  await handOverAll(south, north);
  await expectAgreement([north, south]);
});

test("a write that came as a row is met in the same way, and so is a delete that comes late", async () => {
  const world = await makeWorld("rows");
  const { north, south, east } = world;
  leap(world, 8 * DAY_MS);
  await keepHouse(south, north);
  await takeOver(east, north, { merges: true });
  expect(rowsOf(north)).toEqual(["tombstone", "conflict"]);
  await handOverAll(east, south);
  await handOverAll(north, south);
  expect(rowsOf(south)).toEqual(rowsOf(north));
  const before = made(east);
  await handOverAll(north, east);
  expect(rowsOf(east)).toEqual(rowsOf(north));
  expect(made(east)).toBeGreaterThan(before);
});

test("what was written since stays: a delete that is said again is no younger than it was", async () => {
  const world = await makeWorld("since");
  const { north, south, east } = world;
  leap(world, 8 * DAY_MS);
  await keepHouse(south, north);
  await put(south.store, 0, 0, Buffer.from("written since"));
  const { version } = required(south.store.object(NAME.bucket, NAME.key), "object");
  await handOverAll(east, north);
  await handOverAll(north, south);
  await handOverAll(south, north);
  for (const { store } of [north, south]) {
    expect(store.object(NAME.bucket, NAME.key)?.version).toBe(version);
  }
  await handOverAll(east, south);
  expect(rowsOf(south)).toEqual(rowsOf(north));
  await expectAgreement([north, south]);
});

test("a delete that nobody can have forgotten is not said again", async () => {
  const young = await makeWorld("young");
  leap(young, 3 * DAY_MS);
  const before = made(young.north);
  await handOverAll(young.east, young.north);
  expect(rowsOf(young.north)).toEqual(["tombstone", "conflict"]);
  expect(made(young.north)).toBe(before);
});

test("its mark goes a week after it was said again, where everybody has heard of it", async () => {
  const world = await makeWorld("gone");
  const { north, south, east } = world;
  leap(world, 8 * DAY_MS);
  await keepHouse(south, north);
  await handOverAll(east, north);
  await handOverAll(north, south);
  await handOverAll(south, north);
  for (const [site, peer] of [
    [north, south],
    [south, north],
  ] as const) {
    await keepHouse(site, peer);
    expect(rowsOf(site)).toEqual(["tombstone", "conflict"]);
  }
  leap(world, 8 * DAY_MS);
  for (const [site, peer] of [
    [north, south],
    [south, north],
  ] as const) {
    await keepHouse(site, peer);
    expect(rowsOf(site)).toEqual(["conflict"]);
  }
  await expectAgreement([north, south]);
});

test("nothing is said by a site that takes rows over, or does not know where its log ends", async () => {
  const held = await makeWorld("held");
  leap(held, 8 * DAY_MS);
  const { hold } = held.north.running.site;
  hold.begin();
  const before = made(held.north);
  await handOverAll(held.east, held.north);
  hold.end();
  expect([rowsOf(held.north), made(held.north)]).toEqual([["tombstone", "conflict"], before]);

  const empty = await makeWorld("empty");
  leap(empty, 8 * DAY_MS);
  const own = made(empty.north);
  await takeOver(empty.east, empty.north);
  expect([rowsOf(empty.north), made(empty.north)]).toEqual([["tombstone", "conflict"], own]);
});

test("whoever says a delete again has not overwritten its own writes by that", async () => {
  const found = [await SimSite.open("own one"), await SimSite.open("own two")];
  const [other, sayer] = found.sort((left, right) => (originOf(left) < originOf(right) ? -1 : 1));
  const south = await SimSite.open("own south");
  if (other === undefined || sayer === undefined) throw new Error("no sites");
  const world = { north: sayer, south, east: other };
  await setUp(sayer);
  await setUp(other);
  await put(sayer.store, 0, 0, Buffer.alloc(200_000, 1));
  await handOver(sayer, south, undefined, () => true);
  leap(world, DAY_MS);
  await put(other.store, 0, 0, Buffer.from("deleted"));
  await other.store.deleteObject(NAME);
  await handOverAll(other, south);
  leap(world, 8 * DAY_MS);
  await handOverAll(other, sayer);
  expect(rowsOf(sayer)).toEqual(["tombstone", "conflict"]);
  await handOverAll(sayer, south);
  const { replica } = south.store;
  const parked = replica.parked().map(({ dot }) => dot);
  const entries = await Promise.all(parked.map((dot) => replica.parkedEntry(dot)));
  const puts = entries.map((entry) => decodeOperation(required(entry, "entry").encoded));
  const [late] = puts.filter(({ body }) => body.kind === "object-put");
  // It is a conflict, whose bytes may still come from its own site.
  expect(replica.superseded(required(late, "put"))).toBe(false);
  for (const dot of parked) {
    const after = new Map([[dot.origin, required(parseSeq(dot.seq - 1), "seq")]]);
    const page = await sayer.store.replica.readLog(after, 1);
    const [entry] = page.outcome === "page" ? page.entries : [];
    await replica.ingest([await whole(sayer.store.replica, replica, required(entry, "entry"))], []);
  }
  expect(rowsOf(south)).toEqual(rowsOf(sayer));
});

import { afterEach, beforeEach, expect, test } from "vitest";
import { decodeOperation } from "../../src/core/operation-codec.ts";
import type { Dot } from "../../src/core/records.ts";
import type { IncomingOperation } from "../../src/storage/replica.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { entriesFor, handOverAll } from "../support/hand-over.ts";
import { contentsOf, put, setUp } from "../support/row-workload.ts";
import { serviceFor } from "../support/rows-service.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

const [PLAIN, VERSIONED, SUSPENDED] = [0, 1, 2];
const LARGE = Buffer.alloc(200_000, 3);
const KEY = keyOf("a");

/** The one whose disk burns. */
let a: SimSite;
let b: SimSite;
let c: SimSite;

beforeEach(async () => {
  a = await SimSite.open("burnt a");
  b = await SimSite.open("left b");
  c = await SimSite.open("left c");
  await setUp(a);
});

afterEach(closeSimSites);

/** What a has is at the others, but the bytes of what it wrote last, which nobody has any more. */
async function burn(at: number, bytes = LARGE): Promise<Dot> {
  await handOverAll(a, b);
  await handOverAll(a, c);
  await put(a.store, at, 0, bytes);
  const parked = (await entriesFor(a, b)).map(
    (one): IncomingOperation => ({
      ...one,
      inline: undefined,
      state: { kind: "parked", reason: "nobody has it" },
    }),
  );
  for (const site of [b, c]) await site.store.replica.ingest(parked, []);
  const [first] = parked;
  if (first === undefined) throw new Error("no operation");
  return decodeOperation(first.encoded).dot;
}

/** Every member was asked and has not the bytes: what is superseded now is not waited for. */
async function lookAgain(site: SimSite): Promise<void> {
  const { replica } = site.store;
  for (const { dot } of replica.parked()) {
    const entry = await replica.parkedEntry(dot);
    if (entry === undefined) continue;
    if (!replica.superseded(decodeOperation(entry.encoded), true)) continue;
    await replica.ingest([{ ...entry, state: { kind: "void" } }], []);
  }
}

/** The rest of the sites agree, nothing is parked, and their rows can be had from their logs. */
async function expectSettled(): Promise<void> {
  await handOverAll(b, c);
  await handOverAll(c, b);
  for (const site of [b, c]) {
    await lookAgain(site);
    expect(site.store.replica.parked()).toEqual([]);
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(true);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  }
  expect(b.store.replica.applied()).toEqual(c.store.replica.applied());
  expect(await contentsOf(b.store)).toEqual(await contentsOf(c.store));
}

test("nothing ends a put whose bytes may still come", async () => {
  await burn(PLAIN);
  await lookAgain(b);
  expect(b.store.replica.parked()).toHaveLength(1);
});

test("rows are given to others again once nothing is parked whose log nobody can tell on", async () => {
  const dot = await burn(PLAIN);
  const { service } = serviceFor(c, b);
  await expect(service.export("/box")).rejects.toThrow("(atoll repl-parked there)");
  expect(await b.store.replica.giveUp(dot)).toBe(true);
  await lookAgain(b);
  expect((await service.export("/other")).rows).toBeGreaterThan(0);
  await service.stop();
});

test("a key that had nothing has nothing", async () => {
  const dot = await burn(PLAIN);
  expect(await b.store.replica.giveUp(dot)).toBe(true);
  await expectSettled();
  expect(await contentsOf(b.store)).toEqual([]);
  expect(await b.store.replica.giveUp(dot)).toBe(false);
});

test.each([
  ["small", Buffer.from("as it was")],
  ["large", Buffer.alloc(150_000, 1)],
])("what it would have overwritten stays, %s as it is", async (_size, before) => {
  await put(a.store, PLAIN, 0, before);
  const dot = await burn(PLAIN);
  expect(await b.store.replica.giveUp(dot)).toBe(true);
  await expectSettled();
  expect(await contentsOf(c.store)).toEqual([
    expect.stringContaining(before.toString("base64").slice(0, 400)),
  ]);
});

test("a version is one less, and the others stay", async () => {
  await put(a.store, VERSIONED, 0, Buffer.from("first"));
  const dot = await burn(VERSIONED);
  await put(b.store, VERSIONED, 0, Buffer.from("second"));
  expect(await b.store.replica.giveUp(dot)).toBe(true);
  // Said twice, it is one operation.
  const said = b.store.replica.received();
  expect(await b.store.replica.giveUp(dot)).toBe(true);
  expect(b.store.replica.received()).toEqual(said);
  await expectSettled();
  const versions = b.store.versions(bucketOf("versioned"));
  const shown = [versions.next(), versions.next(), versions.next()].map((one) => one?.key);
  versions.close();
  expect(shown).toEqual([KEY, KEY, undefined]);
});

test("the null version of a bucket with versions goes without hiding newer ones", async () => {
  const bucket = bucketOf("suspended");
  await put(a.store, SUSPENDED, 0, Buffer.from("null before"));
  const dot = await burn(SUSPENDED);
  await b.store.deleteObject({ bucket, key: keyOf("other") });
  expect(await b.store.replica.giveUp(dot)).toBe(true);
  await expectSettled();
  expect(b.store.object(bucket, KEY)?.record.size).toBe("null before".length);
});

test("a later write has ended it already", async () => {
  const dot = await burn(PLAIN);
  await put(b.store, PLAIN, 0, Buffer.from("uploaded again"));
  const said = b.store.replica.received();
  expect(await b.store.replica.giveUp(dot)).toBe(true);
  expect(b.store.replica.received()).toEqual(said);
  await expectSettled();
  expect(b.store.object(bucketOf("plain"), KEY)?.record.size).toBe(14);
});

test("a small one is ended as well", async () => {
  const dot = await burn(PLAIN, Buffer.from("small"));
  expect(await c.store.replica.giveUp(dot)).toBe(true);
  await expectSettled();
});

test("in a bucket that was deleted since, it brings nothing back", async () => {
  const dot = await burn(PLAIN);
  const bucket = bucketOf("plain");
  expect(await b.store.deleteBucket(bucket)).toMatchObject({ outcome: "deleted" });
  expect(await b.store.replica.giveUp(dot)).toBe(true);
  await expectSettled();
  expect(b.store.bucket(bucket)).toBeUndefined();
  expect(c.store.bucket(bucket)).toBeUndefined();
});

test("of two sites that give it up at once, both are followed", async () => {
  await put(a.store, PLAIN, 0, Buffer.from("before"));
  const dot = await burn(PLAIN);
  await Promise.all([b.store.replica.giveUp(dot), c.store.replica.giveUp(dot)]);
  await expectSettled();
  expect(b.store.object(bucketOf("plain"), KEY)?.record.size).toBe(6);
});

test("a put of a group is not ended: what it renames would be gone", async () => {
  await put(a.store, PLAIN, 0, Buffer.from("moving"));
  await handOverAll(a, b);
  const request = { bucket: bucketOf("plain"), source: KEY, key: keyOf("b"), token: undefined };
  expect(await a.store.renameObject(request)).toEqual({ outcome: "renamed" });
  const parked = (await entriesFor(a, b)).map(
    (one): IncomingOperation => ({
      ...one,
      inline: undefined,
      state: { kind: "parked", reason: "" },
    }),
  );
  await b.store.replica.ingest(parked, []);
  for (const { dot } of b.store.replica.parked()) {
    expect(await b.store.replica.giveUp(dot)).toBe(false);
  }
  expect(b.store.object(bucketOf("plain"), KEY)?.record.size).toBe(6);
});

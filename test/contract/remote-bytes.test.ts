import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LIMITS } from "../../src/core/limits.ts";
import type { ManifestRef } from "../../src/core/records.ts";
import { REMOTE_BUCKETS_MAX } from "../../src/core/remote-record.ts";
import { takePage } from "../../src/replication/page-taker.ts";
import { ChainedEntry } from "../../src/storage/chained-entry.ts";
import type { IncomingOperation } from "../../src/storage/replica.ts";
import type { PutObjectRequest, StoredObject } from "../../src/storage/store.ts";
import { Seed } from "../sim/seed.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { entriesFor, handOverAll, headOf, whole } from "../support/hand-over.ts";
import {
  bringFrom,
  expectSameAfterRebuild,
  handOverRows,
  KEY,
  manifestOf,
  namesOf,
  objectOf,
  PLAIN,
  showRowsFirst,
  staged,
} from "../support/remote-sites.ts";
import { change, contentsOf, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

const VERSIONED = bucketOf("versioned");
const LARGE = new Seed("large").bytes(5_000_000);
const ATTRIBUTES = { system: [], user: [], storageClass: undefined, tags: [] };
const NOBODY = expect.objectContaining({ name: "StorageFault", kind: "unreachable" });

let a: SimSite;
let b: SimSite;

beforeEach(async () => {
  a = await SimSite.open("remote a");
  b = await SimSite.open("remote b");
  await setUp(a);
  await showRowsFirst(a, PLAIN);
  await showRowsFirst(a, VERSIONED);
  await handOverAll(a, b);
});

afterEach(closeSimSites);

function read(site: SimSite, object = objectOf(site), start = 0): Promise<Buffer> {
  return readBody(site.store, object, start, object.record.size);
}

describe("a large body in a bucket that shows rows first", () => {
  test("is applied and shown at once, and its bytes are known to be missing", async () => {
    await put(a.store, 0, 0, LARGE);
    await put(a.store, 0, 1, Buffer.from("small"));
    expect(namesOf(await handOverRows(a, b))).toEqual(["applied", "applied"]);
    const { store } = b;
    expect(store.replica.applied()).toEqual(a.store.replica.applied());
    expect(store.replica.parked()).toEqual([]);
    expect(objectOf(b).record).toEqual(objectOf(a).record);
    expect(store.remote.isRemote(objectOf(b))).toBe(true);
    expect(store.remote.isRemote(objectOf(b, PLAIN, keyOf("a/b")))).toBe(false);
    expect(store.remote.sum()).toEqual({ manifests: 1, bytes: LARGE.length });
    expect(store.remote.list(undefined, 10)).toEqual([
      { hash: manifestOf(objectOf(a)), bytes: LARGE.length, buckets: [PLAIN] },
    ]);
    await expect(read(b)).rejects.toEqual(NOBODY);
    await expectSameAfterRebuild(b);
    expect(b.store.remote.isRemote(objectOf(b))).toBe(true);
    await expect(read(b)).rejects.toEqual(NOBODY);
  });

  test("is not claimed to be here towards others", async () => {
    await put(a.store, 0, 0, LARGE);
    await handOverRows(a, b);
    const hash = manifestOf(objectOf(a));
    expect(b.store.replica.manifest(hash)).toBeUndefined();
    const c = await SimSite.open("remote c");
    const entries = await entriesFor(b, c);
    expect(entries.every(({ missing }) => missing === undefined)).toBe(true);
    expect(namesOf(await c.store.replica.ingest(entries, [])).at(-1)).toBe("bytes");
  });

  test("is fetched once when it is read, whole or in part, and stays", async () => {
    await put(a.store, 0, 0, LARGE);
    await handOverRows(a, b);
    const asked = bringFrom(a, b);
    const range = await readBody(b.store, objectOf(b), 4_500_000, 4_500_100);
    expect(range.equals(LARGE.subarray(4_500_000, 4_500_100))).toBe(true);
    expect((await read(b)).equals(LARGE)).toBe(true);
    expect(asked).toEqual([a.store.replica.origin]);
    expect(b.store.remote.sum()).toEqual({ manifests: 0, bytes: 0 });
    expect(b.store.remote.isRemote(objectOf(b))).toBe(false);
    await expectSameAfterRebuild(b);
    expect((await read(b)).equals(LARGE)).toBe(true);
    expect(asked).toHaveLength(1);
  });

  test("is missing still after a crash between its bytes and their commit", async () => {
    await put(a.store, 0, 0, LARGE);
    await handOverRows(a, b);
    const one = await staged(a, b, manifestOf(objectOf(a)));
    expect(one.staged?.bytes).toBe(LARGE.length);
    await b.restart();
    expect(b.store.remote.isRemote(objectOf(b))).toBe(true);
    bringFrom(a, b);
    expect((await read(b)).equals(LARGE)).toBe(true);
  });

  test("is never taken with other bytes, or under another name", async () => {
    await put(a.store, 0, 0, LARGE);
    await put(a.store, 0, 1, Buffer.from(LARGE).reverse());
    await handOverRows(a, b);
    const one = await staged(a, b, manifestOf(objectOf(a)));
    const other = await staged(a, b, manifestOf(objectOf(a, PLAIN, keyOf("a/b"))));
    expect(await b.store.remote.take([{ ...one, chunks: other.chunks }])).toBe(0);
    expect(await b.store.remote.take([{ ...one, staged: other.staged }])).toBe(0);
    expect(b.store.remote.sum().manifests).toBe(2);
    await expect(read(b)).rejects.toEqual(NOBODY);
  });

  test("of which a piece is here is asked for no more than the other piece", async () => {
    await put(a.store, 0, 0, LARGE);
    await handOverAll(a, b);
    const more = new Seed("more").bytes(300_000);
    const writer = await a.store.stageBody();
    await writer.write(more);
    const size = LARGE.length + more.length;
    const { etag } = objectOf(a).record;
    const object = { size, etag, attributes: ATTRIBUTES, checksums: [], parts: [] };
    await a.store.appendObject({
      ...{ bucket: PLAIN, key: KEY, offset: LARGE.length },
      body: { kind: "staged", staged: await writer.finish() },
      describe: () => ({ ...object, encryption: undefined }),
    });
    await handOverRows(a, b);
    expect(b.store.remote.isRemote(objectOf(b))).toBe(true);
    expect(b.store.remote.sum()).toEqual({ manifests: 1, bytes: more.length });
    const front = await readBody(b.store, objectOf(b), 10, 4_999_990);
    expect(front.equals(LARGE.subarray(10, 4_999_990))).toBe(true);
    await expect(read(b, objectOf(b), 4_999_990)).rejects.toEqual(NOBODY);
    const asked = bringFrom(a, b);
    const across = await read(b, objectOf(b), 4_999_990);
    expect(across.equals(Buffer.concat([LARGE.subarray(4_999_990), more]))).toBe(true);
    expect(asked).toHaveLength(1);
    await expectSameAfterRebuild(b);
  });

  test("is refused when its bucket has no such setting, and asked for with its bytes", async () => {
    await showRowsFirst(a, PLAIN, false);
    await put(a.store, 0, 0, LARGE);
    expect(namesOf(await handOverRows(a, b))).toEqual(["applied", "bytes"]);
    await handOverAll(a, b);
    expect(await contentsOf(b.store)).toEqual(await contentsOf(a.store));
  });

  test("that another bucket names as well is known by both, and fetched for both", async () => {
    await put(a.store, 0, 0, LARGE);
    await put(a.store, 1, 0, LARGE);
    await handOverRows(a, b);
    expect(b.store.remote.sum()).toEqual({ manifests: 1, bytes: LARGE.length });
    expect(b.store.remote.list(undefined, 10)[0]?.buckets).toEqual([PLAIN, VERSIONED]);
    await expectSameAfterRebuild(b);
    const asked = bringFrom(a, b);
    expect((await read(b, objectOf(b, VERSIONED))).equals(LARGE)).toBe(true);
    expect((await read(b)).equals(LARGE)).toBe(true);
    expect(asked).toHaveLength(1);
  });

  test("needs nothing any more once it is deleted, or written here", async () => {
    await put(a.store, 0, 0, LARGE);
    await put(a.store, 1, 0, LARGE);
    await handOverRows(a, b);
    await put(b.store, 2, 2, LARGE);
    expect(b.store.remote.sum().manifests).toBe(0);
    expect((await read(b)).equals(LARGE)).toBe(true);
    const other = Buffer.from(LARGE).reverse();
    await put(a.store, 0, 1, other);
    await handOverRows(a, b);
    expect(b.store.remote.sum().manifests).toBe(1);
    await a.store.deleteObject({ bucket: PLAIN, key: keyOf("a/b") });
    await handOverRows(a, b);
    expect(b.store.remote.sum()).toEqual({ manifests: 0, bytes: 0 });
    await expectSameAfterRebuild(b);
  });

  test("is missing anew after it was here and went away", async () => {
    const name = { bucket: PLAIN, key: KEY };
    await put(a.store, 0, 0, LARGE);
    await handOverAll(a, b);
    expect((await read(b)).equals(LARGE)).toBe(true);
    await a.store.deleteObject(name);
    await put(a.store, 0, 0, LARGE);
    await handOverRows(a, b);
    expect(b.store.remote.isRemote(objectOf(b))).toBe(true);
    await expectSameAfterRebuild(b);
    bringFrom(a, b);
    expect((await read(b)).equals(LARGE)).toBe(true);
    await expectSameAfterRebuild(b);
  });
});

describe("bytes that are missing here", () => {
  test("are fetched before they are named once more, or nothing is written", async () => {
    await put(a.store, 0, 0, LARGE);
    await handOverRows(a, b);
    const { store } = b;
    const source = objectOf(b);
    const { size, etag } = source.record;
    const described = { size, etag, checksums: [], parts: [], encryption: undefined };
    const object: PutObjectRequest["object"] = { ...described, attributes: ATTRIBUTES };
    const copy = { bucket: PLAIN, key: keyOf("copy"), object, body: sharedBody(source) };
    const rename = { bucket: PLAIN, source: KEY, key: keyOf("renamed"), token: undefined };
    const append = {
      ...{ bucket: PLAIN, key: KEY, offset: size },
      body: { kind: "inline" as const, bytes: Buffer.from("more") },
      describe: () => ({ ...object, size: size + 4 }),
    };
    expect((await store.putObject(copy)).outcome).toBe("source-gone");
    await expect(store.renameObject(rename)).rejects.toEqual(NOBODY);
    await expect(store.appendObject(append)).rejects.toEqual(NOBODY);
    expect(namesOf(await handOverRows(b, a))).toEqual([]);
    const asked = bringFrom(a, b);
    expect((await store.appendObject(append)).outcome).toBe("stored");
    expect((await store.renameObject(rename)).outcome).toBe("renamed");
    expect(asked).toHaveLength(1);
    await handOverAll(b, a);
    const renamed = objectOf(a, PLAIN, keyOf("renamed"));
    expect((await read(a, renamed)).equals(Buffer.concat([LARGE, Buffer.from("more")]))).toBe(true);
  });

  test("of a conflict are fetched before it is restored", async () => {
    await put(b.store, 0, 0, Buffer.from("another"));
    await put(a.store, 0, 0, LARGE);
    await put(b.store, 0, 0, Buffer.from("yet another"));
    await handOverRows(a, b);
    const [conflict] = b.store.conflicts.list(PLAIN, undefined, 10).conflicts;
    if (conflict === undefined) throw new Error("no conflict");
    expect(b.store.remote.isRemote(conflict)).toBe(conflict.record.size === LARGE.length);
    const lost = conflict.record.size === LARGE.length ? conflict : undefined;
    if (lost === undefined) return;
    const name = { bucket: PLAIN, key: KEY, version: lost.version };
    await expect(b.store.conflicts.resolve(name, "restore")).rejects.toEqual(NOBODY);
    bringFrom(a, b);
    expect((await b.store.conflicts.resolve(name, "restore")).outcome).toBe("resolved");
    expect((await read(b)).equals(LARGE)).toBe(true);
  });
});

test.each(["one", "two", "three", "four", "five", "six"])(
  "rows, missing bytes and their account are the same after any history and its rebuild: %s",
  async (name) => {
    const seed = new Seed(`remote ${name}`);
    const bodies = [0, 1, 2].map((number) => new Seed(`body ${number}`).bytes(210_000 + number));
    for (let step = 0; step < 60; step++) {
      const roll = seed.int(10);
      const body = bodies[seed.int(bodies.length)] ?? LARGE;
      if (roll < 4) await put(a.store, seed.int(2), seed.int(3), body);
      else if (roll < 7) await change(a, seed);
      else if (roll < 8) await put(b.store, seed.int(3), seed.int(3), body);
      if (seed.chance(0.5)) await handOverSome(seed);
      if (seed.chance(0.2)) await bringSome(seed, bodies);
      if (seed.chance(0.2)) await b.store.keepHouse();
      if (seed.chance(0.1)) await b.restart();
    }
    await handOverSome(seed);
    const missing = b.store.remote.list(undefined, 100);
    expect(b.store.remote.sum()).toEqual({
      manifests: missing.length,
      bytes: missing.reduce((sum, { bytes }) => sum + bytes, 0),
    });
    await expectSameAfterRebuild(b);
    for (const { hash } of b.store.remote.list(undefined, 100)) await bringOne(hash, bodies);
    const left = b.store.remote.list(undefined, 100);
    expect(left.every(({ bytes }) => bytes === 200_000)).toBe(true);
    expect(b.store.remote.sum()).toEqual({ manifests: left.length, bytes: left.length * 200_000 });
    await expectSameAfterRebuild(b);
  },
);

/** Takes what a has; bodies of some operations stay where they are, others come along. */
async function handOverSome(seed: Seed): Promise<void> {
  for (const entry of await entriesFor(a, b)) {
    const isKept = entry.inline === undefined && seed.chance(0.7);
    const remote: IncomingOperation = { ...entry, state: { kind: "remote" } };
    const [first] = isKept ? await b.store.replica.ingest([remote], []) : [];
    if (first?.outcome === "applied" || first?.outcome === "duplicate") continue;
    const taken = await whole(a.store.replica, b.store.replica, entry);
    const [outcome] = await b.store.replica.ingest([taken], []);
    expect(outcome?.outcome).not.toBe("refused");
  }
}

async function bringSome(seed: Seed, bodies: readonly Buffer[]): Promise<void> {
  for (const { hash } of b.store.remote.list(undefined, 100)) {
    if (seed.chance(0.5)) await bringOne(hash, bodies);
  }
}

/** Brings a body that only this test may have any more. */
async function bringOne(hash: ManifestRef["hash"], bodies: readonly Buffer[]): Promise<void> {
  const wanted = b.store.remote.find(hash);
  const body = bodies.find(({ length }) => length === wanted?.bytes);
  // The history puts large bodies of its own, which are not known here.
  if (body === undefined) return;
  const name = b.hash.digest("BLAKE3", body).toString("hex") as ManifestRef["hash"];
  const writer = await b.store.stageBody();
  await writer.write(body);
  const chunks = [{ hash: name, bytes: body.length }];
  expect(await b.store.remote.take([{ hash, chunks, staged: await writer.finish() }])).toBe(1);
}

function sharedBody(source: StoredObject): PutObjectRequest["body"] {
  return { kind: "shared", source };
}

test("a body that more buckets name than are remembered stays elsewhere too, and nothing waits", async () => {
  const buckets = Array.from({ length: 12 }, (_, index) => bucketOf(`first-${index}`));
  await put(a.store, 0, 0, LARGE);
  const source = objectOf(a);
  for (const bucket of buckets) {
    await a.store.createBucket({ name: bucket, owner: "o" });
    await showRowsFirst(a, bucket);
    const { size, etag, attributes, checksums, parts } = source.record;
    const object = { size, etag, attributes, checksums, parts, encryption: undefined };
    const copy = { bucket, key: KEY, object, body: { kind: "shared", source } as const };
    expect((await a.store.putObject(copy)).outcome).toBe("stored");
  }
  const deps: Parameters<typeof takePage>[0] = {
    replica: b.store.replica,
    fetchNowBytes: LIMITS.replicationFetchNowBytes,
    showsRowsFirst: (bucket) => b.store.remote.showsRowsFirst(bucket),
    fetch: () => Promise.resolve({ outcome: "gone" }),
  };
  for (let round = 0; round < 3; round++) {
    const entries = (await entriesFor(a, b)).map((entry) => new ChainedEntry(b.hash, entry));
    const last = entries.at(-1);
    const heads =
      last === undefined ? [] : [headOf(last.encoded, a.running.site.identity.siteId, a.hash)];
    const page = { entries, heads, unknown: [], diverged: [] };
    await takePage(deps, page, a.running.site.identity.siteId, new AbortController().signal);
  }
  expect(b.store.replica.applied()).toEqual(a.store.replica.applied());
  for (const bucket of buckets) expect(b.store.object(bucket, KEY)).toBeDefined();
  expect(b.store.remote.sum()).toEqual({ manifests: 1, bytes: LARGE.length });
  expect(b.store.remote.find(manifestOf(source))?.buckets).toHaveLength(REMOTE_BUCKETS_MAX);
  await expectSameAfterRebuild(b);
  await b.store.remote.take([await staged(a, b, manifestOf(source))]);
  for (const bucket of [PLAIN, ...buckets]) {
    expect((await read(b, objectOf(b, bucket))).equals(LARGE)).toBe(true);
  }
  await expectSameAfterRebuild(b);
});

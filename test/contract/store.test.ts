import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Store } from "../../src/storage/store.ts";
import { dumpRows, type Running } from "../sim/sim-machine.ts";
import { checkContents, readBody, showModel, showStore } from "../sim/store-check.ts";
import { bucketOf, bytesOf, Journal, keyOf, type UploadIds } from "../sim/store-journal.ts";
import {
  applyToModel,
  type Content,
  EMPTY_STATE,
  type ModelOperation,
  type ModelState,
} from "../sim/store-model.ts";
import { realSite, type SiteFixture, simulatedSite } from "../support/site-fixture.ts";

const IDLE_MS = 11 * 60_000;
const SMALL: Content = { id: 1, size: 900, chunked: false };
const LARGE: Content = { id: 2, size: 150_000, chunked: true };
const HUGE: Content = { id: 3, size: 9 * 1024 * 1024 + 7, chunked: true };
const alpha = { bucket: "alpha" };

function etagOf(number: number): string {
  return number.toString(16).padStart(32, "0");
}

function put(key: string, number: number, content: Content): ModelOperation {
  const object = { writer: `w${number}`, etag: etagOf(number), contents: [content] };
  return { kind: "put", bucket: "alpha", key, object, shared: false, ifNoneMatch: false };
}

function remove(...keys: string[]): ModelOperation {
  return { kind: "delete", targets: keys.map((key) => ({ bucket: "alpha", key })) };
}

describe.each([
  ["a real directory with direct I/O", () => realSite("auto")],
  ["a real directory through the page cache", () => realSite("off")],
  ["a simulated disk with direct I/O", () => simulatedSite("on")],
  ["a simulated disk through the page cache", () => simulatedSite("off")],
])("a store in %s", (_name, make) => {
  let fixture: SiteFixture;
  let running: Running;
  let journal: Journal;
  let state: ModelState;
  const uploadIds: UploadIds = new Map();

  beforeEach(async () => {
    fixture = await make();
    state = EMPTY_STATE;
    uploadIds.clear();
    await start();
    await perform({ kind: "create-bucket", bucket: "alpha" });
  });

  afterEach(async () => {
    await running.site.close();
    fixture.remove();
  });

  async function start(options: { rebuildIndex?: boolean } = {}): Promise<void> {
    running = await fixture.open(options);
    journal = new Journal(running.site.store, uploadIds);
  }

  async function restart(options: { rebuildIndex?: boolean } = {}): Promise<void> {
    await running.site.close();
    await start(options);
  }

  function store(): Store {
    return running.site.store;
  }

  /** Does it, and expects the answer of the model. */
  async function perform(operation: ModelOperation): Promise<string> {
    await journal.perform({ operation });
    const applied = applyToModel(state, operation);
    expect(journal.entries.at(-1)?.outcome).toBe(applied.outcome);
    state = applied.state;
    return applied.outcome;
  }

  async function copy(from: string, key: string, number: number): Promise<void> {
    const source = journal.source("alpha", from);
    const contents = state.objects.get(`alpha\0${from}`)?.contents;
    if (source === undefined || contents === undefined) throw new Error("no source");
    const object = { writer: `w${number}`, etag: etagOf(number), contents };
    const operation: ModelOperation = {
      ...{ kind: "put", bucket: "alpha", key, object, shared: true, ifNoneMatch: false },
    };
    await journal.perform({ operation, source });
    const applied = applyToModel(state, operation);
    expect(journal.entries.at(-1)?.outcome).toBe(applied.outcome);
    state = applied.state;
  }

  async function check(): Promise<void> {
    expect(showStore(store(), uploadIds)).toBe(showModel(state));
    await checkContents(running.site, state, journal.entries);
  }

  /** Seals the current segments, drops dead ones, and gives how many were dropped. */
  async function keepHouse(): Promise<number> {
    let dropped = 0;
    for (let times = 0; times < 3; times++) {
      dropped += (await store().keepHouse()).segmentsDropped;
      fixture.clock.leap(IDLE_MS);
    }
    return dropped;
  }

  /** The index as it is and the one made from the log alone are the same. */
  async function expectSameRowsAfterRebuild(): Promise<void> {
    const kept = dumpRows(running.kv, fixture.hash);
    await restart({ rebuildIndex: true });
    expect(dumpRows(running.kv, fixture.hash)).toEqual(kept);
    await check();
  }

  test("gives back what was put, overwritten and deleted, over restarts", async () => {
    await perform(put("a", 1, SMALL));
    await perform(put("dir/a", 2, LARGE));
    await perform(put("dir/huge", 3, HUGE));
    await perform(put("empty", 4, { id: 0, size: 0, chunked: false }));
    await check();
    await perform(put("a", 5, LARGE));
    await perform(put("dir/a", 6, SMALL));
    await perform(remove("empty", "never"));
    await check();
    await restart();
    expect(running.site.opening.replayedOperations).toBe(0);
    await check();
    await expectSameRowsAfterRebuild();
  });

  test("never gives what it remembers of a key in place of what was stored last", async () => {
    for (let round = 1; round <= 3; round++) {
      await perform(put("hot", round * 2, SMALL));
      // The first read is cold, the second warms the memory, the third is answered from it.
      for (let times = 0; times < 3; times++) await check();
      await perform(put("hot", round * 2 + 1, LARGE));
      await check();
      await perform(remove("hot"));
      await check();
    }
  });

  test("walks keys in order and seeks past prefixes without reading what lies between", async () => {
    const keys = ["a", "b/1", "b/2", "b/3", "c", "é", "😀"];
    for (const [number, key] of keys.entries()) await perform(put(key, number, SMALL));
    const cursor = store().objects(bucketOf("alpha"));
    cursor.seek("b/");
    expect(cursor.next()?.key).toBe("b/1");
    cursor.seekPast("b/");
    expect(cursor.next()?.key).toBe("c");
    expect(cursor.next()?.key).toBe("é");
    expect(cursor.next()?.key).toBe("😀");
    expect(cursor.next()).toBeUndefined();
    expect(cursor.rowsRead).toBe(4);
  });

  test("reads any range of a body of several chunks", async () => {
    await perform(put("huge", 1, HUGE));
    const object = store().object(bucketOf("alpha"), keyOf("huge"));
    if (object === undefined) throw new Error("it is there");
    const bytes = bytesOf(HUGE);
    for (const [from, to] of [
      [0, 1],
      [4_194_303, 4_194_305],
      [1_048_575, 9_000_000],
      [bytes.length - 1, bytes.length],
      [5, 5],
    ] as const) {
      const read = await readBody(store(), object, from, to);
      expect(read.equals(bytes.subarray(from, to)), `${from} to ${to}`).toBe(true);
    }
  });

  test("judges conditions of one batch one after another", async () => {
    const once = { ...put("once", 1, SMALL), ifNoneMatch: true } as ModelOperation;
    const bursts = Array.from({ length: 8 }, () => journal.perform({ operation: once }));
    await Promise.all(bursts);
    const outcomes = journal.entries.slice(-8).map((entry) => entry.outcome);
    expect(outcomes).toEqual(["stored", ...Array(7).fill("precondition-failed")]);
    state = applyToModel(state, once).state;
    await check();
  });

  test("shares chunks between copies and equal bodies, until the last of them goes", async () => {
    await perform(put("one", 1, LARGE));
    const before = store().stats().segments.liveBytes;
    await perform(put("two", 2, LARGE));
    await copy("one", "three", 3);
    expect(store().stats().segments.liveBytes).toBe(before);
    await perform(remove("one"));
    await check();
    await perform(remove("two", "three"));
    expect(store().stats().segments.liveBytes).toBe(0);
    await keepHouse();
    await expectSameRowsAfterRebuild();
  });

  test("knows multipart uploads from their first part to a second completion", async () => {
    const at = { bucket: "alpha", key: "dir/up", tag: "u1" };
    const part = (partNumber: number, number: number, content: Content): ModelOperation => ({
      ...{ kind: "put-part", ...at, partNumber, etag: etagOf(number), content },
    });
    const complete = (...parts: Array<[number, number]>): ModelOperation => ({
      ...{ kind: "complete", ...at, writer: "w" },
      parts: parts.map(([partNumber, number]) => ({ partNumber, etag: etagOf(number) })),
    });
    await perform({ kind: "create-upload", ...at });
    await perform(part(1, 11, LARGE));
    await perform(part(1, 12, HUGE));
    await perform(part(2, 13, SMALL_CHUNK));
    await perform(part(3, 14, LARGE));
    await restart();
    await check();
    expect(await perform(complete([1, 11], [2, 13]))).toBe("invalid-part");
    expect(await perform(complete([2, 13], [3, 14]))).toBe("part-too-small");
    expect(await perform(complete([1, 12], [2, 13]))).toBe("stored");
    await check();
    await expectSameRowsAfterRebuild();
    expect(await perform(complete([1, 12], [2, 13]))).toBe("already-completed");
    await perform({ kind: "create-upload", bucket: "alpha", key: "up", tag: "u2" });
    await perform({ kind: "abort", bucket: "alpha", key: "up", tag: "u2" });
    await perform({ kind: "abort", bucket: "alpha", key: "up", tag: "u2" });
    await expectSameRowsAfterRebuild();
  });

  test("forgets after a day what a completed upload answered, for good", async () => {
    const at = { bucket: "alpha", key: "up", tag: "u1" };
    await perform({ kind: "create-upload", ...at });
    await perform({ kind: "put-part", ...at, partNumber: 1, etag: etagOf(1), content: LARGE });
    const parts = [{ partNumber: 1, etag: etagOf(1) }];
    await perform({ kind: "complete", ...at, writer: "w", parts });
    fixture.clock.leap(25 * 3_600_000);
    expect((await store().keepHouse()).resultsExpired).toBe(1);
    state = { ...state, results: new Map() };
    await check();
    await expectSameRowsAfterRebuild();
    await perform(remove("up"));
    for (let times = 0; times < 3; times++) await keepHouse();
    await expectSameRowsAfterRebuild();
  });

  test("deletes a bucket with its uploads but not with its objects", async () => {
    await perform(put("a", 1, SMALL));
    await perform({ kind: "create-upload", ...alpha, key: "up", tag: "u1" });
    expect(await perform({ kind: "delete-bucket", ...alpha })).toBe("not-empty");
    await perform(remove("a"));
    expect(await perform({ kind: "delete-bucket", ...alpha })).toBe("deleted");
    await check();
    await keepHouse();
    await expectSameRowsAfterRebuild();
    expect(await perform({ kind: "create-bucket", ...alpha })).toBe("created");
    await check();
  });

  test("keeps access keys, and a revoked one revoked", async () => {
    for (const next of ["active", "revoked", "active"]) {
      await perform({ kind: "access-key", id: "AKONE", state: next });
    }
    await perform({ kind: "access-key", id: "AKTWO", state: "disabled" });
    await restart();
    await check();
    await expectSameRowsAfterRebuild();
  });

  test("rebuilds the same rows when a segment in the middle of a chain of copies is gone", async () => {
    await perform(put("kept", 1, SMALL));
    await perform(put("source", 2, LARGE));
    await keepHouse();
    await copy("source", "first", 3);
    await keepHouse();
    await perform(remove("source"));
    await perform(put("source", 4, SMALL));
    await keepHouse();
    await copy("first", "second", 5);
    await perform(put("first", 6, SMALL));
    expect(await keepHouse()).toBeGreaterThan(0);
    await expectSameRowsAfterRebuild();
    await perform(remove("second"));
    await perform(put("again", 7, LARGE));
    await keepHouse();
    await expectSameRowsAfterRebuild();
  });

  test("does not bring back an upload whose beginning and end are both gone", async () => {
    await perform({ kind: "create-upload", ...alpha, key: "up", tag: "u1" });
    await keepHouse();
    await perform({ kind: "abort", ...alpha, key: "up", tag: "u1" });
    await perform(put("a", 1, SMALL));
    await keepHouse();
    await perform(put("a", 2, SMALL));
    await keepHouse();
    await keepHouse();
    await expectSameRowsAfterRebuild();
  });
});

const SMALL_CHUNK: Content = { id: 4, size: 140_000, chunked: true };

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeOperation } from "../../src/core/operation-codec.ts";
import type { IncomingOperation, IngestOutcome } from "../../src/storage/replica.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { entriesFor, handOverAll, positionOf, whole } from "../support/hand-over.ts";
import { overlay } from "../support/overlay.ts";
import { contentsOf, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

const PLAIN = bucketOf("plain");
const LARGE = Buffer.alloc(200_000, 3);

let a: SimSite;
let b: SimSite;

beforeEach(async () => {
  a = await SimSite.open("parked a");
  b = await SimSite.open("parked b");
  await setUp(a);
  await handOverAll(a, b);
});

afterEach(closeSimSites);

function parkedNow(operations: readonly IncomingOperation[]): IncomingOperation[] {
  return operations.map((one) => ({
    ...one,
    inline: undefined,
    state: { kind: "parked", reason: "nobody has it" },
  }));
}

function voidNow(operations: readonly IncomingOperation[]): IncomingOperation[] {
  return operations.map((one) => ({ ...one, inline: undefined, state: { kind: "void" } }));
}

function namesOf(outcomes: readonly IngestOutcome[]): string[] {
  return outcomes.map((one) => (one.outcome === "refused" ? one.reason : one.outcome));
}

async function expectSameAfterRebuild(site: SimSite): Promise<void> {
  const kept = dumpRows(site.kv, site.hash);
  await site.restart(true);
  expect(dumpRows(site.kv, site.hash)).toEqual(kept);
}

describe("an operation without its bytes", () => {
  test("is refused when it says that it is whole", async () => {
    await put(a.store, 0, 0, LARGE);
    const incoming = await entriesFor(a, b);
    expect(namesOf(await b.store.replica.ingest(incoming, []))).toEqual(["bytes"]);
    await put(a.store, 0, 1, Buffer.from("small"));
    const [, small] = await entriesFor(a, b);
    if (small === undefined) throw new Error("no operation");
    const cut = { ...small, inline: Buffer.from("smal") };
    expect(namesOf(await b.store.replica.ingest([...voidNow(incoming), cut], []))).toEqual([
      "void",
      "bytes",
    ]);
  });

  test("is parked, durable and loud, and what follows goes on", async () => {
    await put(a.store, 0, 0, Buffer.from("first"));
    await put(a.store, 0, 1, Buffer.from("second"));
    const [first, second] = await entriesFor(a, b);
    if (first === undefined || second === undefined) throw new Error("no operations");
    const outcomes = await b.store.replica.ingest([...parkedNow([first]), second], []);
    expect(namesOf(outcomes)).toEqual(["parked", "applied"]);
    await b.restart();
    const { dot, hlc } = decodeOperation(first.encoded);
    const { replica } = b.store;
    expect(replica.parked()).toEqual([{ dot, hlc, reason: "nobody has it" }]);
    expect(replica.received().get(dot.origin)?.seq).toBe(dot.seq + 1);
    expect(replica.applied().get(dot.origin)).toBe(dot.seq - 1);
    expect(b.store.object(PLAIN, keyOf("a"))).toBeUndefined();
    expect(b.store.object(PLAIN, keyOf("a/b"))?.record.size).toBe(6);
    const entry = await replica.parkedEntry(dot);
    expect(Buffer.from(entry?.encoded ?? []).equals(Buffer.from(first.encoded))).toBe(true);
    await expectSameAfterRebuild(b);
    expect(namesOf(await b.store.replica.ingest(parkedNow([first]), []))).toEqual(["duplicate"]);
  });

  test("is applied once its bytes have come, and told on with them", async () => {
    const c = await SimSite.open("parked c");
    await put(a.store, 0, 0, Buffer.from("inline"));
    await put(a.store, 0, 1, LARGE);
    const incoming = await entriesFor(a, b);
    await b.store.replica.ingest(parkedNow(incoming), []);
    const relayed = await b.store.replica.readLog(positionOf(c), 1024 * 1024);
    // Nobody has signed these for the one who relays them.
    expect(relayed).toMatchObject({ outcome: "page" });
    for (const entry of incoming) {
      const again = await whole(a.store.replica, b.store.replica, entry);
      expect(namesOf(await b.store.replica.ingest([again], []))).toEqual(["applied"]);
      expect(namesOf(await b.store.replica.ingest([entry], []))).toEqual(["duplicate"]);
    }
    expect(b.store.replica.parked()).toEqual([]);
    expect(b.store.replica.applied()).toEqual(a.store.replica.applied());
    expect(await contentsOf(b.store)).toEqual(await contentsOf(a.store));
    await expectSameAfterRebuild(b);
    expect(await contentsOf(b.store)).toEqual(await contentsOf(a.store));
  });

  test("is told by its place, whatever stands beside it", async () => {
    for (const at of [0, 1, 2]) await put(a.store, 0, at, Buffer.from(`body ${at}`));
    const incoming = await entriesFor(a, b);
    await b.store.replica.ingest(parkedNow(incoming), []);
    for (const { encoded } of incoming) {
      const { dot } = decodeOperation(encoded);
      const entry = await b.store.replica.parkedEntry(dot);
      expect(Buffer.compare(entry?.encoded ?? Buffer.alloc(0), encoded)).toBe(0);
    }
  });

  test("is read back with the others of its batch, which is read once for all of them", async () => {
    const count = 60;
    for (let at = 0; at < count; at++) await put(a.store, 0, at % 3, Buffer.from(`body ${at}`));
    const incoming = await entriesFor(a, b);
    expect(incoming.length).toBeGreaterThanOrEqual(count);
    await b.store.replica.ingest(parkedNow(incoming), []);
    const { disk } = b.machine;
    const open = disk.openRead.bind(disk);
    let reads = 0;
    disk.openRead = async (path) => {
      const file = await open(path);
      return overlay(file, {
        read: (into, offset) => {
          reads += 1;
          return file.read(into, offset);
        },
      });
    };
    await b.restart();
    const { replica } = b.store;
    reads = 0;
    const entries = await Promise.all(
      incoming.map(({ encoded }) => replica.parkedEntry(decodeOperation(encoded).dot)),
    );
    for (const [at, { encoded }] of incoming.entries()) {
      expect(Buffer.compare(entries[at]?.encoded ?? Buffer.alloc(0), encoded)).toBe(0);
    }
    const batches = reads;
    expect(batches).toBeLessThan(10);
    // What is asked for again is there, and what has been applied meanwhile is not.
    const [first, second] = incoming.map(({ encoded }) => decodeOperation(encoded).dot);
    if (first === undefined || second === undefined) throw new Error("no operations");
    await replica.ingest(incoming.slice(0, 1), []);
    expect(await replica.parkedEntry(first)).toBeUndefined();
    expect((await replica.parkedEntry(second))?.encoded).toEqual(entries[1]?.encoded);
    expect([replica.parkedCount(), replica.parked().length]).toEqual([
      incoming.length - 1,
      incoming.length - 1,
    ]);
  });

  test("is relayed by whom it was parked, with what came later", async () => {
    const c = await SimSite.open("parked c");
    await put(a.store, 0, 0, Buffer.from("inline"));
    const incoming = await entriesFor(a, b);
    await b.store.replica.ingest(parkedNow(incoming), []);
    await b.store.replica.ingest(incoming, []);
    // The next signed head covers it.
    await put(a.store, 0, 1, Buffer.from("more"));
    await handOverAll(a, b);
    await handOverAll(b, c);
    expect(await contentsOf(c.store)).toEqual(await contentsOf(a.store));
    expect(c.store.replica.parked()).toEqual([]);
  });

  test("because it is damaged where it is served keeps nobody from the others", async () => {
    await put(a.store, 0, 0, Buffer.from("the first"));
    await put(a.store, 0, 1, Buffer.alloc(300, 9));
    await put(a.store, 0, 2, Buffer.from("the third"));
    const spoilt = a.store.object(PLAIN, keyOf("a/b"));
    if (spoilt === undefined) throw new Error("no object");
    a.spoil(spoilt);
    await a.restart();
    await handOverAll(a, b);
    expect(b.store.replica.parked()).toHaveLength(1);
    expect(b.store.object(PLAIN, keyOf("a"))?.record.size).toBe(9);
    expect(b.store.object(PLAIN, keyOf("a b"))?.record.size).toBe(9);
    expect(b.store.object(PLAIN, keyOf("a/b"))).toBeUndefined();
    expect(a.machine.log.lines.map(({ message }) => message).join()).toContain("damaged");
  });

  test("that is void is never applied, and counts as applied", async () => {
    await put(a.store, 0, 0, Buffer.from("old"));
    const [old] = await entriesFor(a, b);
    if (old === undefined) throw new Error("no operation");
    const operation = decodeOperation(old.encoded);
    expect(b.store.replica.superseded(operation)).toBe(false);
    await put(a.store, 0, 0, Buffer.from("new"));
    const [, latest] = await entriesFor(a, b);
    if (latest === undefined) throw new Error("no operation");
    await b.store.replica.ingest([...parkedNow([old]), latest], []);
    expect(b.store.replica.superseded(operation)).toBe(true);
    expect(namesOf(await b.store.replica.ingest(voidNow([old]), []))).toEqual(["void"]);
    expect(b.store.replica.applied()).toEqual(a.store.replica.applied());
    expect(b.store.object(PLAIN, keyOf("a"))?.hlc).toBe(decodeOperation(latest.encoded).hlc);
    await expectSameAfterRebuild(b);
    expect(namesOf(await b.store.replica.ingest(voidNow([old]), []))).toEqual(["duplicate"]);
  });
});

describe("a group", () => {
  async function rename(): Promise<IncomingOperation[]> {
    await put(a.store, 0, 0, Buffer.from("moving"));
    await handOverAll(a, b);
    const request = { bucket: PLAIN, source: keyOf("a"), key: keyOf("a/b"), token: undefined };
    expect(await a.store.renameObject(request)).toEqual({ outcome: "renamed" });
    return await entriesFor(a, b);
  }

  test("enters the log whole or not at all", async () => {
    const [first, second] = await rename();
    if (first === undefined || second === undefined) throw new Error("no operations");
    expect(namesOf(await b.store.replica.ingest([first], []))).toEqual(["gap"]);
    const cut = { ...first, inline: Buffer.from("mov") };
    expect(namesOf(await b.store.replica.ingest([cut, second], []))).toEqual(["bytes", "bytes"]);
    expect(b.store.object(PLAIN, keyOf("a"))?.record.size).toBe(6);
    expect(namesOf(await b.store.replica.ingest([first, second], []))).toEqual([
      "applied",
      "applied",
    ]);
    expect(await contentsOf(b.store)).toEqual(await contentsOf(a.store));
  });

  test("is parked together, and comes back in its order", async () => {
    const [first, second] = await rename();
    if (first === undefined || second === undefined) throw new Error("no operations");
    const outcomes = await b.store.replica.ingest([...parkedNow([first]), second], []);
    expect(namesOf(outcomes)).toEqual(["parked", "parked"]);
    expect(b.store.object(PLAIN, keyOf("a"))?.record.size).toBe(6);
    expect(namesOf(await b.store.replica.ingest([second], []))).toEqual(["gap"]);
    expect(namesOf(await b.store.replica.ingest([first], []))).toEqual(["applied"]);
    expect(namesOf(await b.store.replica.ingest([second], []))).toEqual(["applied"]);
    expect(await contentsOf(b.store)).toEqual(await contentsOf(a.store));
    await expectSameAfterRebuild(b);
  });

  test("does not wait for what stands in front of it, which may wait for the group", async () => {
    await put(a.store, 0, 0, LARGE);
    const moved = await entriesFor(a, b);
    await b.store.replica.ingest(parkedNow(moved), []);
    const request = { bucket: PLAIN, source: keyOf("a"), key: keyOf("a/b"), token: undefined };
    await a.store.renameObject(request);
    const [first, second] = await entriesFor(a, b);
    if (first === undefined || second === undefined) throw new Error("no operations");
    await b.store.replica.ingest([...parkedNow([first]), second], []);
    await a.store.deleteObject({ bucket: PLAIN, key: keyOf("a/b") });
    await handOverAll(a, b);
    await b.restart();
    // Nobody has the bytes any more: the delete took the place of the first, the second that of
    // what was moved.
    expect(namesOf(await b.store.replica.ingest([second], []))).toEqual(["gap"]);
    expect(namesOf(await b.store.replica.ingest(voidNow([first]), []))).toEqual(["void"]);
    expect(namesOf(await b.store.replica.ingest([second], []))).toEqual(["applied"]);
    expect(namesOf(await b.store.replica.ingest(voidNow(moved), []))).toEqual(["void"]);
    expect(b.store.replica.parked()).toEqual([]);
    expect(await contentsOf(b.store)).toEqual(await contentsOf(a.store));
    await expectSameAfterRebuild(b);
  });
});

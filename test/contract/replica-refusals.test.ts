import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hlcMs } from "../../src/core/hlc.ts";
import { decodeOperation } from "../../src/core/operation-codec.ts";
import { ChainedEntry } from "../../src/storage/chained-entry.ts";
import type { IncomingOperation, IngestOutcome } from "../../src/storage/replica.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { operationBytes } from "../support/golden-records.ts";
import { entriesFor, handOverAll, headOf, positionOf } from "../support/hand-over.ts";
import { contentsOf, put, setUp } from "../support/row-workload.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

let a: SimSite;
let b: SimSite;

beforeEach(async () => {
  a = await SimSite.open("refusals a");
  b = await SimSite.open("refusals b");
  await setUp(a);
  await handOverAll(a, b);
});

afterEach(closeSimSites);

function namesOf(outcomes: readonly IngestOutcome[]): string[] {
  return outcomes.map((one) => (one.outcome === "refused" ? one.reason : one.outcome));
}

async function puts(count: number): Promise<IncomingOperation[]> {
  for (let at = 0; at < count; at++) await put(a.store, 0, at, Buffer.from(`body ${at}`));
  return await entriesFor(a, b);
}

describe("what comes in", () => {
  test("must follow what is here, and is a duplicate when it comes again", async () => {
    const [first, second, third] = await puts(3);
    if (first === undefined || second === undefined || third === undefined) throw new Error();
    const { replica } = b.store;
    expect(namesOf(await replica.ingest([second, third], []))).toEqual(["gap", "gap"]);
    expect(namesOf(await replica.ingest([first, third], []))).toEqual(["applied", "gap"]);
    expect(namesOf(await replica.ingest([first, second, second, third], []))).toEqual([
      "duplicate",
      "applied",
      "duplicate",
      "applied",
    ]);
    expect(await contentsOf(b.store)).toEqual(await contentsOf(a.store));
  });

  test("is hashed here, unless it was already: a chain of other bytes is not believed", async () => {
    const [first, second, third] = await puts(3);
    if (first === undefined || second === undefined || third === undefined) throw new Error();
    const checked = { ...first, chained: new ChainedEntry(b.hash, first) };
    const altered = Buffer.from(second.encoded);
    altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
    const chained = new ChainedEntry(b.hash, second);
    const outcomes = await b.store.replica.ingest(
      [checked, { ...second, encoded: altered, chained }, { ...third, chained }],
      [],
    );
    expect(namesOf(outcomes)[0]).toBe("applied");
    expect(namesOf(outcomes)[2]).toMatch(/chain|gap/);
    const { origin } = a.store.replica;
    const head = b.store.replica.received().get(origin);
    expect(chained.chain.equals(head?.chain ?? chained.chain)).toBe(false);
  });

  test("must belong to the history that is here", async () => {
    const [first, second] = await puts(2);
    if (first === undefined || second === undefined) throw new Error();
    const altered = Buffer.from(first.encoded);
    // A letter of the ETag in a record that is otherwise whole.
    altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
    const other = { ...first, encoded: altered };
    const outcomes = await b.store.replica.ingest([other, second], []);
    expect(namesOf(outcomes)[1]).toMatch(/chain|gap/);
    expect(b.store.replica.received().get(a.store.replica.origin)?.seq).toBeLessThan(
      decodeOperation(second.encoded).dot.seq,
    );
  });

  test("is no operation of ours that we do not have", async () => {
    const restored = await SimSite.open("refusals b");
    const { origin } = b.store.replica;
    expect(restored.store.replica.origin).toBe(origin);
    await put(b.store, 0, 0, Buffer.from("gone with the disk"));
    const own = (await entriesFor(b, restored)).filter(({ encoded }) => {
      return decodeOperation(encoded).dot.origin === origin;
    });
    const outcomes = await restored.store.replica.ingest(own, []);
    expect(namesOf(outcomes)).toEqual(["chain"]);
    expect(namesOf(await b.store.replica.ingest(own, []))).toEqual(["duplicate"]);
  });

  test("must be readable; the rest of that origin is left for later, others go on", async () => {
    const c = await SimSite.open("refusals c");
    await setUp(c);
    const [first, second] = await puts(2);
    const others = await entriesFor(c, b);
    const mine = others.filter(({ encoded }) => {
      return decodeOperation(encoded).dot.origin === c.store.replica.origin;
    });
    if (first === undefined || second === undefined) throw new Error();
    const cut = { ...first, encoded: first.encoded.subarray(0, 70) };
    const newer = Buffer.from(first.encoded);
    newer[24] = 250;
    for (const [damaged, reason] of [
      [cut, "damaged"],
      [{ ...first, encoded: newer }, "unsupported"],
      [{ ...first, encoded: Buffer.from("x") }, "damaged"],
    ] as const) {
      const outcomes = await b.store.replica.ingest([damaged, second], []);
      expect(namesOf(outcomes)).toEqual([reason, "gap"]);
    }
    const outcomes = await b.store.replica.ingest([cut, second, ...mine], []);
    expect(namesOf(outcomes).slice(2)).toEqual(mine.map(() => "applied"));
  });

  test("has dates that can be shown, whatever the clock says that it was written by", async () => {
    const [first, second] = await puts(2);
    if (first === undefined || second === undefined) throw new Error();
    const operation = decodeOperation(first.encoded);
    const { body } = operation;
    if (body.kind !== "object-put") throw new Error(body.kind);
    const dated = (untilMs: number, lastModifiedMs = 1): IncomingOperation => {
      const lock = { retention: { mode: "COMPLIANCE", untilMs }, legalHold: false } as const;
      const object = { ...body.object, lastModifiedMs, lock };
      return { ...first, encoded: operationBytes({ ...operation, body: { ...body, object } }) };
    };
    const lastMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
    for (const lie of [dated(1, lastMs + 3 * 86_400_000), dated(9e15), dated(1, 2 ** 52)]) {
      const outcomes = await b.store.replica.ingest([lie, second], []);
      expect(namesOf(outcomes)).toEqual(["damaged", "gap"]);
      const row = { encoded: lie.encoded, inline: first.inline, manifests: [] };
      const step = { rows: [row], removed: [], progress: undefined, rewrite: false };
      await expect(b.store.rows.import(step)).rejects.toThrow("no calendar");
    }
    // As far as a client may keep a version who lives half a day behind.
    const kept = dated(lastMs + 43_200_000, lastMs);
    expect(namesOf(await b.store.replica.ingest([kept], []))).toEqual(["applied"]);
  });

  test("may be ahead of our clock by little, and moves it only then", async () => {
    a.machine.clock.jump(4000);
    const [near] = await puts(1);
    a.machine.clock.jump(2000);
    await put(a.store, 0, 1, Buffer.from("far"));
    const [, far] = await entriesFor(a, b);
    if (near === undefined || far === undefined) throw new Error();
    expect(namesOf(await b.store.replica.ingest([near, far], []))).toEqual(["applied", "clock"]);
    const nowMs = b.machine.clock.nowMs();
    expect(hlcMs(b.store.stats().hlc)).toBeLessThanOrEqual(nowMs + 4000);
    expect(b.store.stats().hlc).toBeGreaterThanOrEqual(decodeOperation(near.encoded).hlc);
    b.machine.clock.leap(2000);
    expect(namesOf(await b.store.replica.ingest([far], []))).toEqual(["applied"]);
  });
});

describe("signatures of heads", () => {
  test("are kept for what the log has reached, and end the pages that relay it", async () => {
    const c = await SimSite.open("refusals c");
    await handOverAll(b, c);
    const incoming = await puts(5);
    const { siteId } = a.running.site.identity;
    const third = incoming[2];
    if (third === undefined) throw new Error();
    const head = headOf(third.encoded, siteId, a.hash);
    const wrong = { ...head, chain: Buffer.alloc(32, 1) };
    await b.store.replica.ingest(incoming.slice(0, 3), [wrong, head]);
    await b.store.replica.ingest(incoming.slice(3), []);
    await b.restart();
    const page = await b.store.replica.readLog(positionOf(c), 1024 * 1024);
    if (page.outcome !== "page") throw new Error();
    expect(page.heads).toEqual([head]);
    const last = page.entries.at(-1);
    expect(decodeOperation(last?.encoded ?? Buffer.alloc(0)).dot).toEqual(
      decodeOperation(third.encoded).dot,
    );
  });

  test("go with the segment that they stand in, and a rebuild agrees", async () => {
    const incoming = await puts(2);
    const last = incoming.at(-1);
    if (last === undefined) throw new Error();
    await b.store.replica.ingest(incoming, []);
    // Another start begins another segment: the signature stands alone in it, beside what dies.
    await b.restart();
    const name = { bucket: bucketOf("plain"), key: keyOf("short") };
    await put(b.store, 0, 4, Buffer.from("short-lived"));
    const head = headOf(last.encoded, a.running.site.identity.siteId, a.hash);
    expect(await b.store.replica.ingest([], [head])).toEqual([]);
    expect(await b.store.replica.ingest([], [head])).toEqual([]);
    await b.restart();
    for (let round = 0; round < 4; round++) {
      await put(b.store, 0, 4, Buffer.from(`later ${round}`));
      await b.store.deleteObject(name);
      await b.restart();
      b.machine.clock.leap(11 * 60_000);
      await b.store.keepHouse();
    }
    const kept = dumpRows(b.kv, b.hash);
    const signed = `i${head.origin}${head.seq.toString(16).padStart(14, "0")}`;
    expect(kept.some((row) => row.startsWith(signed))).toBe(false);
    await b.restart(true);
    expect(dumpRows(b.kv, b.hash)).toEqual(kept);
  });
});

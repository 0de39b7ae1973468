import { beforeAll, expect, test } from "vitest";
import { Seed } from "../../test/sim/seed.ts";
import { SimDisk } from "../../test/sim/sim-disk.ts";
import { createInlineHash } from "../../test/sim/sim-hash.ts";
import { openSimKv } from "../../test/sim/sim-kv.ts";
import { fc } from "../../test/support/properties.ts";
import { ByteWriter } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { HLC_ZERO } from "../core/hlc.ts";
import {
  type OriginId,
  parseBucketName,
  parseOriginId,
  parseSeq,
  parseSiteId,
  type Seq,
} from "../core/names.ts";
import type { Operation } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { Kv, KvMutation } from "../ports/kv.ts";
import type { BatchPlace, LoggedOperation } from "./log-batch.ts";
import { type PageWish, readLogPage } from "./log-pages.ts";
import { logRunKeyOf } from "./metadata/keys.ts";
import { encodeRow, TABLES, type Table } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";

const [OWN, OSLO, PARIS] = ["0", "1", "2"].map(
  (digit) => parseOriginId(digit.repeat(16)) as OriginId,
) as [OriginId, OriginId, OriginId];
const SITE = parseSiteId("f".repeat(16));
const BUCKET = parseBucketName("bucket");
const OPERATION_BYTES = 100;

let hash: Hash;
beforeAll(async () => {
  hash = await createInlineHash();
});

function seqOf(value: number): Seq {
  const seq = parseSeq(value);
  if (seq === undefined) throw new Error("a whole number is a position");
  return seq;
}

/** What a batch of the log holds: runs of operations; a group binds the whole run. */
type Batch = ReadonlyArray<{
  readonly origin: OriginId;
  readonly count: number;
  readonly isGroup: boolean;
  readonly isSigned: boolean;
}>;

/** A log of these batches as the index and the segments would have it. */
class Log {
  readonly received = new Map<OriginId, Seq>();
  readonly signed = new Set<string>();
  readonly order: string[] = [];
  readonly reads: number[] = [];
  readonly damaged = new Set<number>();
  readonly #batches: LoggedOperation[][] = [];
  readonly #mutations: KvMutation[] = [];
  readonly #kv: Kv;

  private constructor(kv: Kv) {
    this.#kv = kv;
  }

  static async open(batches: readonly Batch[]): Promise<Log> {
    const disk = new SimDisk(new Seed("log pages"), { directories: ["/d"], nowMs: () => 0 });
    const log = new Log(await openSimKv(disk)("/d/index"));
    for (const batch of batches) log.#add(batch);
    await log.#kv.write(log.#mutations);
    return log;
  }

  page(wish: Partial<PageWish>) {
    return readLogPage(
      { kv: this.#kv, hash, ownOrigins: new Set([OWN]), read: (place) => this.#read(place) },
      {
        ...{ after: new Map(), received: this.received, floors: new Map(), bytesMax: 1000 },
        ...wish,
      },
    );
  }

  async #read({ offset }: BatchPlace): Promise<readonly LoggedOperation[]> {
    this.reads.push(offset);
    if (this.damaged.has(offset)) throw new StorageFault("corrupt", "damaged");
    return this.#batches[offset] ?? [];
  }

  #add(batch: Batch): void {
    const offset = this.#batches.length;
    const operations: LoggedOperation[] = [];
    for (const { origin, count, isGroup, isSigned } of batch) {
      const before = this.received.get(origin) ?? 0;
      const first = seqOf(before + 1);
      const group = isGroup ? { id: `${origin}${first}`, count } : undefined;
      for (let seq = first; seq < first + count; seq = seqOf(seq + 1)) {
        operations.push(loggedOf(origin, seq, group));
        this.order.push(`${origin} ${seq}`);
      }
      const last = seqOf(before + count);
      this.received.set(origin, last);
      this.#put(TABLES.logRun, logRunKeyOf(origin, first), { segment: 1, offset, count });
      if (origin === OWN || !isSigned) continue;
      this.signed.add(`${origin} ${last}`);
      const head = { home: 1, chain: Buffer.alloc(32), signature: Buffer.alloc(64) };
      if (SITE === undefined) throw new Error("16 digits are a site");
      this.#put(TABLES.signedHead, logRunKeyOf(origin, last), { ...head, site: SITE });
    }
    this.#batches.push(operations);
  }

  #put<Row>(table: Table<Row>, key: string, row: Row): void {
    const writer = new ByteWriter();
    encodeRow(writer, table, row, hash.crc32);
    this.#mutations.push({ key: indexKey(table.prefix, key), value: writer.finish() });
  }
}

function loggedOf(origin: OriginId, seq: Seq, group: Operation["group"]): LoggedOperation {
  if (BUCKET === undefined) throw new Error("a bucket has a name");
  const operation: Operation = {
    ...{ dot: { origin, seq }, hlc: HLC_ZERO, chainBefore: Buffer.alloc(32), group },
    ...{ vector: { full: false, entries: new Map() }, unknownFields: [] },
    body: { kind: "bucket-delete", bucket: BUCKET, deletedMs: 0 },
  };
  const encoded = Buffer.alloc(OPERATION_BYTES, `${origin} ${seq};`);
  return { operation, encoded, inline: undefined, missing: undefined };
}

function nameOf({ encoded }: { readonly encoded: Uint8Array }): string {
  return Buffer.from(encoded).toString("latin1").split(";")[0] ?? "";
}

const run = fc.record({
  origin: fc.constantFrom(OWN, OSLO, PARIS),
  count: fc.integer({ min: 1, max: 5 }),
  isGroup: fc.boolean(),
  isSigned: fc.boolean(),
});
/** Of each origin one run at most, as batches have it. */
const batches = fc.array(
  fc.uniqueArray(run, { minLength: 1, maxLength: 3, selector: ({ origin }) => origin }),
  { maxLength: 12 },
);

/** What can be handed over: our own, and the others' up to their last signature. */
function relayable(log: Log): string[] {
  return log.order.filter((name) => {
    const [origin = "", seq = ""] = name.split(" ");
    if (origin === OWN) return true;
    const later = [...log.signed].filter((signed) => signed.startsWith(origin));
    return later.some((signed) => Number(signed.split(" ")[1]) >= Number(seq));
  });
}

test("page after page gives everything beyond a vector, once, whatever its bounds", async () => {
  await fc.assert(
    fc.asyncProperty(batches, fc.integer({ min: 1, max: 2000 }), async (all, bytesMax) => {
      const log = await Log.open(all);
      const after = new Map<OriginId, Seq>();
      const seen: string[] = [];
      for (let pages = 0; ; pages++) {
        expect(pages).toBeLessThan(100);
        const page = await log.page({ after: new Map(after), bytesMax });
        if (page.outcome !== "page") throw new Error("nothing was trimmed");
        if (page.entries.length === 0) break;
        for (const name of page.entries.map(nameOf)) {
          const [origin = "", seq = ""] = name.split(" ");
          const id = parseOriginId(origin) as OriginId;
          // Without a gap, and without anything twice.
          expect(Number(seq)).toBe((after.get(id) ?? 0) + 1);
          after.set(id, seqOf(Number(seq)));
          seen.push(name);
        }
        for (const [origin, seq] of after) {
          const isThere = page.heads.some((head) => head.origin === origin && head.seq === seq);
          const isTouched = page.entries.some((entry) => nameOf(entry).startsWith(origin));
          if (origin !== OWN && isTouched) expect(isThere).toBe(true);
        }
      }
      expect([...seen].sort()).toEqual(relayable(log).sort());
    }),
    { numRuns: 200 },
  );
});

test("a page that has room for all is in the order of the log", async () => {
  await fc.assert(
    fc.asyncProperty(batches, async (all) => {
      const log = await Log.open(all);
      const page = await log.page({ bytesMax: 1_000_000 });
      if (page.outcome !== "page") throw new Error("nothing was trimmed");
      expect(page.entries.map(nameOf)).toEqual(relayable(log));
    }),
    { numRuns: 100 },
  );
});

function own(count: number, isGroup = false): Batch {
  return [{ origin: OWN, count, isGroup, isSigned: false }];
}

test("only batches that hold what is wanted are read", async () => {
  const foreign: Batch = [{ origin: OSLO, count: 1, isGroup: false, isSigned: true }];
  const log = await Log.open([foreign, ...Array.from({ length: 1000 }, () => own(1)), foreign]);
  await log.page({ after: new Map([[OWN, seqOf(1000)]]) });
  expect(log.reads).toEqual([0, 1001]);
  log.reads.length = 0;
  const page = await log.page({ after: new Map([[OWN, seqOf(500)]]), bytesMax: 300 });
  expect(page.outcome === "page" && page.entries.length).toBe(2);
  expect(log.reads.length).toBeLessThanOrEqual(4);
});

test("a group is never cut, however small the page", async () => {
  const log = await Log.open([own(4, true), own(1)]);
  const page = await log.page({ bytesMax: 1 });
  expect(page).toMatchObject({ outcome: "page", more: true });
  expect(page.outcome === "page" && page.entries.length).toBe(4);
});

test("who asks for what the log has no more is told for which origins", async () => {
  const log = await Log.open([own(5)]);
  const floors = new Map([[OWN, seqOf(3)]]);
  const told = { outcome: "below-floor", origins: [OWN] };
  expect(await log.page({ floors, after: new Map([[OWN, seqOf(2)]]) })).toEqual(told);
  const page = await log.page({ floors, after: new Map([[OWN, seqOf(3)]]) });
  expect(page.outcome === "page" && page.entries.length).toBe(2);
});

test("damage ends a page before it, and is named by the page that begins with it", async () => {
  const log = await Log.open([own(2), own(2), own(2)]);
  log.damaged.add(1);
  const page = await log.page({});
  expect(page.outcome === "page" && page.entries.length).toBe(2);
  expect(page).toMatchObject({ more: true });
  await expect(log.page({ after: new Map([[OWN, seqOf(2)]]) })).rejects.toThrow("damaged");
});

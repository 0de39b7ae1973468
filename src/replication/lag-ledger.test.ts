import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import {
  type AppliedSet,
  type Holes,
  holeOf,
  NO_HOLES,
  NOTHING_APPLIED,
} from "../core/applied-set.ts";
import { type OriginId, parseOriginId, parseSeq, type Seq } from "../core/names.ts";
import { type CountedOperation, LagLedger } from "./lag-ledger.ts";

const ORIGINS = ["a", "b", "c"].map((digit) => {
  const origin = parseOriginId(digit.repeat(16));
  if (origin === undefined) throw new Error("16 digits are an origin");
  return origin;
});

function operationOf(at: number, seq: number, bucket: number, bytes: number): CountedOperation {
  const [origin, position] = [ORIGINS[at], parseSeq(seq)];
  if (origin === undefined || position === undefined) throw new Error("not an operation");
  const name = bucket === 0 ? undefined : `bucket-${bucket}`;
  return { origin, seq: position, bucket: name, bytes, hlcMs: 1000 * seq + at };
}

function vectorOf(seqs: readonly number[]): Map<OriginId, Seq> {
  return new Map(
    ORIGINS.flatMap((origin, at) => {
      const seq = parseSeq(seqs[at] ?? 0);
      return seq === undefined ? [] : [[origin, seq] as const];
    }),
  );
}

function setOf(seqs: readonly number[]): AppliedSet {
  return { applied: vectorOf(seqs), holes: NO_HOLES };
}

/** What a ledger has to say, from all operations one by one. */
function expected(log: readonly CountedOperation[], { applied, holes }: AppliedSet) {
  const behind = log.filter(({ origin, seq }) => {
    if (seq <= (applied.get(origin) ?? 0)) return false;
    const hole = holes.get(origin);
    if (hole === undefined || seq > hole.upTo) return true;
    return hole.ranges.some(([first, last]) => seq >= first && seq <= last);
  });
  const buckets = new Map<string, { operations: number; bytes: number }>();
  for (const { bucket, bytes } of behind) {
    if (bucket === undefined) continue;
    const sum = buckets.get(bucket) ?? { operations: 0, bytes: 0 };
    buckets.set(bucket, { operations: sum.operations + 1, bytes: sum.bytes + bytes });
  }
  return {
    operations: behind.length,
    bytes: behind.reduce((sum, { bytes }) => sum + bytes, 0),
    oldestMs: behind.length === 0 ? undefined : Math.min(...behind.map(({ hlcMs }) => hlcMs)),
    buckets,
  };
}

const LOGS = fc
  .array(fc.tuple(fc.nat(2), fc.nat(3), fc.nat(1000)), { maxLength: 40 })
  .chain((some) =>
    // Repeated, so that blocks fill up.
    fc.nat(100).map((times) => {
      const log: CountedOperation[] = [];
      const seqs = [0, 0, 0];
      for (let round = 0; round <= times; round++) {
        for (const [at, bucket, bytes] of some) {
          seqs[at] = (seqs[at] ?? 0) + 1;
          log.push(operationOf(at, seqs[at] ?? 0, bucket, bytes));
        }
      }
      return { log, seqs };
    }),
  );
/** Parts of a thousand: doubles would nearly all be too small to cut a log in two. */
const SHARES = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 3, maxLength: 3 });

test("the sums behind any vector are those of its operations, however much is kept", () => {
  fc.assert(
    fc.property(LOGS, SHARES, fc.integer({ min: 1, max: 3 }), ({ log, seqs }, shares, blocks) => {
      const ledger = new LagLedger(blocks * 1024);
      for (const operation of log) ledger.add(operation);
      const vector = vectorOf(seqs.map((seq, at) => Math.floor((seq * (shares[at] ?? 0)) / 1000)));
      const has = { applied: vector, holes: NO_HOLES };
      expect(askWithDetail(ledger, log, has)).toEqual(expected(log, has));
    }),
    { numRuns: 60 },
  );
});

test("what waits for its bytes counts alone, and not what arrived behind it", () => {
  fc.assert(
    fc.property(
      LOGS,
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 2, maxLength: 30 }),
      fc.nat(50),
      ({ log, seqs }, steps, more) => {
        const ledger = new LagLedger();
        for (const operation of log) ledger.add(operation);
        const waiting: Seq[] = [];
        for (const step of steps) {
          const seq = parseSeq((waiting.at(-1) ?? 0) + step);
          if (seq !== undefined) waiting.push(seq);
        }
        const upTo = parseSeq((waiting.at(-1) ?? 0) + more);
        const first = parseSeq((waiting[0] ?? 1) - 1);
        if (upTo === undefined || first === undefined) throw new Error("not a position");
        const hole = holeOf(upTo, waiting, 64);
        const applied = vectorOf(seqs).set(firstOrigin(), first);
        const holes: Holes = new Map(hole === undefined ? [] : [[firstOrigin(), hole]]);
        const has = { applied, holes };
        expect(ledger.behind(has, new Set())).toEqual(expected(log, has));
      },
    ),
    { numRuns: 60 },
  );
});

/** Gives the ledger what it asks for; each origin at most twice, or it would never end. */
function askWithDetail(ledger: LagLedger, log: readonly CountedOperation[], has: AppliedSet) {
  for (let asked = 0; asked <= 2 * ORIGINS.length; asked++) {
    const lag = ledger.behind(has, new Set());
    if (!("after" in lag)) return lag;
    const { origin, after, last } = lag;
    const again = log.filter((one) => one.origin === origin && one.seq > after && one.seq <= last);
    ledger.restore(lag, again);
  }
  throw new Error("the ledger asks for the same again and again");
}

function firstOrigin() {
  const [first] = ORIGINS;
  if (first === undefined) throw new Error("there are origins");
  return first;
}

test("what all have is forgotten, and what goes back behind it is counted anew", () => {
  const ledger = new LagLedger();
  const log = Array.from({ length: 5000 }, (_, at) => operationOf(0, at + 1, 1, 10));
  for (const operation of log) ledger.add(operation);
  ledger.keepBeyond(vectorOf([3000]));
  expect(ledger.behind(setOf([3000]), new Set())).toMatchObject({ operations: 2000 });
  expect(ledger.beyond(vectorOf([3000])).get(firstOrigin())).toBe(5000);
  ledger.keepBeyond(vectorOf([10]));
  expect(ledger.beyond(vectorOf([10])).get(firstOrigin())).toBe(10);
  for (const operation of log.slice(10)) ledger.add(operation);
  expect(ledger.behind(setOf([10]), new Set())).toMatchObject({
    operations: 4990,
    bytes: 49_900,
  });
});

test("what a site wrote itself is never behind it, and nothing counts twice", () => {
  const ledger = new LagLedger();
  for (const seq of [1, 2, 2, 1, 3]) ledger.add(operationOf(0, seq, 1, 1));
  ledger.add(operationOf(1, 1, 2, 5));
  expect(ledger.behind(NOTHING_APPLIED, new Set())).toMatchObject({ operations: 4, bytes: 8 });
  const lag = ledger.behind(NOTHING_APPLIED, new Set([firstOrigin()]));
  expect(lag).toMatchObject({ operations: 1, bytes: 5 });
});

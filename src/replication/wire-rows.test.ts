import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { bucketNames, hlcs, objectKeys, origins } from "../../test/support/value-arbitraries.ts";
import { LIMITS } from "../core/limits.ts";
import { parseSeq } from "../core/names.ts";
import type { LogStart } from "../core/records.ts";
import { required } from "../core/tagged-fields.ts";
import {
  parseListAnswer,
  parseListRequest,
  parseRangesAnswer,
  parseRangesRequest,
  parseRowsHead,
  parseRowsRequest,
  parseStartAnswer,
  parseStartRequest,
  writeListAnswer,
  writeListRequest,
  writeRangesAnswer,
  writeRangesRequest,
  writeRowsHead,
  writeRowsRequest,
  writeStartAnswer,
  writeStartRequest,
} from "./wire-rows.ts";

const seqs = fc.maxSafeNat().map((value) => required(parseSeq(value), "sequence"));
const positions = fc
  .string({ unit: "grapheme", maxLength: 60 })
  .filter((text) => text.isWellFormed());
const ends = fc.option(positions, { nil: undefined });
const ranges = fc.record({ from: positions, to: ends });
const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
const vectors = fc.array(fc.tuple(origins, seqs), { maxLength: 3 }).map((pairs) => new Map(pairs));
const counts = fc.nat();
const heads: fc.Arbitrary<LogStart[]> = fc.array(
  fc.record({ origin: origins, seq: seqs, hlc: hlcs, chain: hashes, vector: vectors }),
  { maxLength: 3 },
);
const leases = fc.option(fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 64 }), {
  nil: undefined,
});
const marks = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes): Uint8Array => Buffer.from(bytes));
const known = fc.array(fc.tuple(origins, seqs, marks), { maxLength: 3 });
const settled = fc.array(
  fc.record({
    ...{ bucket: bucketNames, key: objectKeys },
    write: fc.record({ hlc: hlcs, origin: origins, seq: seqs }),
  }),
  { maxLength: 3 },
);

test("everything comes back as it was written", () => {
  const cases = fc.record({
    rows: fc.record({
      ...{ range: ranges, positions: fc.array(positions, { maxLength: 3 }), bodies: fc.boolean() },
      bytesMax: fc.integer({ min: 1, max: LIMITS.replicationPageBytes }),
    }),
    rowsHead: fc.record({ next: ends, refused: fc.array(positions, { maxLength: 3 }) }),
    ranges: fc.record({
      ranges: fc.array(ranges, { minLength: 1, maxLength: 3 }),
      rowsMax: fc.integer({ min: 1, max: LIMITS.rowsHashedMax }),
    }),
    rangesAnswer: fc.record({
      ranges: fc.array(fc.record({ hash: hashes, count: counts, next: ends }), { maxLength: 3 }),
    }),
    list: ranges,
    listAnswer: fc.record({
      rows: fc.array(fc.tuple(positions, hashes), { maxLength: 3 }),
      ...{ next: ends, applied: vectors },
    }),
    wish: fc.record({ lease: leases, known }),
    start: fc.record({
      lease: fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 64 }),
      ...{ rows: counts, bytes: counts, heads, settled },
    }),
  });
  fc.assert(
    fc.property(cases, (one) => {
      const all: ReadonlyArray<readonly [unknown, unknown]> = [
        [parseRowsRequest(writeRowsRequest(one.rows)), one.rows],
        [parseRowsHead(writeRowsHead(one.rowsHead)), one.rowsHead],
        [parseRangesRequest(writeRangesRequest(one.ranges)), one.ranges],
        [parseRangesAnswer(writeRangesAnswer(one.rangesAnswer)), one.rangesAnswer],
        [parseListRequest(writeListRequest(one.list)), { range: one.list }],
        [parseListAnswer(writeListAnswer(one.listAnswer)), one.listAnswer],
        [
          parseStartRequest(writeStartRequest(one.wish)),
          { ...one.wish, lease: one.wish.lease ?? null },
        ],
        [parseStartAnswer(writeStartAnswer(one.start)), one.start],
      ];
      for (const [parsed, value] of all) expect(parsed).toEqual({ outcome: "ok", value });
    }),
    { numRuns: 200 },
  );
});

const PARSERS = [
  ...[parseRowsRequest, parseRowsHead, parseRangesRequest, parseRangesAnswer],
  ...[parseListRequest, parseListAnswer, parseStartRequest, parseStartAnswer],
];

test("noise is refused with a reason, and nothing worse", () => {
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.json().map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(noise, (bytes) => {
      for (const parse of PARSERS) expect(["bad", "ok"]).toContain(parse(bytes).outcome);
    }),
    { numRuns: 500 },
  );
});

test.each([
  ["too many ranges", { ranges: Array(65).fill({ from: "", to: null }), rowsMax: 1 }],
  ["more rows than are hashed at once", { ranges: [{ from: "", to: null }], rowsMax: 50_001 }],
  ["no range", { ranges: [], rowsMax: 1 }],
  ["a position without end", { ranges: [{ from: "x".repeat(2049), to: null }], rowsMax: 1 }],
  ["half a surrogate", { ranges: [{ from: "\ud800", to: null }], rowsMax: 1 }],
])("what asks for too much is refused: %s", (_what, value) => {
  expect(parseRangesRequest(Buffer.from(JSON.stringify(value))).outcome).toBe("bad");
});

test("more positions than may be asked for, and pages without bound, are refused", () => {
  const range = { from: "", to: null };
  const many = { range, positions: Array(257).fill("D"), bytesMax: 1, bodies: true };
  const large = { range, positions: [], bytesMax: LIMITS.replicationPageBytes + 1, bodies: true };
  for (const value of [many, large, { ...large, bytesMax: 0 }]) {
    expect(parseRowsRequest(Buffer.from(JSON.stringify(value))).outcome).toBe("bad");
  }
});

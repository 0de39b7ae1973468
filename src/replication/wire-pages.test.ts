import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import type { Hole, Holes } from "../core/applied-set.ts";
import {
  type OriginId,
  parseOriginId,
  parseSeq,
  parseSiteId,
  type Seq,
  type SiteId,
} from "../core/names.ts";
import {
  type PageHead,
  type PullRequest,
  parseHint,
  parsePageHead,
  parsePullRequest,
  seqsOfKnown,
  writeHint,
  writePageHead,
  writePullRequest,
} from "./wire-pages.ts";

const origin = fc
  .bigInt({ min: 0n, max: 2n ** 64n - 1n })
  .map((value) => parseOriginId(value.toString(16).padStart(16, "0")) as OriginId);
const site = origin.map((text) => parseSiteId(text) as SiteId);
const seq = fc
  .integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
  .map((value) => parseSeq(value) as Seq);
const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((some) => Buffer.from(some));
const vector = fc
  .uniqueArray(fc.tuple(origin, seq), { maxLength: 5, selector: ([of]) => of })
  .map((list) => new Map(list));
const hole = fc
  .tuple(
    fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(9)), { minLength: 1, maxLength: 4 }),
    fc.nat(9),
  )
  .map(([gaps, more]): Hole => {
    let at = 0;
    const ranges = gaps.map(([gap, length]) => {
      const first = at + gap;
      at = first + length;
      return [parseSeq(first) as Seq, parseSeq(at) as Seq] as const;
    });
    return { upTo: parseSeq(at + more) as Seq, ranges };
  });
const holes = fc
  .uniqueArray(fc.tuple(origin, hole), { maxLength: 3, selector: ([of]) => of })
  .map((list): Holes => new Map(list));
const wallMs = fc.nat();

const request: fc.Arbitrary<PullRequest> = fc.record({
  received: fc.uniqueArray(fc.tuple(origin, seq, bytes(16)), {
    maxLength: 4,
    selector: ([of]) => of,
  }),
  applied: vector,
  holes,
  only: fc.array(origin, { maxLength: 2 }),
  skip: fc.array(origin, { maxLength: 3 }),
  waitMs: fc.nat(30_000),
  bytesMax: fc.integer({ min: 1, max: 4 * 1024 * 1024 }),
  compress: fc.boolean(),
  wallMs,
  featureLevel: fc.integer({ min: 1, max: 9 }),
});

const head: fc.Arbitrary<PageHead> = fc.record({
  outcome: fc.constantFrom("page" as const, "below-floor" as const),
  floors: fc.array(origin, { maxLength: 2 }),
  diverged: fc.array(origin, { maxLength: 2 }),
  heads: fc.array(fc.record({ origin, site, seq, chain: bytes(32), signature: bytes(64) }), {
    maxLength: 3,
  }),
  received: vector,
  applied: vector,
  holes,
  more: fc.boolean(),
  wallMs,
  featureLevel: fc.integer({ min: 1, max: 9 }),
});

test("what peers ask and answer is read as it was written", () => {
  fc.assert(
    fc.property(request, head, (asked, answered) => {
      expect(parsePullRequest(writePullRequest(asked))).toEqual({ outcome: "ok", value: asked });
      const known = seqsOfKnown(asked.received);
      expect(parsePageHead(writePageHead(answered, known), known)).toEqual({
        outcome: "ok",
        value: answered,
      });
      const { received, applied, wallMs: now, featureLevel } = answered;
      const told = { received, applied, holes: answered.holes, wallMs: now, featureLevel };
      expect(parseHint(writeHint(told))).toEqual({ outcome: "ok", value: told });
    }),
  );
});

function manyRanges(count: number): number[][] {
  return Array.from({ length: count }, (_, at) => [2 * at + 1, 2 * at + 1]);
}

const good = {
  received: [["00000000000000aa", 3, "A".repeat(22)]],
  ...{ applied: [["00000000000000aa", 3]], only: [], skip: [], waitMs: 0 },
  ...{ bytesMax: 1, compress: false, wallMs: 0, featureLevel: 1 },
};

test.each([
  ["an origin in capitals", { received: [["00000000000000AA", 3, "A".repeat(22)]] }],
  ["a position below zero", { applied: [["00000000000000aa", -1]] }],
  ["a position beyond a safe integer", { applied: [["00000000000000aa", 2 ** 53]] }],
  ["a short chain", { received: [["00000000000000aa", 3, "A".repeat(21)]] }],
  ["a wait for ever", { waitMs: 30_001 }],
  ["a page without bound", { bytesMax: 1e12 }],
  [
    "holes that go back",
    {
      holes: [
        [
          "00000000000000aa",
          9,
          [
            [5, 6],
            [6, 7],
          ],
        ],
      ],
    },
  ],
  ["a hole that ends before it begins", { holes: [["00000000000000aa", 9, [[5, 4]]]] }],
  ["holes behind their end", { holes: [["00000000000000aa", 9, [[5, 10]]]] }],
  ["an origin with holes, and none", { holes: [["00000000000000aa", 9, []]] }],
  ["holes without bound", { holes: [["00000000000000aa", 900, manyRanges(65)]] }],
  ["more origins than there can be", { skip: Array(1025).fill("00000000000000aa") }],
])("a request with %s is refused with the place", (_what, change) => {
  const body = Buffer.from(JSON.stringify({ ...good, ...change }));
  expect(parsePullRequest(Buffer.from(JSON.stringify(good))).outcome).toBe("ok");
  const [field] = Object.keys(change);
  expect(parsePullRequest(body)).toEqual({
    outcome: "bad",
    problem: expect.stringContaining(field ?? "?"),
  });
});

test("bytes that are no JSON, and JSON of anything else, are refused", () => {
  const texts = fc.oneof(fc.string(), fc.json());
  fc.assert(
    fc.property(texts, (text) => {
      expect(parsePullRequest(Buffer.from(text)).outcome).toBe("bad");
      expect(parsePageHead(Buffer.from(text), new Map()).outcome).toBe("bad");
      expect(parseHint(Buffer.from(text)).outcome).toBe("bad");
    }),
  );
});

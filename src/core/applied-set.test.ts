import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import {
  type AppliedSet,
  countMissing,
  countMissingOf,
  holeOf,
  missingRanges,
  NO_HOLES,
  NOTHING_APPLIED,
  sameHoles,
} from "./applied-set.ts";
import { parseOriginId, parseSeq, type Seq } from "./names.ts";
import { required } from "./tagged-fields.ts";

const ORIGIN = required(parseOriginId("a".repeat(16)), "origin");
const seqOf = (value: number): Seq => required(parseSeq(value), "position");

/** The set of a site that has received up to `upTo`, where these wait for their bytes. */
function setOf(upTo: number, waiting: readonly number[], rangesMax = 64): AppliedSet {
  const hole = holeOf(seqOf(upTo), waiting.map(seqOf), rangesMax);
  if (hole === undefined) return { applied: new Map([[ORIGIN, seqOf(upTo)]]), holes: NO_HOLES };
  const before = seqOf((waiting[0] ?? 1) - 1);
  return { applied: new Map([[ORIGIN, before]]), holes: new Map([[ORIGIN, hole]]) };
}

/** Every position of the ranges. */
function positionsOf(set: AppliedSet, last: number): number[] {
  return missingRanges(set, ORIGIN, last).flatMap(([first, end]) => {
    return Array.from({ length: end - first + 1 }, (_, at) => first + at);
  });
}

test("exactly what waits, and what was not received, is missing", () => {
  const some = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 60 });
  fc.assert(
    fc.property(some, fc.nat(30), fc.nat(100), (picked, more, last) => {
      const waiting = picked.sort((left, right) => left - right);
      const upTo = (waiting.at(-1) ?? 0) + more;
      const set = setOf(upTo, waiting);
      const all = Array.from({ length: last }, (_, at) => at + 1);
      const missing = all.filter((seq) => seq > upTo || waiting.includes(seq));
      expect(positionsOf(set, last)).toEqual(missing);
      expect(countMissing(set, ORIGIN, last)).toBe(missing.length);
      expect(countMissingOf(set, new Map([[ORIGIN, seqOf(last)]]))).toBe(missing.length);
    }),
  );
});

test("what there is no room to tell counts as missing, and never the other way round", () => {
  const set = setOf(20, [3, 4, 6, 8, 10], 2);
  expect(positionsOf(set, 20)).toEqual([3, 4, 6, ...Array.from({ length: 13 }, (_, at) => at + 8)]);
});

test("of an origin that was never heard of everything is missing", () => {
  expect(missingRanges(NOTHING_APPLIED, ORIGIN, 5)).toEqual([[1, 5]]);
  expect(countMissing(NOTHING_APPLIED, ORIGIN, 5)).toBe(5);
  expect(missingRanges(NOTHING_APPLIED, ORIGIN, 0)).toEqual([]);
});

test("holes are the same when every range is", () => {
  const { holes } = setOf(9, [3, 5]);
  expect(sameHoles(holes, setOf(9, [3, 5]).holes)).toBe(true);
  for (const other of [setOf(9, [3, 6]), setOf(9, [3]), setOf(10, [3, 5]), setOf(9, [])]) {
    expect(sameHoles(holes, other.holes)).toBe(false);
    expect(sameHoles(other.holes, holes)).toBe(false);
  }
});

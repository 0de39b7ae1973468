import { type OriginId, parseSeq, type Seq } from "./names.ts";
import type { Vector } from "./records.ts";

/** Consecutive operations of one origin, the first and the last of them. */
export type SeqRange = readonly [first: Seq, last: Seq];

/**
 * Operations of an origin that a site has received and not applied, because their bytes are still
 * to come. All others up to `upTo` have been applied. The ranges ascend.
 */
export type Hole = { readonly upTo: Seq; readonly ranges: readonly SeqRange[] };
export type Holes = ReadonlyMap<OriginId, Hole>;

/**
 * Exactly what a site has applied: of each origin all up to the vector's entry, and behind that,
 * where the origin has holes, all but these.
 */
export type AppliedSet = { readonly applied: Vector; readonly holes: Holes };

export const NO_HOLES: Holes = new Map();
export const NOTHING_APPLIED: AppliedSet = { applied: new Map(), holes: NO_HOLES };

/** What a site has applied now. */
export function appliedSetOf(site: {
  readonly applied: () => Vector;
  readonly holes: () => Holes;
}): AppliedSet {
  return { applied: site.applied(), holes: site.holes() };
}

/** Which operations of an origin, up to `last`, are not in the set; ranges that ascend. */
export function missingRanges(
  { applied, holes }: AppliedSet,
  origin: OriginId,
  last: number,
): readonly (readonly [first: number, last: number])[] {
  const hole = holes.get(origin);
  const begin = (applied.get(origin) ?? 0) + 1;
  const rest = [Math.max(begin, (hole?.upTo ?? 0) + 1), last] as const;
  const inside = (hole?.ranges ?? []).map(([from, to]) => {
    return [Math.max(begin, from), Math.min(last, to)] as const;
  });
  return [...inside, rest].filter(([from, to]) => from <= to);
}

/** How many operations of an origin, up to `last`, are not in the set. */
export function countMissing(set: AppliedSet, origin: OriginId, last: number): number {
  if (!set.holes.has(origin)) return Math.max(0, last - (set.applied.get(origin) ?? 0));
  return missingRanges(set, origin, last).reduce((sum, [from, to]) => sum + to - from + 1, 0);
}

/** How many of the operations that a vector reaches are not in the set. */
export function countMissingOf(set: AppliedSet, vector: Vector): number {
  let missing = 0;
  for (const [origin, seq] of vector) missing += countMissing(set, origin, seq);
  return missing;
}

/**
 * The holes that positions make which ascend; at most so many ranges. What lies behind the last one
 * that there is room for is not said to have been applied.
 */
export function holeOf(upTo: Seq, missing: Iterable<Seq>, rangesMax: number): Hole | undefined {
  const ranges: Array<[Seq, Seq]> = [];
  for (const seq of missing) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] + 1 === seq) last[1] = seq;
    else if (ranges.length < rangesMax) ranges.push([seq, seq]);
    else return { upTo: parseSeq(seq - 1) ?? upTo, ranges };
  }
  return ranges.length === 0 ? undefined : { upTo, ranges };
}

/** Whether two sets of holes are the same. */
export function sameHoles(left: Holes, right: Holes): boolean {
  if (left.size !== right.size) return false;
  for (const [origin, { upTo, ranges }] of left) {
    const other = right.get(origin);
    if (other === undefined || other.upTo !== upTo || other.ranges.length !== ranges.length) {
      return false;
    }
    const differs = ranges.some(([from, to], at) => {
      return other.ranges[at]?.[0] !== from || other.ranges[at]?.[1] !== to;
    });
    if (differs) return false;
  }
  return true;
}

import { z } from "zod";
import { type AppliedSet, NO_HOLES } from "../core/applied-set.ts";
import { LIMITS } from "../core/limits.ts";
import { parseBucketName } from "../core/names.ts";
import type { Lag, Tally } from "./lag-ledger.ts";
import { holes, json, type Parsed, parsed, parseWith, showHoles, vector } from "./wire-values.ts";

/*
 * What one site asks another about its own lag, and the answer: both JSON.
 */
const count = z.int().min(0);
const request = z.strictObject({
  applied: vector,
  holes: holes.default(NO_HOLES),
});
const answer = z.strictObject({
  operations: count,
  bytes: count,
  /** Unix milliseconds of the oldest operation. */
  oldestMs: count.optional(),
  buckets: z.array(z.tuple([parsed(parseBucketName), count, count])).max(LIMITS.statsNamesMax),
});

/** Asks what a site lacks that has applied this. */
export function writeLagRequest({ applied, holes: parked }: AppliedSet): Buffer {
  // A program that knows no holes is told of none, and counts from the first.
  const beside = parked.size === 0 ? {} : { holes: showHoles(parked) };
  return json({ applied: [...applied], ...beside });
}

/** Reads what a peer says that it has applied. */
export function parseLagRequest(body: Uint8Array): Parsed<AppliedSet> {
  return parseWith(request, body);
}

/** Answers with what lies behind it; of many buckets, those with most operations. */
export function writeLag({ operations, bytes, oldestMs, buckets }: Lag): Buffer {
  const most = [...buckets].sort(([, left], [, right]) => right.operations - left.operations);
  const shown = most
    .slice(0, LIMITS.statsNamesMax)
    .map(([name, sum]) => [name, sum.operations, sum.bytes]);
  const oldest = oldestMs === undefined ? {} : { oldestMs: Math.floor(oldestMs) };
  return json({ operations, bytes, ...oldest, buckets: shown });
}

/** Reads a peer's answer. */
export function parseLag(body: Uint8Array): Parsed<Lag> {
  const read = parseWith(answer, body);
  if (read.outcome === "bad") return read;
  const { operations, bytes, oldestMs, buckets } = read.value;
  const sums = new Map<string, Tally>();
  for (const [name, inBucket, bucketBytes] of buckets) {
    sums.set(name, { operations: inBucket, bytes: bucketBytes });
  }
  return { outcome: "ok", value: { operations, bytes, oldestMs, buckets: sums } };
}

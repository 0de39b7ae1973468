import { z } from "zod";
import { LIMITS } from "../core/limits.ts";
import { parseBucketName } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import type { Lag, Tally } from "./lag-ledger.ts";
import { json, type Parsed, parsed, parseWith, vector } from "./wire-values.ts";

/*
 * What one site asks another about its own lag, and the answer: both JSON.
 */
const count = z.int().min(0);
const request = z.strictObject({
  applied: vector,
});
const answer = z.strictObject({
  operations: count,
  bytes: count,
  /** Unix milliseconds of the oldest operation. */
  oldestMs: count.optional(),
  buckets: z.array(z.tuple([parsed(parseBucketName), count, count])).max(LIMITS.statsNamesMax),
});

/** Asks what lies behind a vector. */
export function writeLagRequest(applied: Vector): Buffer {
  return json({ applied: [...applied] });
}

/** Reads the vector that a peer asks about. */
export function parseLagRequest(body: Uint8Array): Parsed<Vector> {
  const read = parseWith(request, body);
  return read.outcome === "bad" ? read : { outcome: "ok", value: read.value.applied };
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

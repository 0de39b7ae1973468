import { z } from "zod";
import { LayoutError } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { parseBucketName, parseOriginId, parseSeq } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import type { Lag, Tally } from "./lag-ledger.ts";

/*
 * What one site asks another about its own lag, and the answer: both JSON.
 */
const count = z.int().min(0);
const request = z.strictObject({
  applied: z.array(z.tuple([z.string(), z.number()])).max(LIMITS.replicationOriginsMax),
});
const answer = z.strictObject({
  operations: count,
  bytes: count,
  /** Unix milliseconds of the oldest operation. */
  oldestMs: count.optional(),
  buckets: z.array(z.tuple([z.string(), count, count])).max(LIMITS.statsNamesMax),
});

/** Asks what lies behind a vector. */
export function writeLagRequest(applied: Vector): Buffer {
  return Buffer.from(JSON.stringify({ applied: [...applied] }));
}

/**
 * Reads the vector that a peer asks about.
 *
 * @throws LayoutError when it is none.
 */
export function readLagRequest(body: Uint8Array): Vector {
  const entries = read(request, body).applied.map(([id, position]) => {
    const [origin, seq] = [parseOriginId(id), parseSeq(position)];
    if (origin === undefined || seq === undefined) throw new LayoutError("not a vector");
    return [origin, seq] as const;
  });
  return new Map(entries);
}

/** Answers with what lies behind it; of many buckets, those with most operations. */
export function writeLag({ operations, bytes, oldestMs, buckets }: Lag): Buffer {
  const most = [...buckets].sort(([, left], [, right]) => right.operations - left.operations);
  const shown = most
    .slice(0, LIMITS.statsNamesMax)
    .map(([name, sum]) => [name, sum.operations, sum.bytes]);
  const oldest = oldestMs === undefined ? {} : { oldestMs: Math.floor(oldestMs) };
  return Buffer.from(JSON.stringify({ operations, bytes, ...oldest, buckets: shown }));
}

/**
 * Reads a peer's answer.
 *
 * @throws LayoutError when it is none.
 */
export function readLag(body: Uint8Array): Lag {
  const { operations, bytes, oldestMs, buckets } = read(answer, body);
  const sums = new Map<string, Tally>();
  for (const [name, inBucket, bucketBytes] of buckets) {
    if (parseBucketName(name) === undefined) throw new LayoutError("not a bucket");
    sums.set(name, { operations: inBucket, bytes: bucketBytes });
  }
  return { operations, bytes, oldestMs, buckets: sums };
}

function read<Schema extends z.ZodType>(schema: Schema, body: Uint8Array): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body).toString("utf8"));
  } catch (failure) {
    throw new LayoutError("not JSON", { cause: failure });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new LayoutError(z.prettifyError(parsed.error));
}

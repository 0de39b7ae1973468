import type { BucketName, OriginId } from "../../core/names.ts";

/**
 * Keys of the index, as text: UTF-8 keeps the order of its bytes, bucket names hold no NUL and
 * object keys are refused when they do, so NUL separates the parts. The longest (an upload of a
 * 1,024-byte key) has 1,123 bytes; lmdb-js takes 1,978.
 */
const SEPARATOR = "\0";
const KEY_BYTES_MAX = 1978;

let lastObject = { bucket: "", key: "", text: SEPARATOR };

/**
 * Key of an object, its tombstone, and the start of its uploads. The last one is remembered: the
 * steps of a write ask for the same one after another.
 */
export function objectKeyOf(bucket: BucketName, key: string): string {
  if (lastObject.key === key && lastObject.bucket === bucket) return lastObject.text;
  const text = bucket + SEPARATOR + key;
  lastObject = { bucket, key, text };
  return text;
}

/** Everything of a bucket is at or after this and before `bucketEnd`. */
export function bucketStart(bucket: BucketName): string {
  return bucket + SEPARATOR;
}

/** The first text after everything of a bucket. */
export function bucketEnd(bucket: BucketName): string {
  return `${bucket}\u0001`;
}

/** Key of an upload: a bucket's uploads sort by key, then by upload id. */
export function uploadKeyOf(bucket: BucketName, key: string, uploadId: string): string {
  return bucket + SEPARATOR + key + SEPARATOR + uploadId;
}

/** Part numbers have five digits, so that text order is their order. */
export function partKeyOf(uploadId: string, partNumber: number): string {
  return uploadId + String(partNumber).padStart(5, "0");
}

let lastSegment = { number: 0, text: "0000000000" };

/** Segment numbers have ten digits, so that text order is their order. */
export function segmentKeyOf(segment: number): string {
  if (lastSegment.number !== segment) {
    lastSegment = { number: segment, text: String(segment).padStart(10, "0") };
  }
  return lastSegment.text;
}

/** Key of a grave: where something was removed, and where it had been made. */
export function graveKeyOf(removedIn: number, createdIn: number): string {
  return segmentKeyOf(removedIn) + segmentKeyOf(createdIn);
}

/** Key of a run of operations in one batch, by origin and first sequence number. */
export function logRunKeyOf(origin: OriginId, firstSeq: number): string {
  return origin + firstSeq.toString(16).padStart(14, "0");
}

/** Key of the usage of a bucket's first path segment. */
export function prefixKeyOf(bucket: BucketName, prefix: string): string {
  return bucket + SEPARATOR + prefix;
}

export const POSITION_KEY = "position";
export const DROPPED_KEY = "dropped";
export const BOOTSTRAP_KEY = "bootstrap";
export const FLOORS_KEY = "floors";

/**
 * Where a range begins that somebody else asks for, in bytes that the index takes: no key goes on
 * behind them, so that what stands behind the whole text stands behind these too.
 */
export function rangeStart(key: Buffer): Buffer {
  return key.subarray(0, KEY_BYTES_MAX);
}

/** The smallest byte string greater than every one that starts with `prefix`; undefined: none. */
export function afterPrefix(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const after = Buffer.from(prefix.subarray(0, length));
  after[length - 1] = (after[length - 1] ?? 0) + 1;
  return after;
}

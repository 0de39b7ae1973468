import type { Brand } from "./brand.ts";
import { formatHlc, type Hlc } from "./hlc.ts";
import { LIMITS } from "./limits.ts";

/** A bucket name that passed `parseBucketName`. */
export type BucketName = Brand<string, "BucketName">;
/** An object key: 1 to 1,024 bytes of UTF-8, never a path. */
export type ObjectKey = Brand<string, "ObjectKey">;
/** One incarnation of a site: 64 random bits as 16 hex digits. */
export type OriginId = Brand<string, "OriginId">;
/** A site: 64 random bits as 16 hex digits. */
export type SiteId = Brand<string, "SiteId">;
/** A cluster of sites: 128 random bits as 32 hex digits. */
export type ClusterId = Brand<string, "ClusterId">;
/** A version of an object: HLC and origin as 32 hex digits; the same at every site. */
export type VersionId = Brand<string, "VersionId">;
/** A multipart upload: HLC of its creation and 64 random bits as 32 hex digits. */
export type UploadId = Brand<string, "UploadId">;
/** The public half of an access key. */
export type AccessKeyId = Brand<string, "AccessKeyId">;
/** Position of an operation in its origin's log, from 1, without gaps. */
export type Seq = Brand<number, "Seq">;
/** Before the first operation of a log. */
export const SEQ_ZERO = 0 as Seq;
/** Number of a segment file, from 1. */
export type SegmentId = Brand<number, "SegmentId">;
/** BLAKE3-256 of stored bytes, as 64 hex digits. */
export type ContentHash = Brand<string, "ContentHash">;

const BUCKET_ALLOWED = /^[a-z0-9][a-z0-9.-]*[a-z0-9]$/;
const BUCKET_ONCE_ALLOWED = /^[A-Za-z0-9._-]{3,255}$/;
const IPV4_LOOK_ALIKE = /^\d+\.\d+\.\d+\.\d+$/;
const BUCKET_RESERVED =
  /^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/;
const HEX = /^[0-9a-f]+$/;

/**
 * Reads a bucket name that came from outside; undefined when a rule is broken.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
 */
export function parseBucketName(text: string): BucketName | undefined {
  if (text.length < LIMITS.bucketNameBytesMin || text.length > LIMITS.bucketNameBytesMax) {
    return undefined;
  }
  if (!BUCKET_ALLOWED.test(text) || text.includes("..")) return undefined;
  if (text.includes(".-") || text.includes("-.")) return undefined;
  if (IPV4_LOOK_ALIKE.test(text) || BUCKET_RESERVED.test(text)) return undefined;
  return text as BucketName;
}

/**
 * Whether AWS has ever taken a name like this. Its oldest buckets have capitals, underscores and
 * up to 255 characters, so that such a one is merely not there; any other names nothing.
 */
export function wasEverBucketName(text: string): boolean {
  return BUCKET_ONCE_ALLOWED.test(text);
}

export type KeyProblem = "empty" | "too-long" | "not-text";

/** Why a text cannot be an object key; undefined when it can. */
export function objectKeyProblem(text: string): KeyProblem | undefined {
  if (text.length === 0) return "empty";
  if (!text.isWellFormed() || text.includes("\0")) return "not-text";
  if (text.length > LIMITS.keyBytesMax) return "too-long";
  const mayBeTooLong = text.length * 3 > LIMITS.keyBytesMax;
  return mayBeTooLong && Buffer.byteLength(text) > LIMITS.keyBytesMax ? "too-long" : undefined;
}

/**
 * Reads an object key that came from outside, already percent-decoded exactly once.
 * Dots, slashes and control characters are ordinary characters. Refused as "not-text": lone
 * surrogates (bytes that were not UTF-8) and NUL, which separates the parts of index keys.
 */
export function parseObjectKey(text: string): ObjectKey | undefined {
  return objectKeyProblem(text) === undefined ? (text as ObjectKey) : undefined;
}

function hexOf(text: string, digits: number): string | undefined {
  return text.length === digits && HEX.test(text) ? text : undefined;
}

/** Reads an origin id; undefined unless it is 16 lower-case hexadecimal digits. */
export function parseOriginId(text: string): OriginId | undefined {
  return hexOf(text, 16) as OriginId | undefined;
}

/** Reads a site id; undefined unless it is 16 lower-case hexadecimal digits. */
export function parseSiteId(text: string): SiteId | undefined {
  return hexOf(text, 16) as SiteId | undefined;
}

/** Reads a cluster id; undefined unless it is 32 lower-case hexadecimal digits. */
export function parseClusterId(text: string): ClusterId | undefined {
  return hexOf(text, 32) as ClusterId | undefined;
}

/** Reads an upload id a client sent; undefined when it cannot be one of ours. */
export function parseUploadId(text: string): UploadId | undefined {
  return hexOf(text, 32) as UploadId | undefined;
}

/** Reads a version id a client sent; undefined when it cannot be one of ours. */
export function parseVersionId(text: string): VersionId | undefined {
  return hexOf(text, 32) as VersionId | undefined;
}

let lastId: { readonly hlc: Hlc; readonly origin: OriginId; readonly id: VersionId } | undefined;

/**
 * The id of the version written at this reading by this origin; string order is time order. The
 * last one is remembered: a write asks for its own more than once.
 */
export function makeVersionId(hlc: Hlc, origin: OriginId): VersionId {
  if (lastId !== undefined && lastId.hlc === hlc && lastId.origin === origin) return lastId.id;
  const id = (formatHlc(hlc) + origin) as VersionId;
  lastId = { hlc, origin, id };
  return id;
}

/** Reads a BLAKE3-256 digest; undefined unless it is 64 lower-case hexadecimal digits. */
export function parseContentHash(text: string): ContentHash | undefined {
  return hexOf(text, 64) as ContentHash | undefined;
}

/** Access key ids as AWS has them, and those operators bring along (MinIO's allow 3 to 20). */
export function parseAccessKeyId(text: string): AccessKeyId | undefined {
  return /^[A-Za-z0-9_.@-]{3,128}$/.test(text) ? (text as AccessKeyId) : undefined;
}

/** Reads a log position; 0 stands for "before the first". Undefined when it is no position. */
export function parseSeq(value: number): Seq | undefined {
  return Number.isSafeInteger(value) && value >= 0 ? (value as Seq) : undefined;
}

/** Reads the number of a segment file; undefined unless it fits 32 bits and is not 0. */
export function parseSegmentId(value: number): SegmentId | undefined {
  return Number.isInteger(value) && value >= 1 && value <= 0xffff_ffff
    ? (value as SegmentId)
    : undefined;
}

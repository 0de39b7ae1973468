import { createHash } from "node:crypto";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { patternBytes } from "./sdk.ts";

/** Sizes of objects and how often each comes: beside their operation, in one chunk, in several. */
const SIZES = [
  [0, 1],
  [17, 30],
  [4096, 40],
  [50_000, 20],
  [150_000, 6],
  [1_200_000, 2],
  [5_500_000, 0.2],
] as const;
const SIZES_SUM = SIZES.reduce((sum, [, often]) => sum + often, 0);
/** Of so many writes, one goes to a key that every site writes to. */
const SHARED_EVERY = 10;
const SHARED_KEYS = 20;
/** Of so many writes to shared keys, one is a delete. */
const DELETE_EVERY = 5;

/** Something that a site has acknowledged. */
export type Acknowledged = {
  readonly bucket: string;
  readonly key: string;
  /** Undefined where the bucket keeps no versions. */
  readonly version: string | undefined;
  /** A delete marker, or what `bodyOf` makes of size and seed. */
  readonly content: "deleted" | { readonly size: number; readonly seed: number };
};

export type Buckets = { readonly plain: string; readonly versioned: string };

/** The same numbers for the same seed, from 0 up to 1. */
function fraction(seed: number, salt: number): number {
  let state = (seed * 2_654_435_761 + salt * 40_503 + 1) >>> 0;
  for (const shift of [13, -17, 5]) {
    state ^= shift > 0 ? state << shift : state >>> -shift;
    state >>>= 0;
  }
  return state / 2 ** 32;
}

function sizeOf(seed: number): number {
  let left = fraction(seed, 1) * SIZES_SUM;
  for (const [size, often] of SIZES) {
    left -= often;
    if (left < 0) return size;
  }
  return 0;
}

/** The bytes of an object. */
function bodyOf({ size, seed }: { readonly size: number; readonly seed: number }): Buffer {
  return patternBytes(size, seed + 1);
}

/**
 * Sends the n-th write of a site. Keys of its own lie in both buckets; the shared ones, which all
 * sites write to at once, only where versions are kept, so that none may get lost.
 */
export async function writeOne(
  s3: S3Client,
  { plain, versioned }: Buckets,
  site: string,
  number: number,
): Promise<Acknowledged> {
  const seed = createHash("sha256").update(`${site} ${number}`).digest().readUInt32LE(0);
  const shared = number % SHARED_EVERY === 0;
  const bucket = shared || number % 2 === 0 ? versioned : plain;
  const key = shared
    ? `shared/${Math.floor(fraction(seed, 2) * SHARED_KEYS)}`
    : `${site}/${number % 7}/${number}`;
  if (shared && fraction(seed, 3) < 1 / DELETE_EVERY) {
    const { VersionId } = await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
    return { bucket, key, version: VersionId, content: "deleted" };
  }
  const content = { size: sizeOf(seed), seed };
  const Body = bodyOf(content);
  const { VersionId } = await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body }));
  return { bucket, key, version: VersionId, content };
}

/** Why a site does not give back what was acknowledged; undefined when it does, byte for byte. */
export async function readProblem(
  s3: S3Client,
  { bucket: Bucket, key: Key, version, content }: Acknowledged,
): Promise<string | undefined> {
  if (content === "deleted") return undefined;
  const name = `${Bucket}/${Key} ${version ?? ""}`;
  const VersionId = version === undefined ? {} : { VersionId: version };
  try {
    const got = await s3.send(new GetObjectCommand({ Bucket, Key, ...VersionId }));
    const bytes = await got.Body?.transformToByteArray();
    const isSame = bytes !== undefined && bodyOf(content).equals(bytes);
    return isSame ? undefined : `${name} has ${bytes?.length} other bytes, not ${content.size}`;
  } catch (failure) {
    return `${name}: ${failure}`;
  }
}

/** Every version and delete marker of a bucket, in order, as lines that say all that is listed. */
export async function versionLines(s3: S3Client, Bucket: string): Promise<string[]> {
  const lines: string[] = [];
  let from: { KeyMarker?: string; VersionIdMarker?: string } = {};
  for (;;) {
    const page = await s3.send(new ListObjectVersionsCommand({ Bucket, ...from }));
    const entries = [
      ...(page.Versions ?? []).map((one) => ({ ...one, what: `${one.ETag} ${one.Size}` })),
      ...(page.DeleteMarkers ?? []).map((one) => ({ ...one, what: "deleted" })),
    ];
    for (const { Key, VersionId, IsLatest, LastModified, what } of entries) {
      const when = LastModified?.toISOString();
      lines.push(`${Key} ${VersionId} ${IsLatest === true ? "latest " : ""}${when} ${what}`);
    }
    if (page.IsTruncated !== true) return lines.sort();
    from = {
      ...(page.NextKeyMarker === undefined ? {} : { KeyMarker: page.NextKeyMarker }),
      ...(page.NextVersionIdMarker === undefined
        ? {}
        : { VersionIdMarker: page.NextVersionIdMarker }),
    };
  }
}

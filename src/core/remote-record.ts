import { type ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import { type BucketName, type ContentHash, parseBucketName, parseContentHash } from "./names.ts";
import { FieldReader, readText, required } from "./tagged-fields.ts";

/*
 * Fields of local records about bytes that stand at other sites only.
 *
 * | tag | in kind | value                                                                |
 * | --- | ------- | -------------------------------------------------------------------- |
 * | 1   | 22      | manifests: each hash (32), bytes of the body (varint), count of      |
 * |     |         | buckets that name it (varint), each text behind its length           |
 */
const TAG = { manifests: 1 } as const;

const HASH_BYTES = 32;

/** A manifest that objects name although it is not here, nor any chunk for it. */
export type RemoteManifest = {
  readonly hash: ContentHash;
  /** Of the body that it lists. */
  readonly bytes: number;
  /**
   * Buckets whose objects may name it, in ascending order. When there are REMOTE_BUCKETS_MAX of
   * them, objects of any other bucket may name it as well.
   */
  readonly buckets: readonly BucketName[];
};

/** How many buckets are remembered to name one missing body. */
export const REMOTE_BUCKETS_MAX = 8;

/** Says that the operations behind it name these manifests, whose bytes are not here. */
export type RemoteRecord = {
  readonly kind: "manifests-remote";
  readonly manifests: readonly RemoteManifest[];
};

const scratch = new ByteWriter();

/** Writes the fields of a record, behind its kind. */
export function writeRemoteRecord(writer: ByteWriter, { manifests }: RemoteRecord): void {
  if (manifests.length === 0) return;
  scratch.reset();
  for (const { hash, bytes, buckets } of manifests) {
    scratch.hex(hash).varint(bytes).varint(buckets.length);
    for (const bucket of buckets) scratch.text(bucket);
  }
  writer.u8(TAG.manifests).sized(scratch.view());
}

/**
 * Reads the fields of a record, up to the end of its bytes. Throws LayoutError when they do not
 * fit, and StorageFault ("unsupported") for an unknown critical field.
 */
export function readRemoteRecord(reader: ByteReader, end: number): RemoteRecord {
  const fields = new FieldReader(reader, end);
  const manifests: RemoteManifest[] = [];
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    if (tag !== TAG.manifests) {
      fields.passUnknown(tag);
      continue;
    }
    if (!fields.more()) throw new LayoutError("an empty list is left out");
    while (fields.more()) manifests.push(readManifest(reader));
  }
  return { kind: "manifests-remote", manifests };
}

function readManifest(reader: ByteReader): RemoteManifest {
  const hash = required(parseContentHash(reader.hex(HASH_BYTES)), "hash");
  const bytes = reader.varint();
  return { hash, bytes, buckets: readBuckets(reader) };
}

/** Reads a count of names, and the names. */
export function readBuckets(reader: ByteReader): BucketName[] {
  const buckets: BucketName[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    buckets.push(required(parseBucketName(readText(reader)), "bucket"));
  }
  return buckets;
}

import { hlcMs } from "../core/hlc.ts";
import type { BucketName } from "../core/names.ts";
import type { OpenBatch } from "./batch.ts";
import { bucketEnd, bucketStart } from "./metadata/keys.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import type { CreateBucketOutcome, DeleteBucketOutcome, StoredBucket } from "./store.ts";
import { findBucket, type StoreParts, toStoredBucket } from "./store-parts.ts";

const RECORD_BYTES = 512;

/** Existing buckets in name order, after a name when one is given. */
export function* listBuckets(
  { kv, hash }: StoreParts,
  after: string | undefined,
): Generator<StoredBucket> {
  const { prefix } = TABLES.bucket;
  const from = indexKey(prefix, after ?? "");
  const lt = indexKey(prefix, "~");
  const query = after === undefined ? { gte: from, lt } : { gt: from, lt };
  for (const { value } of kv.range(query)) {
    const row = decodeRow(TABLES.bucket, value, hash.crc32);
    if (!row.deleted) yield toStoredBucket(row);
  }
}

/** Creates a bucket unless it exists; one that was deleted begins anew, without its settings. */
export async function createBucket(
  { committer, admission }: StoreParts,
  { name, owner }: { name: BucketName; owner: string },
): Promise<CreateBucketOutcome> {
  admission.admit(RECORD_BYTES);
  return committer.submit<CreateBucketOutcome>(RECORD_BYTES, (batch) => {
    const existing = findBucket(batch.context.view, name);
    if (existing !== undefined) return { outcome: "exists", bucket: existing };
    const hlc = batch.nextHlc();
    batch.operation(hlc, { kind: "bucket-create", bucket: name, createdMs: hlcMs(hlc), owner });
    return { outcome: "created" };
  });
}

/** Uploads in progress do not keep a bucket: they are aborted with it, in the same commit. */
export async function deleteBucket(
  { committer, admission }: StoreParts,
  name: BucketName,
): Promise<DeleteBucketOutcome> {
  admission.admitSmall();
  return committer.submit<DeleteBucketOutcome>(RECORD_BYTES, (batch) => {
    const { view } = batch.context;
    if (findBucket(view, name) === undefined) return { outcome: "no-such-bucket" };
    if ((view.get(TABLES.usage, name)?.objects ?? 0) > 0) return { outcome: "not-empty" };
    abortUploads(batch, name);
    const hlc = batch.nextHlc();
    batch.operation(hlc, { kind: "bucket-delete", bucket: name, deletedMs: hlcMs(hlc) });
    return { outcome: "deleted" };
  });
}

function abortUploads(batch: OpenBatch, bucket: BucketName): void {
  const uploads = batch.context.view.rows(TABLES.upload, bucketStart(bucket), bucketEnd(bucket));
  for (const { row } of uploads) {
    const { uploadId, key } = row.upload;
    batch.local({ kind: "upload-end", uploadId, bucket, key, completed: undefined });
  }
}

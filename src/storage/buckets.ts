import {
  OBJECT_LOCK_SETTING,
  VERSIONING_SETTING,
  versioningOf,
} from "../core/bucket-versioning.ts";
import { formatHlc, hlcMs } from "../core/hlc.ts";
import type { BucketName } from "../core/names.ts";
import type { BucketSettings, UploadRecord } from "../core/records.ts";
import { isBucketAhead } from "./ahead-of-log.ts";
import type { OpenBatch } from "./batch.ts";
import { uploadCursor } from "./cursors.ts";
import { bucketEnd, bucketStart } from "./metadata/keys.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey, type RowReader } from "./metadata/stored-rows.ts";
import type {
  CreateBucketOutcome,
  CreateBucketRequest,
  DeleteBucketOutcome,
  PutBucketSettingOutcome,
  PutBucketSettingRequest,
  StoredBucket,
} from "./store.ts";
import { findBucket, isKeptByContent, type StoreParts, toStoredBucket } from "./store-parts.ts";
import { findUpload } from "./uploads.ts";

const RECORD_BYTES = 512;
const UPLOADS_PER_COMMIT = 64;
const NO_SETTINGS: BucketSettings = new Map();

/** Existing buckets in name order, after a name when one is given. */
export function* listBuckets(
  { kv, hash, index }: StoreParts,
  after: string | undefined,
): Generator<StoredBucket> {
  const { prefix } = TABLES.bucket;
  const from = indexKey(prefix, after ?? "");
  const lt = indexKey(prefix, "~");
  const query = after === undefined ? { gte: from, lt } : { gt: from, lt };
  for (const { value } of kv.range(query)) {
    const row = decodeRow(TABLES.bucket, value, hash.crc32);
    if (!row.deleted || isKeptByContent(index, row)) yield toStoredBucket(row);
  }
}

/** Creates a bucket unless it exists; one that was deleted begins anew, without its settings. */
export async function createBucket(
  { committer, admission }: StoreParts,
  { name, owner, settings = NO_SETTINGS }: CreateBucketRequest,
): Promise<CreateBucketOutcome> {
  let bytes = RECORD_BYTES;
  for (const value of settings.values()) bytes += RECORD_BYTES + value.length;
  admission.admit(bytes);
  return committer.submit<CreateBucketOutcome>(bytes, (batch) => {
    const existing = findBucket(batch.context.view, name);
    // A bucket that exists only because of its content would go with that: now it is created for
    // good.
    const isKept = batch.context.view.get(TABLES.bucket, name)?.deleted === true;
    if (existing !== undefined && !isKept) return { outcome: "exists", bucket: existing };
    const hlc = batch.nextHlc();
    const count = 1 + settings.size;
    const group = count === 1 ? undefined : { id: `create-${formatHlc(hlc)}`, count };
    const created = { kind: "bucket-create", bucket: name, createdMs: hlcMs(hlc), owner } as const;
    batch.operation(hlc, created, undefined, group);
    for (const [setting, value] of settings) {
      const body = { kind: "bucket-setting", bucket: name, name: setting, value } as const;
      batch.operation(batch.nextHlc(), body, undefined, group);
    }
    return { outcome: "created" };
  });
}

/**
 * Changes or removes one setting of a bucket.
 *
 * @throws StorageFault "disk-full" or "busy" before anything is begun.
 */
export async function putBucketSetting(
  { committer, admission }: StoreParts,
  { bucket, name, value }: PutBucketSettingRequest,
): Promise<PutBucketSettingOutcome> {
  const bytes = RECORD_BYTES + (value?.length ?? 0);
  admission.admit(bytes);
  return committer.submit<PutBucketSettingOutcome>(bytes, (batch) => {
    const found = findBucket(batch.context.view, bucket);
    if (found === undefined) return { outcome: "no-such-bucket" };
    if (!isAllowedChange(found.settings, name, value)) return { outcome: "refused" };
    batch.operation(batch.nextHlc(), { kind: "bucket-setting", bucket, name, value });
    return { outcome: "stored" };
  });
}

/**
 * A bucket that has had versions keeps its versioning state, and one with object lock keeps both:
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
 */
function isAllowedChange(
  settings: BucketSettings,
  name: string,
  value: Uint8Array | undefined,
): boolean {
  const lock = settings.get(OBJECT_LOCK_SETTING);
  if (name === OBJECT_LOCK_SETTING) {
    if (value === undefined) return lock === undefined;
    return versioningOf(settings.get(VERSIONING_SETTING)) === "enabled";
  }
  if (name !== VERSIONING_SETTING) return true;
  const next = versioningOf(value);
  if (next === "unversioned") return !settings.has(VERSIONING_SETTING) && value === undefined;
  return lock === undefined || next === "enabled";
}

/**
 * Uploads in progress do not keep a bucket: they are aborted with it, in the same commit. Of very
 * many most are aborted before, so that an object that comes meanwhile finds its bucket without
 * them.
 */
export async function deleteBucket(
  parts: StoreParts,
  name: BucketName,
): Promise<DeleteBucketOutcome> {
  const { committer, admission } = parts;
  admission.admitSmall();
  // Writes take effect in the order in which they are asked for: nothing is awaited without need.
  if (hasManyUploads(parts, name)) await abortManyUploads(parts, name);
  return committer.submit<DeleteBucketOutcome>(RECORD_BYTES, (batch) => {
    const refusal = refusalOfDelete(batch.context.view, name);
    if (refusal !== undefined) return refusal;
    if (isBucketAhead(batch, name)) return { outcome: "ahead-of-log" };
    abortUploads(batch, name);
    const hlc = batch.nextHlc();
    batch.operation(hlc, { kind: "bucket-delete", bucket: name, deletedMs: hlcMs(hlc) });
    return { outcome: "deleted" };
  });
}

function refusalOfDelete(view: RowReader, name: BucketName): DeleteBucketOutcome | undefined {
  if (findBucket(view, name) === undefined) return { outcome: "no-such-bucket" };
  const usage = view.get(TABLES.usage, name);
  const holds = usage === undefined ? 0 : usage.objects + usage.noncurrent + usage.markers;
  return holds > 0 ? { outcome: "not-empty" } : undefined;
}

/** Whether a bucket that could go now has more uploads than one commit should end. */
function hasManyUploads(parts: StoreParts, bucket: BucketName): boolean {
  if (refusalOfDelete(parts.index, bucket) !== undefined) return false;
  return uploadsAfter(parts, bucket, undefined).length > UPLOADS_PER_COMMIT;
}

/** One commit for thousands of uploads, and all of their parts, would keep all others waiting. */
async function abortManyUploads(parts: StoreParts, bucket: BucketName): Promise<void> {
  let after: UploadRecord | undefined;
  for (;;) {
    const found = uploadsAfter(parts, bucket, after);
    if (found.length <= UPLOADS_PER_COMMIT) return;
    const ending = found.slice(0, UPLOADS_PER_COMMIT);
    await parts.committer.submit<void>(RECORD_BYTES * ending.length, (batch) => {
      for (const { key, uploadId } of ending) {
        const name = { bucket, key, uploadId };
        if (findUpload(batch.context.view, name) === undefined) continue;
        batch.local({ kind: "upload-end", ...name, completed: undefined });
      }
    });
    after = ending.at(-1);
  }
}

function uploadsAfter(
  parts: StoreParts,
  bucket: BucketName,
  after: UploadRecord | undefined,
): readonly UploadRecord[] {
  const cursor = uploadCursor(parts, bucket);
  try {
    if (after !== undefined) cursor.seekAfter(after.key, after.uploadId);
    const found: UploadRecord[] = [];
    while (found.length <= UPLOADS_PER_COMMIT) {
      const upload = cursor.next();
      if (upload === undefined) break;
      found.push(upload);
    }
    return found;
  } finally {
    cursor.close();
  }
}

/** Uploads in progress are this site's own: they end with a bucket, however that went. */
export function endUploadsOfGone(batch: OpenBatch, bucket: BucketName): void {
  if (findBucket(batch.context.view, bucket) === undefined) abortUploads(batch, bucket);
}

function abortUploads(batch: OpenBatch, bucket: BucketName): void {
  const uploads = batch.context.view.rows(TABLES.upload, bucketStart(bucket), bucketEnd(bucket));
  for (const { row } of uploads) {
    const { uploadId, key } = row.upload;
    batch.local({ kind: "upload-end", uploadId, bucket, key, completed: undefined });
  }
}

import { assert } from "../core/assert.ts";
import { toHex } from "../core/bytes.ts";
import { formatHlc, hlcMs } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import {
  type BucketName,
  makeVersionId,
  type ObjectKey,
  parseUploadId,
  type UploadId,
} from "../core/names.ts";
import type {
  CompletedUpload,
  ObjectRecord,
  PartRecord,
  StoredChecksum,
  UploadRecord,
} from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { OpenBatch } from "./batch.ts";
import { judgeConditions } from "./conditions.ts";
import { objectKeyOf, partKeyOf, uploadKeyOf } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import { nameChunks, stagedChunks, storedNow } from "./objects.ts";
import { judgeQuota } from "./quotas.ts";
import type {
  AbortOutcome,
  CompleteOutcome,
  CompleteUploadRequest,
  CreateUploadOutcome,
  CreateUploadRequest,
  PutPartOutcome,
  PutPartRequest,
} from "./store.ts";
import { findBucket, type StoreParts } from "./store-parts.ts";
import { isNullSlotWrite, judgeOverwrite } from "./versions.ts";

const RECORD_BYTES = 1024;

type UploadName = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly uploadId: UploadId;
};

/** An upload in progress, under exactly this bucket and key. */
export function findUpload(view: RowReader, name: UploadName): UploadRecord | undefined {
  const key = uploadKeyOf(name.bucket, name.key, name.uploadId);
  return view.get(TABLES.upload, key)?.upload;
}

/** Begins an upload; its id sorts by time of creation and cannot be guessed. */
export async function createUpload(
  { committer, admission, random }: StoreParts,
  request: CreateUploadRequest,
): Promise<CreateUploadOutcome> {
  admission.admit(RECORD_BYTES);
  return committer.submit<CreateUploadOutcome>(RECORD_BYTES, (batch) => {
    if (findBucket(batch.context.view, request.bucket) === undefined) {
      return { outcome: "no-such-bucket" };
    }
    const hlc = batch.nextHlc();
    const uploadId = parseUploadId(formatHlc(hlc) + toHex(random.bytes(8)));
    assert(uploadId !== undefined, "a clock reading and eight bytes are an upload id");
    const upload = { ...request, uploadId, createdMs: hlcMs(hlc) };
    batch.local({ kind: "upload-create", upload });
    return { outcome: "created", upload };
  });
}

/** Stores a part; one with the same number is replaced when this commit is visible. */
export async function putPart(parts: StoreParts, request: PutPartRequest): Promise<PutPartOutcome> {
  const staged = stagedChunks(request.body.staged);
  try {
    parts.admission.admit(RECORD_BYTES);
    return await parts.committer.submit(RECORD_BYTES, (batch) =>
      judgePart(parts.hash, batch, request),
    );
  } finally {
    staged.release();
  }
}

function judgePart(hash: Hash, batch: OpenBatch, request: PutPartRequest): PutPartOutcome {
  const { bucket, key, uploadId, partNumber, etag, checksums } = request;
  const { view } = batch.context;
  if (findBucket(view, bucket) === undefined) return { outcome: "no-such-bucket" };
  if (findUpload(view, request) === undefined) return { outcome: "no-such-upload" };
  const manifest = nameChunks(hash, batch, request.body.staged);
  const lastModifiedMs = hlcMs(batch.nextHlc());
  const name = { uploadId, bucket, key, partNumber };
  const part = {
    ...name,
    size: request.size ?? manifest.bytes,
    etag,
    lastModifiedMs,
    checksums,
    manifest,
  };
  batch.local({ kind: "part-put", part });
  return { outcome: "stored", part };
}

/**
 * Makes an object out of parts and ends the upload, in one commit. A retry gets the same answer.
 *
 * @throws StorageFault "disk-full" or "busy" before anything is begun.
 */
export async function completeUpload(
  parts: StoreParts,
  request: CompleteUploadRequest,
): Promise<CompleteOutcome> {
  const bytes = RECORD_BYTES + request.parts.length * 128;
  parts.admission.admit(bytes);
  return parts.committer.submit<CompleteOutcome>(bytes, (batch) =>
    judgeComplete(parts, batch, request),
  );
}

function judgeComplete(
  { clock, hash, quotas }: StoreParts,
  batch: OpenBatch,
  request: CompleteUploadRequest,
): CompleteOutcome {
  const { bucket, key, uploadId } = request;
  const { view } = batch.context;
  if (findBucket(view, bucket) === undefined) return { outcome: "no-such-bucket" };
  const upload = findUpload(view, request);
  if (upload === undefined) return findResult(view, request) ?? { outcome: "no-such-upload" };
  const current = view.get(TABLES.object, objectKeyOf(bucket, key));
  const nullSlot = isNullSlotWrite(view, bucket);
  const refusal =
    judgeConditions(request.conditions, current) ??
    (nullSlot ? judgeOverwrite(clock, view, request) : undefined);
  if (refusal !== undefined) return refusal;
  const found = findParts(view, request);
  if ("outcome" in found) return found;
  const bytes = found.parts.reduce((sum, part) => sum + part.size, 0);
  const over = judgeQuota({ view, quotas }, request, { bytes, nullSlot });
  if (over !== undefined) return over;

  const hlc = batch.nextHlc(current?.stamp.hlc);
  const object = compose(hash, found.parts, { request, upload, lastModifiedMs: hlcMs(hlc) });
  const { origin } = batch.operation(hlc, { kind: "object-put", bucket, key, nullSlot, object });
  const { etag, checksums } = object;
  const name = { uploadId, bucket, key };
  const version = nullSlot ? undefined : makeVersionId(hlc, origin);
  const completed: CompletedUpload = { ...name, completedMs: hlcMs(hlc), etag, checksums, version };
  batch.local({ kind: "upload-end", ...name, completed });
  return { outcome: "stored", stored: storedNow(batch, bucket, key) };
}

function findResult(view: RowReader, name: UploadName): CompleteOutcome | undefined {
  const completed = view.get(TABLES.result, name.uploadId)?.completed;
  const same = completed?.bucket === name.bucket && completed.key === name.key;
  return same ? { outcome: "already-completed", completed } : undefined;
}

/** The parts a client lists must be the ones we have; all but the last have a least size. */
function findParts(
  view: RowReader,
  { uploadId, parts }: CompleteUploadRequest,
): { parts: PartRecord[] } | CompleteOutcome {
  const found: PartRecord[] = [];
  for (const { partNumber, etag, checksums } of parts) {
    const part = view.get(TABLES.part, partKeyOf(uploadId, partNumber))?.part;
    if (part === undefined || part.etag !== etag || !agree(checksums, part.checksums)) {
      return { outcome: "invalid-part", partNumber };
    }
    found.push(part);
  }
  const small = found.slice(0, -1).find((part) => part.size < LIMITS.partBytesMin);
  if (small === undefined) return { parts: found };
  return { outcome: "part-too-small", partNumber: small.partNumber, size: small.size };
}

function agree(said: readonly StoredChecksum[], stored: readonly StoredChecksum[]): boolean {
  return said.every(({ algorithm, value }) =>
    stored.some((checksum) => checksum.algorithm === algorithm && checksum.value === value),
  );
}

/** One object out of its parts' manifests: no byte is written again. */
function compose(
  hash: Hash,
  parts: readonly PartRecord[],
  {
    request,
    upload,
    lastModifiedMs,
  }: { request: CompleteUploadRequest; upload: UploadRecord; lastModifiedMs: number },
): ObjectRecord {
  const digests = Buffer.concat(parts.map((part) => Buffer.from(part.etag, "hex")));
  const summaries = parts.map(({ partNumber, size, checksums }) => ({
    partNumber,
    size,
    checksums,
  }));
  return {
    size: parts.reduce((sum, part) => sum + part.size, 0),
    etag: `${toHex(hash.digest("MD5", digests))}-${parts.length}`,
    lastModifiedMs,
    attributes: upload.attributes,
    checksums: request.combine(summaries, upload),
    parts: summaries,
    encryption: envelopeOf(request, summaries, upload),
    lock: upload.lock,
    body: { kind: "manifests", manifests: parts.map((part) => part.manifest) },
  };
}

function envelopeOf(
  { seal }: CompleteUploadRequest,
  parts: ObjectRecord["parts"],
  upload: UploadRecord,
): ObjectRecord["encryption"] {
  const { encryption } = upload;
  return encryption === undefined || seal === undefined ? encryption : seal(parts, upload);
}

/** Ends an upload and lets go of its parts; a part that is still arriving is refused. */
export async function abortUpload(
  { committer, admission }: StoreParts,
  { bucket, key, uploadId }: UploadName,
): Promise<AbortOutcome> {
  admission.admitSmall();
  return committer.submit<AbortOutcome>(RECORD_BYTES, (batch) => {
    const { view } = batch.context;
    if (findBucket(view, bucket) === undefined) return { outcome: "no-such-bucket" };
    if (findUpload(view, { bucket, key, uploadId }) === undefined) {
      return { outcome: "no-such-upload" };
    }
    batch.local({ kind: "upload-end", uploadId, bucket, key, completed: undefined });
    return { outcome: "aborted" };
  });
}

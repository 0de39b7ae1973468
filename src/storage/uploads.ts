import { assert } from "../core/assert.ts";
import { toHex } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
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
import { isWhole, takeManifest } from "./incoming-bytes.ts";
import { objectKeyOf, partKeyOf, uploadKeyOf } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import { nameChunks, stagedChunks, storedNow } from "./objects.ts";
import { judgeQuota } from "./quotas.ts";
import type { IncomingManifest } from "./replica.ts";
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
  if (request.brought !== undefined) return completeBrought(parts, request, request.brought);
  return parts.committer.submit<CompleteOutcome>(bytes, (batch) =>
    judgeComplete(parts, batch, request),
  );
}

/**
 * Completes an upload that another site has. Its bytes are fetched once it is clear that they are
 * wanted, and are written beside the operation that names them. Nothing of the upload is here
 * before, and only its result afterwards.
 *
 * @throws StorageFault "unreachable" when the bytes cannot be had now.
 */
async function completeBrought(
  parts: StoreParts,
  request: CompleteUploadRequest,
  { bring }: NonNullable<CompleteUploadRequest["brought"]>,
): Promise<CompleteOutcome> {
  const judged = judge(parts, parts.index, request);
  if ("outcome" in judged) return judged;
  const refs = judged.found.map((part) => part.manifest);
  const manifests = await bring(refs);
  try {
    const chunks = manifests.reduce((sum, one) => sum + one.chunks.length, 0);
    const bytes = RECORD_BYTES + (refs.length + chunks) * 128;
    parts.admission.admit(bytes);
    return await parts.committer.submit<CompleteOutcome>(bytes, (batch) =>
      judgeComplete(parts, batch, request, manifests),
    );
  } finally {
    for (const { staged } of manifests) if (staged !== undefined) stagedChunks(staged).release();
  }
}

/** What an upload would become now, or why it may not. */
type Judged = {
  readonly upload: UploadRecord;
  readonly found: readonly PartRecord[];
  readonly current: ReturnType<typeof currentRow>;
  readonly nullSlot: boolean;
};

function judge(
  { clock, quotas }: StoreParts,
  view: RowReader,
  request: CompleteUploadRequest,
): Judged | CompleteOutcome {
  const { bucket, brought } = request;
  if (findBucket(view, bucket) === undefined) return { outcome: "no-such-bucket" };
  // An upload that was brought and completed here still exists where it came from.
  const before = brought === undefined ? undefined : findResult(view, request);
  if (before !== undefined) return before;
  const upload = brought?.upload ?? findUpload(view, request);
  if (upload === undefined) return findResult(view, request) ?? { outcome: "no-such-upload" };
  const current = currentRow(view, request);
  const nullSlot = isNullSlotWrite(view, bucket);
  const refusal =
    judgeConditions(request.conditions, current) ??
    (nullSlot ? judgeOverwrite(clock, view, request) : undefined);
  if (refusal !== undefined) return refusal;
  const found = findParts(view, request);
  if ("outcome" in found) return found;
  const bytes = found.parts.reduce((sum, part) => sum + part.size, 0);
  const over = judgeQuota({ view, quotas }, request, { bytes, nullSlot });
  return over ?? { upload, found: found.parts, current, nullSlot };
}

function currentRow(view: RowReader, { bucket, key }: CompleteUploadRequest) {
  return view.get(TABLES.object, objectKeyOf(bucket, key));
}

function judgeComplete(
  parts: StoreParts,
  batch: OpenBatch,
  request: CompleteUploadRequest,
  manifests: readonly IncomingManifest[] = [],
): CompleteOutcome {
  const { bucket, key, uploadId } = request;
  const judged = judge(parts, batch.context.view, request);
  if ("outcome" in judged) return judged;
  const { upload, found, current, nullSlot } = judged;
  if (request.brought !== undefined) takeBytes(batch, found, manifests);

  const hlc = batch.nextHlc(current?.stamp.hlc);
  const object = compose(parts.hash, found, { request, upload, lastModifiedMs: hlcMs(hlc) });
  const { origin } = batch.operation(hlc, { kind: "object-put", bucket, key, nullSlot, object });
  const { etag, checksums } = object;
  const name = { uploadId, bucket, key };
  const version = nullSlot ? undefined : makeVersionId(hlc, origin);
  const completed: CompletedUpload = { ...name, completedMs: hlcMs(hlc), etag, checksums, version };
  batch.local({ kind: "upload-end", ...name, completed });
  return { outcome: "stored", stored: storedNow(batch, bucket, key) };
}

/**
 * Takes in the fetched bytes. Some that were here when they would have been fetched may be gone
 * since.
 */
function takeBytes(
  batch: OpenBatch,
  parts: readonly PartRecord[],
  manifests: readonly IncomingManifest[],
): void {
  const come = new Map(manifests.map((one) => [one.hash, [one]]));
  if (!parts.every(({ manifest }) => isWhole(batch, manifest, come.get(manifest.hash) ?? []))) {
    throw new StorageFault("unreachable", "bytes of an upload at another site are not all here");
  }
  for (const one of manifests) takeManifest(batch, one);
}

function findResult(view: RowReader, name: UploadName): CompleteOutcome | undefined {
  const completed = view.get(TABLES.result, name.uploadId)?.completed;
  const same = completed?.bucket === name.bucket && completed.key === name.key;
  return same ? { outcome: "already-completed", completed } : undefined;
}

/** The parts a client lists must be the ones we have; all but the last have a least size. */
function findParts(
  view: RowReader,
  { uploadId, parts, brought }: CompleteUploadRequest,
): { parts: PartRecord[] } | CompleteOutcome {
  const found: PartRecord[] = [];
  const come = brought && new Map(brought.parts.map((part) => [part.partNumber, part]));
  for (const { partNumber, etag, checksums } of parts) {
    const part =
      come === undefined
        ? view.get(TABLES.part, partKeyOf(uploadId, partNumber))?.part
        : come.get(partNumber);
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
    lock: request.lock === undefined ? upload.lock : request.lock(upload, lastModifiedMs),
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

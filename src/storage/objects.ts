import { toHex } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { hlcMs } from "../core/hlc.ts";
import { encodeManifest } from "../core/manifest-codec.ts";
import { type BucketName, type ObjectKey, parseContentHash } from "../core/names.ts";
import type { BodyRef, ManifestRef, ObjectRecord } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { OpenBatch } from "./batch.ts";
import { judgeConditions } from "./conditions.ts";
import { objectKeyOf } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import { judgeQuota } from "./quotas.ts";
import { StagedChunks } from "./staged-body.ts";
import type { PutObjectRequest, PutOutcome, StagedBody, StoredObject } from "./store.ts";
import { findBucket, type StoreParts, toStoredObject } from "./store-parts.ts";
import { isNullSlotWrite, judgeOverwrite } from "./versions.ts";

/** About what an operation takes beside a body; for bounds, not for counting. */
const RECORD_BYTES = 1024;

/** The current version of a key as clients see it; undefined when there is none. */
export function findObject(
  parts: StoreParts,
  bucket: BucketName,
  key: ObjectKey,
): StoredObject | undefined {
  const row = parts.index.get(TABLES.object, objectKeyOf(bucket, key));
  return row === undefined ? undefined : toStoredObject(bucket, key, row);
}

/**
 * Stores an object: judges the conditions, names its bytes and makes it current, in one commit.
 *
 * @throws StorageFault "disk-full" before anything is begun, "busy" when too much waits.
 */
export function putObject(parts: StoreParts, request: PutObjectRequest): Promise<PutOutcome> {
  const { body } = request;
  // A promise less for the many small ones.
  if (body.kind === "inline") return submitPut(parts, request, body.bytes.length);
  return putChunks(parts, request, body.kind === "staged" ? stagedChunks(body.staged) : undefined);
}

async function putChunks(
  parts: StoreParts,
  request: PutObjectRequest,
  staged: StagedChunks | undefined,
): Promise<PutOutcome> {
  try {
    return await submitPut(parts, request, 0);
  } finally {
    // Rows name the chunks now, or nothing does: the pins have done their work.
    staged?.release();
  }
}

function submitPut(
  parts: StoreParts,
  request: PutObjectRequest,
  bodyBytes: number,
): Promise<PutOutcome> {
  const bytes = RECORD_BYTES + bodyBytes;
  try {
    parts.admission.admit(bytes);
  } catch (failure) {
    return Promise.reject(failure);
  }
  return parts.committer.submit(bytes, (batch) => judgePut(parts, batch, request));
}

function judgePut(parts: StoreParts, batch: OpenBatch, request: PutObjectRequest): PutOutcome {
  const { bucket, key } = request;
  const { view } = batch.context;
  const { quotas } = parts;
  if (findBucket(view, bucket) === undefined) return { outcome: "no-such-bucket" };
  const current = view.get(TABLES.object, objectKeyOf(bucket, key));
  const nullSlot = isNullSlotWrite(view, bucket);
  const refusal =
    judgeConditions(request.conditions, current) ??
    (nullSlot ? judgeOverwrite(parts.clock, view, request) : undefined) ??
    judgeQuota({ view, quotas }, request, { bytes: request.object.size, nullSlot });
  if (refusal !== undefined) return refusal;
  const body = bodyOf(parts.hash, batch, request.body);
  if (body === undefined) return { outcome: "source-gone" };

  const hlc = batch.nextHlc(current?.stamp.hlc);
  // Written out, in the order in which a row is read: one shape of object serves all of them.
  const { size, etag, attributes, checksums, parts: summaries, encryption, lock } = request.object;
  const lastModifiedMs = hlcMs(hlc);
  const object: ObjectRecord = {
    size,
    etag,
    lastModifiedMs,
    attributes,
    checksums,
    parts: summaries,
    encryption,
    lock,
    body,
  };
  const inline = request.body.kind === "inline" ? request.body.bytes : undefined;
  batch.operation(hlc, { kind: "object-put", bucket, key, nullSlot, object }, inline);
  return { outcome: "stored", stored: storedNow(batch, bucket, key) };
}

/** The object as this batch has just put it; its place is known once the batch is laid out. */
export function storedNow(batch: OpenBatch, bucket: BucketName, key: ObjectKey): StoredObject {
  const row = batch.context.view.get(TABLES.object, objectKeyOf(bucket, key));
  if (row === undefined) throw new StorageFault("corrupt", "a write left no row");
  return toStoredObject(bucket, key, row);
}

function bodyOf(hash: Hash, batch: OpenBatch, body: PutObjectRequest["body"]): BodyRef | undefined {
  switch (body.kind) {
    case "inline":
      return { kind: "inline", bytes: body.bytes.length };
    case "staged":
      return { kind: "manifests", manifests: [nameChunks(hash, batch, body.staged)] };
    case "shared":
      return shareBody(batch, body.source);
  }
}

/** A copy names the chunks of its source; undefined when they have been removed meanwhile. */
function shareBody(batch: OpenBatch, source: StoredObject): BodyRef | undefined {
  const { body } = source.record;
  if (body.kind === "inline") throw new StorageFault("unsupported", "small bodies are copied");
  const { view } = batch.context;
  const whole = body.manifests.every(({ hash }) => view.get(TABLES.manifest, hash) !== undefined);
  return whole ? body : undefined;
}

/**
 * Puts a staged body's manifest into the batch, with the places of its chunks. Chunks that are
 * known already are read from the new place from now on: these bytes have just been written, and
 * nobody knows what has become of the others. Of the two copies one is dead space in any case.
 */
export function nameChunks(hash: Hash, batch: OpenBatch, body: StagedBody): ManifestRef {
  const staged = stagedChunks(body);
  const { view } = batch.context;
  const placed = new Map(staged.chunks.map((chunk) => [chunk.hash, chunk]));
  if (placed.size > 0) batch.local({ kind: "chunks-placed", chunks: [...placed.values()] });
  const chunks = staged.chunks.map((chunk) => ({ hash: chunk.hash, bytes: chunk.place.bytes }));
  const manifest = parseContentHash(toHex(hash.digest("BLAKE3", encodeManifest(chunks))));
  if (manifest === undefined) throw new StorageFault("corrupt", "a manifest has no hash");
  if (view.get(TABLES.manifest, manifest) === undefined) batch.manifest(manifest, chunks);
  return { hash: manifest, bytes: staged.bytes };
}

/** Staged bodies are made by this store only. */
export function stagedChunks(body: StagedBody): StagedChunks {
  if (body instanceof StagedChunks) return body;
  throw new StorageFault("unsupported", "a staged body of another store");
}

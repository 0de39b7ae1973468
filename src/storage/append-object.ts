import { hlcMs } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import type { BodyRef, ManifestRef } from "../core/records.ts";
import type { OpenBatch } from "./batch.ts";
import { judgeConditions } from "./conditions.ts";
import { objectKeyOf } from "./metadata/keys.ts";
import type { ObjectRow } from "./metadata/object-row.ts";
import { TABLES } from "./metadata/rows.ts";
import { findObject, nameChunks, stagedChunks, storedNow } from "./objects.ts";
import { judgeQuota } from "./quotas.ts";
import { namesMissing } from "./remote-manifests.ts";
import type {
  AppendObjectRequest,
  AppendOutcome,
  BodyWriter,
  StagedBody,
  StoredObject,
} from "./store.ts";
import { findBucket, type StoreParts } from "./store-parts.ts";
import { isNullSlotWrite, judgeOverwrite } from "./versions.ts";

/** About what an operation takes beside a body; for bounds, not for counting. */
const RECORD_BYTES = 1024;
/** How often to try again when an object is replaced while its small body is being read. */
const ATTEMPTS_MAX = 16;

export type AppendDeps = {
  readonly parts: StoreParts;
  readonly stage: () => Promise<BodyWriter>;
};

/** The bytes to append: whole and small, or in chunks that are durable. */
type Piece =
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "staged"; readonly staged: StagedBody };

/**
 * What was read before the commit, which cannot wait: `front` is the small body in front of the
 * appended bytes, valid only while the object is still `seen`.
 */
type Prepared = {
  readonly seen: StoredObject | undefined;
  readonly front: Piece | undefined;
  readonly added: Piece;
};

type Attempt = AppendOutcome | { readonly outcome: "replaced" };

/**
 * Appends to an object: makes a version that names the chunks of the one before it and those of the
 * new bytes. Only a body that is inline is written again. The offset is judged in the commit, so
 * that of two appends to one end one is refused.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-append.html
 *
 * @throws whatever `describe` throws, with nothing written; StorageFault as putObject does.
 */
export async function appendObject(
  deps: AppendDeps,
  request: AppendObjectRequest,
): Promise<AppendOutcome> {
  const { parts } = deps;
  let added: Piece = request.body;
  try {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const seen = findObject(parts, request.bucket, request.key);
      if (seen !== undefined) await parts.bodies.remote.bring(seen);
      const front = await readFront(parts, seen);
      if (added.kind === "inline" && !staysInline(seen, added)) {
        added = { kind: "staged", staged: await stageBytes(deps, added.bytes) };
      }
      const done = await appendOnce(deps, request, { seen, front, added });
      if (done.outcome !== "replaced") return done;
    }
    return { outcome: "conflict" };
  } finally {
    release(added);
  }
}

/** Unpins the chunks: rows name them now, or nothing ever will. */
function release(piece: Piece | undefined): void {
  if (piece?.kind === "staged") stagedChunks(piece.staged).release();
}

/** Whether body and new bytes still lie beside the operation together. */
function staysInline(
  seen: StoredObject | undefined,
  added: Extract<Piece, { kind: "inline" }>,
): boolean {
  if (seen === undefined) return true;
  const { body } = seen.record;
  if (body.kind === "manifests") return false;
  return body.bytes + added.bytes.length <= LIMITS.inlineBodyBytesMax;
}

/**
 * The bytes of a small body in front, which cannot be named by its chunks; undefined without one.
 */
async function readFront(
  { bodies }: StoreParts,
  seen: StoredObject | undefined,
): Promise<Piece | undefined> {
  if (seen?.record.body.kind !== "inline" || seen.record.body.bytes === 0) return undefined;
  const bytes = await bodies.inline(seen);
  return bytes && { kind: "inline", bytes };
}

async function stageBytes({ stage }: AppendDeps, bytes: Uint8Array): Promise<StagedBody> {
  const writer = await stage();
  try {
    await writer.write(bytes);
    return await writer.finish();
  } catch (failure) {
    writer.abort();
    throw failure;
  }
}

async function appendOnce(
  deps: AppendDeps,
  request: AppendObjectRequest,
  { seen, front, added }: Prepared,
): Promise<Attempt> {
  const { parts } = deps;
  const inFront: Piece | undefined =
    added.kind === "staged" && front?.kind === "inline"
      ? { kind: "staged", staged: await stageBytes(deps, front.bytes) }
      : front;
  try {
    const bytes = RECORD_BYTES + (added.kind === "inline" ? LIMITS.inlineBodyBytesMax : 0);
    parts.admission.admit(bytes);
    return await parts.committer.submit<Attempt>(bytes, (batch) =>
      judgeAppend(parts, batch, request, { seen, front: inFront, added }),
    );
  } finally {
    release(inFront);
  }
}

function judgeAppend(
  parts: StoreParts,
  batch: OpenBatch,
  request: AppendObjectRequest,
  prepared: Prepared,
): Attempt {
  const { bucket, key, offset } = request;
  const { view } = batch.context;
  if (findBucket(view, bucket) === undefined) return { outcome: "no-such-bucket" };
  const current = view.get(TABLES.object, objectKeyOf(bucket, key));
  const nullSlot = isNullSlotWrite(view, bucket);
  const refusal =
    judgeConditions(request.conditions, current) ??
    (nullSlot ? judgeOverwrite(parts.clock, view, request) : undefined);
  if (refusal !== undefined) return refusal;
  const size = current?.object.size ?? 0;
  if (size !== offset) return { outcome: "invalid-offset", size };
  if (!isPrepared(current, prepared) || namesMissing(view, current?.object.body)) {
    return { outcome: "replaced" };
  }
  const record = request.describe(current?.object);
  const over = judgeQuota({ view, quotas: parts.quotas }, request, {
    bytes: record.size,
    nullSlot,
  });
  if (over !== undefined) return over;
  const hlc = batch.nextHlc(current?.stamp.hlc);
  const { body, inline } = joinBodies(parts, batch, current, prepared);
  const object = { ...record, lastModifiedMs: hlcMs(hlc), body };
  batch.operation(hlc, { kind: "object-put", bucket, key, nullSlot, object }, inline);
  return { outcome: "stored", stored: storedNow(batch, bucket, key) };
}

/**
 * Whether an append can go on: the chunks of the current object can be named, but a small body must
 * be the one that was read.
 */
function isPrepared(current: ObjectRow | undefined, { seen, added }: Prepared): boolean {
  if (current?.object.body.kind === "manifests") return added.kind === "staged";
  return current?.stamp.hlc === seen?.hlc;
}

function joinBodies(
  { hash }: StoreParts,
  batch: OpenBatch,
  current: ObjectRow | undefined,
  { front, added }: Prepared,
): { readonly body: BodyRef; readonly inline: Uint8Array | undefined } {
  if (added.kind === "inline") {
    const inFront = front?.kind === "inline" ? [front.bytes] : [];
    const inline = Buffer.concat([...inFront, added.bytes]);
    return { body: { kind: "inline", bytes: inline.length }, inline };
  }
  const manifests: ManifestRef[] = [];
  if (current?.object.body.kind === "manifests") manifests.push(...current.object.body.manifests);
  else if (front?.kind === "staged") manifests.push(nameChunks(hash, batch, front.staged));
  manifests.push(nameChunks(hash, batch, added.staged));
  return { body: { kind: "manifests", manifests }, inline: undefined };
}

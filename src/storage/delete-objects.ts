import { type Hlc, hlcMs, parseHlc } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import { makeVersionId, type VersionId } from "../core/names.ts";
import type { OperationBody } from "../core/records.ts";
import { isDeleteAhead } from "./ahead-of-log.ts";
import type { OpenBatch } from "./batch.ts";
import { judgeConditions } from "./conditions.ts";
import { deletesOf } from "./metadata/apply-deletes.ts";
import { type KeyName, newestVersion } from "./metadata/key-versions.ts";
import { objectKeyOf } from "./metadata/keys.ts";
import type { ObjectRow } from "./metadata/object-row.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { DeleteObjectRequest, DeleteOutcome, Refusal } from "./store.ts";
import { findBucket, type StoreParts } from "./store-parts.ts";
import { isKept, judgeOverwrite, namedVersion, versioningIn } from "./versions.ts";

/** About what a delete takes in the log; for bounds, not for counting. */
const RECORD_BYTES = 1024;

/** Deletes one object or version, as `deleteObjects` does. */
export async function deleteObject(
  parts: StoreParts,
  request: DeleteObjectRequest,
): Promise<DeleteOutcome> {
  parts.admission.admitSmall();
  return await parts.committer.submit(RECORD_BYTES, (batch) => judgeDelete(parts, batch, request));
}

/**
 * Deletes in one commit: all of them are durable when it resolves, each with its own outcome.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectVersions.html
 */
export async function deleteObjects(
  parts: StoreParts,
  requests: readonly DeleteObjectRequest[],
): Promise<DeleteOutcome[]> {
  const bytes = requests.length * RECORD_BYTES;
  parts.admission.admitSmall();
  return parts.committer.submit(Math.min(bytes, LIMITS.batchBytesMaxBuffered), (batch) =>
    requests.map((request) => judgeDelete(parts, batch, request)),
  );
}

/**
 * Judges one delete and adds it to the batch.
 *
 * @param expired the reading of the version that a lifecycle ends; its marker stands right on top.
 */
export function judgeDelete(
  parts: StoreParts,
  batch: OpenBatch,
  request: DeleteObjectRequest,
  expired?: Hlc,
): DeleteOutcome {
  if (findBucket(batch.context.view, request.bucket) === undefined) {
    return { outcome: "no-such-bucket" };
  }
  if (request.version !== undefined) {
    return judgeVersionDelete(parts, batch, { ...request, version: request.version });
  }
  return judgeCurrentDelete(parts, batch, request, expired);
}

/** Deletes what clients see of a key: in a bucket with versions, a delete marker hides it. */
function judgeCurrentDelete(
  { clock }: StoreParts,
  batch: OpenBatch,
  request: DeleteObjectRequest,
  expired: Hlc | undefined,
): DeleteOutcome {
  const { bucket, key } = request;
  const { view } = batch.context;
  const current = view.get(TABLES.object, objectKeyOf(bucket, key));
  const refusal = judgeDemands(view, request, current);
  if (refusal !== undefined) return refusal;
  const versioning = versioningIn(view, bucket);
  const existed = current !== undefined;
  if (versioning === "unversioned" && !existed) return deleted(existed, undefined);
  const nullSlot = versioning !== "enabled";
  const kept = nullSlot ? judgeOverwrite(clock, view, request) : undefined;
  if (kept !== undefined) return kept;
  const nullMarker = versioning === "suspended";
  const hlc = batch.nextHlc(current?.stamp.hlc);
  const deletedMs = hlcMs(hlc);
  const standsAt = nullSlot ? undefined : placeAbove(batch, request, expired);
  const { origin } = batch.operation(hlc, {
    kind: "object-delete",
    bucket,
    key,
    nullSlot,
    nullMarker,
    deletedMs,
    standsAt,
  });
  if (nullMarker) return deleted(existed, "null");
  return deleted(existed, nullSlot ? undefined : makeVersionId(standsAt ?? hlc, origin));
}

/**
 * Judges what a delete demands of its key. That is always said of the current version, also where
 * the request names another one, and a key that a delete marker hides is one that has changed.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
 */
function judgeDemands(
  view: RowReader,
  request: DeleteObjectRequest,
  current: ObjectRow | undefined,
): Refusal | undefined {
  const refusal = judgeConditions(request.conditions, current);
  if (refusal?.outcome !== "no-such-key" || newestVersion(view, request) === undefined) {
    return refusal;
  }
  return { outcome: "precondition-failed", condition: "If-Match" };
}

function deleted(existed: boolean, deleteMarker: VersionId | "null" | undefined): DeleteOutcome {
  return { outcome: "deleted", existed, deleteMarker, removedMarker: false, version: undefined };
}

/** Where the marker of an expired version stands, unless something was deleted from there. */
function placeAbove(batch: OpenBatch, name: KeyName, expired: Hlc | undefined): Hlc | undefined {
  const above = expired === undefined ? undefined : parseHlc(expired + 1n);
  if (above === undefined) return undefined;
  const id = { hlc: above, origin: batch.origin };
  return deletesOf(batch.context.view, name, id) === undefined ? above : undefined;
}

/** Removes one version for good; what was before it may become current again. */
function judgeVersionDelete(
  { clock }: StoreParts,
  batch: OpenBatch,
  request: DeleteObjectRequest & { readonly version: NonNullable<DeleteObjectRequest["version"]> },
): DeleteOutcome {
  const { bucket, key, version, bypassGovernance = false } = request;
  const { view } = batch.context;
  const found = namedVersion(view, request, version);
  const refusal =
    request.conditions === undefined
      ? undefined
      : judgeDemands(view, request, view.get(TABLES.object, objectKeyOf(bucket, key)));
  if (refusal !== undefined) return refusal;
  const done = { outcome: "deleted", deleteMarker: undefined, version } as const;
  if (found === undefined) return { ...done, existed: false, removedMarker: false };
  if (isKept(clock, found, bypassGovernance)) return { outcome: "locked" };
  const isForGood = version !== "null";
  if (isForGood && isDeleteAhead(batch, request, found)) return { outcome: "ahead-of-log" };
  const hlc = batch.nextHlc(found.row.stamp.hlc);
  batch.operation(hlc, deleteOf({ bucket, key, version }, hlcMs(hlc)));
  return { ...done, existed: true, removedMarker: found.kind === "marker" };
}

function deleteOf(
  { bucket, key, version }: Required<Pick<DeleteObjectRequest, "bucket" | "key" | "version">>,
  deletedMs: number,
): OperationBody {
  if (version !== "null") return { kind: "version-delete", bucket, key, version };
  const slot = { nullSlot: true, nullMarker: false } as const;
  return { kind: "object-delete", bucket, key, ...slot, deletedMs };
}

import { makeVersionId } from "../core/names.ts";
import { mayRetain } from "../core/object-lock-state.ts";
import type { ObjectChange } from "../core/records.ts";
import type { Clock } from "../ports/clock.ts";
import { isLockAhead } from "./ahead-of-log.ts";
import type { OpenBatch } from "./batch.ts";
import { judgeConditions } from "./conditions.ts";
import { historyOf } from "./metadata/apply-conflicts.ts";
import { type Located, newestVersion, writeIdOf } from "./metadata/key-versions.ts";
import type { ObjectRow } from "./metadata/object-row.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { ChangeObjectRequest, ChangeOutcome, RequestedChange } from "./store.ts";
import { findBucket, type StoreParts, toStoredObject } from "./store-parts.ts";
import { namedVersion } from "./versions.ts";

/** About what a change takes in the log beside its value; for bounds, not for counting. */
const RECORD_BYTES = 4096;

/**
 * Changes what is said about a version, judged against its lock in the commit. The last change of
 * each kind counts; its bytes, its ETag and its time of modification stay.
 *
 * @throws StorageFault "disk-full" or "busy" before anything is begun.
 */
export async function changeObject(
  parts: StoreParts,
  request: ChangeObjectRequest,
): Promise<ChangeOutcome> {
  parts.admission.admit(RECORD_BYTES);
  return parts.committer.submit<ChangeOutcome>(RECORD_BYTES, (batch) =>
    judgeChange(parts, batch, request),
  );
}

function judgeChange(
  { clock }: StoreParts,
  batch: OpenBatch,
  request: ChangeObjectRequest,
): ChangeOutcome {
  const { bucket, version } = request;
  const { view } = batch.context;
  const conflict = namedConflict(view, request);
  if (conflict === undefined && findBucket(view, bucket) === undefined) {
    return { outcome: "no-such-bucket" };
  }
  const found =
    version === undefined ? newestVersion(view, request) : namedVersion(view, request, version);
  return changeFound(clock, { batch, request, found: found ?? conflict });
}

type Found = {
  readonly batch: OpenBatch;
  readonly request: ChangeObjectRequest;
  readonly found: Located | undefined;
};

function changeFound(clock: Pick<Clock, "nowMs">, { batch, request, found }: Found): ChangeOutcome {
  const { bucket, key, version } = request;
  const { view } = batch.context;
  if (found === undefined) {
    return { outcome: version === undefined ? "no-such-key" : "no-such-version" };
  }
  const { stamp, nullSlot } = found.row;
  const id = makeVersionId(stamp.hlc, stamp.origin);
  if (found.kind === "marker") return { outcome: "delete-marker", version: id, isNull: nullSlot };
  const { writtenAs = id } = request;
  if (writtenAs !== id) return { outcome: "no-such-version" };
  const refusal = judgeConditions(request.conditions, found.row);
  if (refusal !== undefined) return refusal;
  if (!isAllowed(found.row, request.change, clock.nowMs())) return { outcome: "locked" };
  if (isLockAhead(batch, request, found, request.change)) return { outcome: "ahead-of-log" };
  const change = toChange(request.change);
  batch.operation(batch.nextHlc(stamp.hlc), {
    ...{ kind: "object-meta", bucket, key, version: id, nullSlot, change },
  });
  const after = namedConflict(view, request) ?? namedVersion(view, request, nullSlot ? "null" : id);
  const row = after?.kind === "object" ? after.row : found.row;
  return { outcome: "changed", object: toStoredObject(bucket, key, row) };
}

/**
 * The conflict with this id, whose encryption envelope may be changed. It has an id and no slot,
 * and may outlive its bucket.
 */
function namedConflict(
  view: RowReader,
  { bucket, key, version, change }: ChangeObjectRequest,
): Located | undefined {
  if (change.kind !== "encryption" || version === undefined || version === "null") return undefined;
  const history = historyOf(view, { bucket, key }, writeIdOf(version));
  if (history?.kind !== "conflict") return undefined;
  return { kind: "object", row: history.row, current: false };
}

function isAllowed({ object }: ObjectRow, change: RequestedChange, nowMs: number): boolean {
  if (change.kind !== "retention") return true;
  const before = object.lock?.retention;
  return mayRetain(before, change.retention, nowMs, change.bypassGovernance);
}

function toChange(change: RequestedChange): ObjectChange {
  return change.kind === "retention" ? { kind: "retention", retention: change.retention } : change;
}

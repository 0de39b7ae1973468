import { dueAction, type LifecycleRule } from "../../core/lifecycle.ts";
import { decodeLifecycle, LIFECYCLE_SETTING } from "../../core/lifecycle-codec.ts";
import { LIMITS } from "../../core/limits.ts";
import type { OpenBatch } from "../batch.ts";
import { judgeDelete } from "../delete-objects.ts";
import {
  type Located,
  newestVersion,
  nullVersion,
  sameWrite,
  versionById,
  versionKeyOf,
  versionsEnd,
  writeIdOf,
} from "../metadata/key-versions.ts";
import type { IndexView } from "../metadata/view.ts";
import { findBucket, type StoreParts } from "../store-parts.ts";
import type { ExpireOutcome, ExpireRequest } from "./expire-request.ts";

/** About what the delete of a version takes in the log. */
const RECORD_BYTES = 1024;
const CHANGED: ExpireOutcome = { outcome: "changed" };

/**
 * Removes, or puts delete markers on, versions that a lifecycle has found due, in one commit. Each
 * is looked at again there: what was written, undeleted, tagged or locked since, or has other
 * rules by now, stays.
 *
 * @throws LayoutError when the rules cannot be read; StorageFault "busy" when too much waits.
 */
export async function expireVersions(
  parts: StoreParts,
  requests: readonly ExpireRequest[],
): Promise<ExpireOutcome[]> {
  // Whatever can fail does so before the first record is in the batch.
  const rules = requests.map(({ setting }) => decodeLifecycle(setting).rules);
  parts.admission.admitSmall();
  const bytes = Math.min(requests.length * RECORD_BYTES, LIMITS.batchBytesMaxBuffered);
  return parts.committer.submit(bytes, (batch) =>
    requests.map((request, index) =>
      judgeExpiry(parts, batch, { ...request, rules: rules[index] ?? [] }),
    ),
  );
}

type Judged = ExpireRequest & { readonly rules: readonly LifecycleRule[] };

function judgeExpiry(parts: StoreParts, batch: OpenBatch, request: Judged): ExpireOutcome {
  const { bucket, key, version, isNull, action } = request;
  const { view } = batch.context;
  const setting = findBucket(view, bucket)?.settings.get(LIFECYCLE_SETTING);
  if (setting === undefined || Buffer.compare(setting, request.setting) !== 0) return CHANGED;
  const id = writeIdOf(version);
  const found = isNull ? nullVersion(view, request) : versionById(view, request, id);
  if (found === undefined || !sameWrite(found.row.stamp, id)) return CHANGED;
  if (!isStillDue(view, request, found)) return CHANGED;
  const outcome =
    action === "expire"
      ? judgeDelete(parts, batch, { bucket, key }, found.row.stamp.hlc)
      : judgeDelete(parts, batch, { bucket, key, version: isNull ? "null" : version });
  if (outcome.outcome === "deleted") return { outcome: "expired" };
  return outcome.outcome === "locked" ? { outcome: "locked" } : CHANGED;
}

/** What may have changed since the walk: which version is current, and the tags of that one. */
function isStillDue(view: IndexView, request: Judged, found: Located): boolean {
  const newest = newestVersion(view, request);
  const isNewest = newest !== undefined && sameWrite(newest.row.stamp, found.row.stamp);
  if (isNewest !== request.isLatest) return false;
  if (!isNewest) return request.action === "remove";
  const { key } = request;
  if (found.kind === "object") {
    const { size, attributes, lastModifiedMs: madeMs } = found.row.object;
    const what = { kind: "object", size, tags: attributes.tags } as const;
    const standing = { kind: "current", madeMs, alone: false } as const;
    const due = dueAction(request.rules, { key, version: what, standing });
    return due !== undefined && due.action === request.action && due.dueMs <= request.nowMs;
  }
  const end = versionsEnd(request);
  const behind = view.firstVersion(`${versionKeyOf(request, found.row.stamp)}\0`, end);
  return request.action === "remove" && behind === undefined;
}

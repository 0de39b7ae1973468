import { hlcMs } from "../core/hlc.ts";
import type { Operation } from "../core/records.ts";
import type { OpenBatch } from "./batch.ts";
import { hasConflicts } from "./metadata/judge-conflicts.ts";
import { BOOTSTRAP_KEY } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import { tombstoneOf } from "./metadata/version-places.ts";
import type { NewConflict } from "./new-conflicts.ts";
import type { StoreParts } from "./store-parts.ts";

/**
 * From what part of its time on a tombstone may have been dropped at a member whose clock is ahead
 * of ours. Saying one again that is still everywhere costs an operation, and changes nothing.
 */
const OLD_SHARE = 1 / 2;

/**
 * Looks at the key of an operation of another site, now that it has been applied: a delete that
 * other members may have forgotten by now is said again where a write that did not know of it has
 * become a conflict. To members without its mark that write is the only one of its key, and they
 * show it. It is rare that a write comes so late: it was made at a site that was alone, and has
 * joined since.
 *
 * @param conflicts those that the operation has made.
 */
export function sayDeleteAgain(
  batch: OpenBatch,
  { clock, timeBounds, mayStamp }: Pick<StoreParts, "clock" | "timeBounds" | "mayStamp">,
  { body }: Operation,
  conflicts: readonly NewConflict[],
): void {
  const isDelete = body.kind === "object-delete" && body.nullSlot;
  if (!("key" in body) || (conflicts.length === 0 && !isDelete)) return;
  const { view } = batch.context;
  const tombstone = tombstoneOf(view, body);
  if (tombstone === undefined) return;
  if (clock.nowMs() - tombstone.deletedMs < timeBounds.historyMs * OLD_SHARE) return;
  if (!hasConflicts(view, body)) return;
  // Rows of another site are being taken over, and this one knows too little to say anything.
  const underWay = view.get(TABLES.bootstrap, BOOTSTRAP_KEY)?.record;
  if (!mayStamp() || (underWay !== undefined && underWay.merges !== true)) return;
  const { bucket, key } = body;
  const hlc = batch.nextHlc(tombstone.stamp.hlc);
  const slot = { nullSlot: true, nullMarker: false, standsAt: tombstone.stamp.hlc };
  batch.operation(hlc, { kind: "object-delete", bucket, key, ...slot, deletedMs: hlcMs(hlc) });
}

import { hasSeen } from "../core/causality.ts";
import type { BucketName } from "../core/names.ts";
import type { OpenBatch } from "./batch.ts";
import { type KeyName, type Located, metaKeyOf } from "./metadata/key-versions.ts";
import { isLocking, type LockChange, unseenLocks } from "./metadata/lock-changes.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RequestedChange } from "./store.ts";

/*
 * Rows of another site come ahead of its log. A change whose outcome rests on what its site had
 * received does not count against such a row: said now, it would be acknowledged and have no
 * effect, here or elsewhere. It is refused as "ahead-of-log" until the log has come.
 */

/** Whether a delete of this bucket would leave it, for its creation is only here as a row. */
export function isBucketAhead(
  { context: { view }, isApplied }: OpenBatch,
  name: BucketName,
): boolean {
  const row = view.get(TABLES.bucket, name);
  if (row === undefined) return false;
  const { creations, deletions } = row;
  return creations.some((creation) => {
    return !isApplied(creation) && !deletions.some((deletion) => hasSeen(deletion, creation));
  });
}

/** Whether a delete of this version would be void, for a lock on it is only here as a row. */
export function isDeleteAhead(batch: OpenBatch, name: KeyName, found: Located): boolean {
  return locksOf(batch, name, found).some((one) => isAhead(batch, one));
}

/** Whether a change of this kind would not end a lock that is only here as a row. */
export function isLockAhead(
  batch: OpenBatch,
  name: KeyName,
  found: Located,
  { kind }: RequestedChange,
): boolean {
  if (kind !== "retention" && kind !== "legal-hold") return false;
  return unseenLocks(locksOf(batch, name, found), kind).some((one) => isAhead(batch, one));
}

function isAhead({ isApplied }: OpenBatch, lock: LockChange): boolean {
  return isLocking(lock) && !isApplied(lock.stamp);
}

function locksOf(
  { context: { view } }: OpenBatch,
  name: KeyName,
  { row: { stamp, nullSlot } }: Located,
): readonly LockChange[] {
  if ((view.get(TABLES.usage, name.bucket)?.metas ?? 0) === 0) return [];
  return view.get(TABLES.meta, metaKeyOf(name, stamp, nullSlot))?.locks ?? [];
}

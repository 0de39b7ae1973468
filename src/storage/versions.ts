import { VERSIONING_SETTING, type Versioning, versioningOf } from "../core/bucket-versioning.ts";
import { type BucketName, makeVersionId, type VersionId } from "../core/names.ts";
import { isLocked } from "../core/object-lock-state.ts";
import type { Clock } from "../ports/clock.ts";
import {
  type KeyName,
  type Located,
  newestVersion,
  nullVersion,
  sameWrite,
  versionById,
  writeIdOf,
} from "./metadata/key-versions.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { Refusal, StoredVersion } from "./store.ts";
import { toStoredObject } from "./store-parts.ts";

/** What a bucket's versioning is now; read in the commit, so that no write slips past a change. */
export function versioningIn(view: RowReader, bucket: BucketName): Versioning {
  return versioningOf(view.get(TABLES.bucket, bucket)?.settings.get(VERSIONING_SETTING)?.value);
}

/** Whether a write of this bucket takes the place of the key's null version. */
export function isNullSlotWrite(view: RowReader, bucket: BucketName): boolean {
  return versioningIn(view, bucket) !== "enabled";
}

/** A version under retention or legal hold is not overwritten. */
export function judgeOverwrite(clock: Clock, view: RowReader, name: KeyName): Refusal | undefined {
  const before = nullVersion(view, name);
  return before !== undefined && isKept(clock, before, false) ? { outcome: "locked" } : undefined;
}

/** Whether its lock keeps a version from being deleted now. */
export function isKept(clock: Clock, { kind, row }: Located, bypass: boolean): boolean {
  if (kind === "marker" || row.object.lock === undefined) return false;
  return isLocked(row.object.lock, clock.nowMs(), bypass);
}

/** The version that a request names; undefined when there is none. */
export function namedVersion(
  view: RowReader,
  name: KeyName,
  id: VersionId | "null",
): Located | undefined {
  return id === "null" ? nullVersion(view, name) : versionById(view, name, writeIdOf(id));
}

/** The newest version of a key as its users see it. */
export function findCurrentVersion(view: RowReader, name: KeyName): StoredVersion | undefined {
  const found = newestVersion(view, name);
  return found === undefined ? undefined : toStoredVersion(name, found, true);
}

/** One version of a key as its users see it. */
export function findVersion(
  view: RowReader,
  name: KeyName,
  id: VersionId | "null",
): StoredVersion | undefined {
  const found = namedVersion(view, name, id);
  if (found === undefined) return undefined;
  const newest = found.current ? found : newestVersion(view, name);
  const isLatest = newest !== undefined && sameWrite(newest.row.stamp, found.row.stamp);
  return toStoredVersion(name, found, isLatest);
}

/** A version's row as its users see it. A page of versions makes a thousand of them. */
export function toStoredVersion(
  { bucket, key }: KeyName,
  found: Located,
  isLatest: boolean,
): StoredVersion {
  if (found.kind === "object") {
    const object = toStoredObject(bucket, key, found.row);
    const { version, hlc, isNull } = object;
    return { kind: "object", bucket, key, version, hlc, isNull, isLatest, object };
  }
  const { stamp, nullSlot: isNull, deletedMs } = found.row;
  const version = makeVersionId(stamp.hlc, stamp.origin);
  const { hlc } = stamp;
  return { kind: "delete-marker", bucket, key, version, hlc, isNull, isLatest, deletedMs };
}

import { retireObject } from "./apply-conflicts.ts";
import type { ApplyContext } from "./apply-context.ts";
import { putChanges } from "./change-rows.ts";
import {
  hasVersions,
  isNewest,
  type KeyName,
  type Located,
  newestVersion,
  sameWrite,
  versionById,
  versionKeyOf,
  versionsEnd,
  type WriteId,
} from "./key-versions.ts";
import { objectKeyOf } from "./keys.ts";
import { releaseObject } from "./object-holds.ts";
import { TABLES } from "./rows.ts";
import type { Stamp } from "./stamp.ts";
import type { TombstoneRow } from "./tombstone-row.ts";
import { addUsage } from "./usage.ts";
import type { VersionRow } from "./version-rows.ts";
import type { IndexView } from "./view.ts";

/** The tombstone in the null slot of a key. Nothing is looked up in a bucket without any. */
export function tombstoneOf(view: IndexView, { bucket, key }: KeyName): TombstoneRow | undefined {
  if ((view.get(TABLES.usage, bucket)?.tombstones ?? 0) === 0) return undefined;
  return view.get(TABLES.tombstone, objectKeyOf(bucket, key));
}

/** Removes the tombstone of a null slot, if there is one. */
export function removeTombstone(context: ApplyContext, name: KeyName): void {
  const { view, references } = context;
  const tombstone = tombstoneOf(view, name);
  if (tombstone === undefined) return;
  view.remove(TABLES.tombstone, objectKeyOf(name.bucket, name.key));
  references.addLive(tombstone.home, -1, 0);
  addUsage(view, name, { tombstones: -1 });
}

/** Puts a version into its table: as the current object, or among the others. */
export function placeVersion(view: IndexView, name: KeyName, version: VersionRow): void {
  const newest = newestVersion(view, name);
  const first = isNewest(newest, version.row.stamp);
  if (first && newest?.current === true) demote(view, name, newest);
  const bytes = version.kind === "object" ? version.row.object.size : 0;
  if (first && version.kind === "object") {
    view.put(TABLES.object, objectKeyOf(name.bucket, name.key), version.row);
    addUsage(view, name, { objects: 1, bytes });
  } else {
    putOlder(view, name, version);
    addUsage(view, name, { bytes, ...countOf(version, 1) });
  }
}

function countOf(
  { kind }: VersionRow,
  by: number,
): { readonly noncurrent: number } | { readonly markers: number } {
  return kind === "object" ? { noncurrent: by } : { markers: by };
}

function putOlder(view: IndexView, name: KeyName, { kind, row }: VersionRow): void {
  const version: VersionRow = kind === "object" ? { kind, row } : { kind, row };
  view.put(TABLES.version, versionKeyOf(name, row.stamp), version);
  if (!row.nullSlot) return;
  view.put(TABLES.nullVersion, objectKeyOf(name.bucket, name.key), { stamp: row.stamp });
}

function removeOlder(view: IndexView, name: KeyName, { row }: VersionRow): void {
  view.remove(TABLES.version, versionKeyOf(name, row.stamp));
  if (row.nullSlot) view.remove(TABLES.nullVersion, objectKeyOf(name.bucket, name.key));
}

/** The current object becomes an older version. */
function demote(view: IndexView, name: KeyName, current: Located): void {
  view.remove(TABLES.object, objectKeyOf(name.bucket, name.key));
  putOlder(view, name, current);
  addUsage(view, name, { objects: -1, noncurrent: 1 });
}

/** Removes a version; the one before it becomes current, when it is an object. */
export function removeVersion(context: ApplyContext, name: KeyName, found: Located): void {
  const { view, references } = context;
  const { stamp, nullSlot, home } = found.row;
  const newest = found.current ? found : newestVersion(view, name);
  if (found.kind === "marker") references.addLive(home, -1, 0);
  else if (nullSlot) retireObject(context, name, found.row);
  else releaseObject(context, found.row);
  const bytes = found.kind === "object" ? -found.row.object.size : 0;
  if (found.current) {
    view.remove(TABLES.object, objectKeyOf(name.bucket, name.key));
    addUsage(view, name, { bytes, objects: -1 });
  } else {
    removeOlder(view, name, found);
    addUsage(view, name, { bytes, ...countOf(found, -1) });
  }
  // Changes of a null version are removed by the write that replaces it, which clears the slot.
  if (!nullSlot) putChanges(context, name, versionKeyOf(name, stamp), undefined);
  if (newest !== undefined && sameWrite(newest.row.stamp, stamp)) promote(view, name, stamp);
}

/** Removes a version of its own, and what was said about it, also where it is not there itself. */
export function removeVersionOf(context: ApplyContext, name: KeyName, id: WriteId): void {
  const found = versionById(context.view, name, id);
  if (found !== undefined) removeVersion(context, name, found);
  else putChanges(context, name, versionKeyOf(name, id), undefined);
}

/** The newest version behind a removed one becomes current, unless it is a delete marker. */
function promote(view: IndexView, name: KeyName, removed: Stamp): void {
  if (!hasVersions(view.get(TABLES.usage, name.bucket))) return;
  const next = view.firstVersion(versionKeyOf(name, removed), versionsEnd(name));
  if (next?.kind !== "object") return;
  removeOlder(view, name, next);
  view.put(TABLES.object, objectKeyOf(name.bucket, name.key), next.row);
  addUsage(view, name, { objects: 1, noncurrent: -1 });
}

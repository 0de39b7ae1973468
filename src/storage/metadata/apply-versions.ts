import { laterStamp } from "../../core/lww.ts";
import { changeConflict, loseObject, retireObject } from "./apply-conflicts.ts";
import type { ApplyContext } from "./apply-context.ts";
import {
  isNewest,
  type KeyName,
  type Located,
  metaKeyOf,
  newestVersion,
  nullVersion,
  sameWrite,
  versionById,
  versionKeyOf,
  versionsEnd,
  type WriteId,
} from "./key-versions.ts";
import { objectKeyOf } from "./keys.ts";
import { type Aspect, aspectsOf, changedRecord, joinMeta } from "./meta-rows.ts";
import { holdObject, releaseObject } from "./object-holds.ts";
import { TABLES } from "./rows.ts";
import type { Stamp } from "./stamp.ts";
import { addUsage } from "./usage.ts";
import type { VersionRow } from "./version-rows.ts";
import type { IndexView } from "./view.ts";

/*
 * A key has a set of versions, which only grows but for deletes of single versions, and a null
 * slot, in which the later write stands. What stands in the object table is the newest of all of
 * them, when it is an object; every other one stands in the version table. So rows follow from the
 * set of operations and not from the order in which they came.
 */

/** Puts a version where it belongs; in the null slot, in place of an earlier write. */
export function addVersion(context: ApplyContext, name: KeyName, version: VersionRow): void {
  const { view, references } = context;
  const { stamp, nullSlot, home } = version.row;
  if (nullSlot ? !winsNullSlot(context, name, stamp) : !isNew(context, name, stamp)) {
    moveSame(context, name, version);
    return;
  }
  const changed = withMeta(view, name, version);
  // What a write takes the place of may hold the same chunks: they are counted before they go.
  if (changed.kind === "object") holdObject(context, changed.row);
  else references.addLive(home, 1, 0);
  if (nullSlot) clearNullSlot(context, name, stamp);
  place(view, name, changed);
}

/** A version that is written once more, with its bytes: they are read from the new place since. */
function moveSame(context: ApplyContext, name: KeyName, version: VersionRow): void {
  const { view } = context;
  const { stamp, nullSlot } = version.row;
  const found = nullSlot ? nullVersion(view, name) : versionById(view, name, stamp);
  if (version.kind !== "object") return;
  if (found?.kind !== "object" || !sameWrite(found.row.stamp, stamp)) {
    if (nullSlot) loseObject(context, name, version.row);
    return;
  }
  const row = { ...found.row, home: version.row.home, place: version.row.place };
  holdObject(context, row);
  releaseObject(context, found.row);
  if (found.current) view.put(TABLES.object, objectKeyOf(name.bucket, name.key), row);
  else view.put(TABLES.version, versionKeyOf(name, stamp), { kind: "object", row });
}

function isNew({ view }: ApplyContext, name: KeyName, stamp: Stamp): boolean {
  const voided = (view.get(TABLES.usage, name.bucket)?.voided ?? 0) > 0;
  if (voided && view.get(TABLES.voided, versionKeyOf(name, stamp)) !== undefined) return false;
  return versionById(view, name, stamp) === undefined;
}

/** Whether a write is later than what stands in the null slot, and than what emptied it. */
export function winsNullSlot({ view }: ApplyContext, name: KeyName, stamp: Stamp): boolean {
  const before = nullVersion(view, name);
  if (before !== undefined) return laterStamp(stamp, before.row.stamp);
  const tombstone = tombstoneOf(view, name);
  return tombstone === undefined || !laterStamp(tombstone.stamp, stamp);
}

/** Takes out what stands in the null slot, and what was said of it, for a write at `stamp`. */
export function clearNullSlot(context: ApplyContext, name: KeyName, stamp: Stamp): void {
  const before = nullVersion(context.view, name);
  if (before === undefined) removeTombstone(context, name);
  else removeVersion(context, name, before);
  dropNullMeta(context, name, stamp);
}

/** What emptied the null slot of a key; a bucket without any is not asked. */
export function tombstoneOf(
  view: IndexView,
  { bucket, key }: KeyName,
): { readonly stamp: Stamp; readonly home: number } | undefined {
  if ((view.get(TABLES.usage, bucket)?.tombstones ?? 0) === 0) return undefined;
  return view.get(TABLES.tombstone, objectKeyOf(bucket, key));
}

/** Takes back what emptied the null slot, when anything did. */
export function removeTombstone(context: ApplyContext, name: KeyName): void {
  const { view, references } = context;
  const tombstone = tombstoneOf(view, name);
  if (tombstone === undefined) return;
  view.remove(TABLES.tombstone, objectKeyOf(name.bucket, name.key));
  references.addLive(tombstone.home, -1, 0);
  addUsage(view, name, { tombstones: -1 });
}

/** Removes a version for good; one that comes later than its delete is nothing. */
export function voidVersion(
  context: ApplyContext,
  name: KeyName,
  { id, stamp, home }: { readonly id: WriteId; readonly stamp: Stamp; readonly home: number },
): void {
  const { view, references } = context;
  const key = versionKeyOf(name, id);
  const before = view.get(TABLES.voided, key);
  if (before !== undefined && !laterStamp(stamp, before.stamp)) return;
  if (before !== undefined) references.addLive(before.home, -1, 0);
  else addUsage(view, name, { voided: 1 });
  view.put(TABLES.voided, key, { stamp, home });
  references.addLive(home, 1, 0);
  const found = versionById(view, name, id);
  if (found !== undefined) removeVersion(context, name, found);
  else dropMeta(context, name, metaKeyOf(name, id, false));
}

/** Applies a change to a version, or keeps it for one that has not arrived. */
export function changeVersion(
  context: ApplyContext,
  name: KeyName,
  { id, nullSlot, aspect }: { id: WriteId; nullSlot: boolean; aspect: Aspect },
): void {
  const { view, references } = context;
  if (changeConflict(context, name, id, aspect)) return;
  const found = nullSlot ? nullVersion(view, name) : versionById(view, name, id);
  if (found === undefined && isGone(context, name, { id, nullSlot })) return;
  // The null slot holds a later write already: what is said about an earlier one is past.
  if (found !== undefined && laterStamp(found.row.stamp, id)) return;
  const key = metaKeyOf(name, id, nullSlot);
  const known = view.get(TABLES.meta, key);
  if (known !== undefined && laterStamp(known.target, id)) return;
  const before = known !== undefined && sameWrite(known.target, id) ? known : undefined;
  const after = joinMeta(before ?? { target: { hlc: id.hlc, origin: id.origin } }, aspect);
  for (const { home } of aspectsOf(after)) references.addLive(home, 1, 0);
  for (const { home } of known === undefined ? [] : aspectsOf(known)) {
    references.addLive(home, -1, 0);
  }
  if (known === undefined) addUsage(view, name, { metas: 1 });
  view.put(TABLES.meta, key, after);
  if (found?.kind !== "object" || !sameWrite(found.row.stamp, id)) return;
  const row = { ...found.row, object: changedRecord(found.row.object, after) };
  if (found.current) view.put(TABLES.object, objectKeyOf(name.bucket, name.key), row);
  else view.put(TABLES.version, versionKeyOf(name, id), { kind: "object", row });
}

/** Whether a version that is not there will not come any more. */
function isGone(
  { view }: ApplyContext,
  name: KeyName,
  { id, nullSlot }: { id: WriteId; nullSlot: boolean },
): boolean {
  if (!nullSlot) return view.get(TABLES.voided, versionKeyOf(name, id)) !== undefined;
  const tombstone = view.get(TABLES.tombstone, objectKeyOf(name.bucket, name.key));
  return tombstone !== undefined && laterStamp(tombstone.stamp, id);
}

/** The version with the changes that came before it. */
export function withMeta(view: IndexView, name: KeyName, version: VersionRow): VersionRow {
  if (version.kind === "marker") return version;
  if ((view.get(TABLES.usage, name.bucket)?.metas ?? 0) === 0) return version;
  const { stamp, nullSlot, object } = version.row;
  const meta = view.get(TABLES.meta, metaKeyOf(name, stamp, nullSlot));
  if (meta === undefined || !sameWrite(meta.target, stamp)) return version;
  return { kind: "object", row: { ...version.row, object: changedRecord(object, meta) } };
}

/** Forgets changes of null versions that were written before `stamp`. */
export function dropNullMeta(context: ApplyContext, name: KeyName, stamp: Stamp): void {
  const { view } = context;
  if ((view.get(TABLES.usage, name.bucket)?.metas ?? 0) === 0) return;
  const key = metaKeyOf(name, stamp, true);
  const meta = view.get(TABLES.meta, key);
  if (meta !== undefined && laterStamp(stamp, meta.target)) dropMeta(context, name, key);
}

function dropMeta({ view, references }: ApplyContext, name: KeyName, key: string): void {
  if ((view.get(TABLES.usage, name.bucket)?.metas ?? 0) === 0) return;
  const meta = view.get(TABLES.meta, key);
  if (meta === undefined) return;
  view.remove(TABLES.meta, key);
  for (const { home } of aspectsOf(meta)) references.addLive(home, -1, 0);
  addUsage(view, name, { metas: -1 });
}

/** Stands a version in its table: as the current object, or among the others. */
function place(view: IndexView, name: KeyName, version: VersionRow): void {
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

/** Takes a version away; the one before it becomes current, when it is an object. */
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
  // Changes of a null version go with the write that takes its place, which clears the slot.
  if (!nullSlot) dropMeta(context, name, metaKeyOf(name, stamp, false));
  if (newest !== undefined && sameWrite(newest.row.stamp, stamp)) promote(view, name, stamp);
}

/** The newest version behind a removed one becomes current, unless it is a delete marker. */
function promote(view: IndexView, name: KeyName, removed: Stamp): void {
  const next = view.firstVersion(versionKeyOf(name, removed), versionsEnd(name));
  if (next?.kind !== "object") return;
  removeOlder(view, name, next);
  view.put(TABLES.object, objectKeyOf(name.bucket, name.key), next.row);
  addUsage(view, name, { objects: 1, noncurrent: -1 });
}

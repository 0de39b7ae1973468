import { laterStamp } from "../../core/lww.ts";
import { changeConflict, loseObject, loseWrite, mayBeConflict } from "./apply-conflicts.ts";
import type { ApplyContext } from "./apply-context.ts";
import { changeDeleted, isVoided } from "./apply-deletes.ts";
import {
  addNullChange,
  changesAt,
  dropNullChanges,
  nullChangesOf,
  putChanges,
} from "./change-rows.ts";
import {
  type KeyName,
  type Located,
  nullVersion,
  sameWrite,
  versionById,
  versionKeyOf,
  type WriteId,
} from "./key-versions.ts";
import { objectKeyOf } from "./keys.ts";
import { type Aspect, changedRecord, joinMeta, type MetaRow, noChanges } from "./meta-rows.ts";
import { holdObject, releaseObject } from "./object-holds.ts";
import { TABLES } from "./rows.ts";
import type { Stamp } from "./stamp.ts";
import { placeVersion, removeTombstone, removeVersion, tombstoneOf } from "./version-places.ts";
import type { VersionRow } from "./version-rows.ts";
import type { IndexView } from "./view.ts";

/*
 * A key has a set of versions, which only grows but for deletes of single versions, and a null
 * slot, in which the later write stands. What stands in the object table is the newest of all of
 * them, when it is an object; every other one stands in the version table. So rows follow from the
 * set of operations and not from the order in which they came.
 */

/** Puts a version where it belongs: in the null slot it replaces an earlier write. */
export function addVersion(context: ApplyContext, name: KeyName, version: VersionRow): void {
  const { view, references } = context;
  const { stamp, nullSlot, home } = version.row;
  if (nullSlot ? !winsNullSlot(context, name, stamp) : !isNew(context, name, version)) {
    moveSame(context, name, version);
    return;
  }
  const changed = withMeta(view, name, version);
  // The replaced write may hold the same chunks, so they are counted for the new one first.
  if (changed.kind === "object") holdObject(context, changed.row);
  else references.addLive(home, 1, 0);
  if (nullSlot) clearNullSlot(context, name, stamp);
  placeVersion(view, name, changed);
}

/**
 * Handles a version that is written again with its bytes: from now on they are read from the new
 * place.
 */
function moveSame(context: ApplyContext, name: KeyName, version: VersionRow): void {
  const { view } = context;
  const { stamp, nullSlot } = version.row;
  const found = nullSlot ? nullVersion(view, name) : versionById(view, name, stamp);
  if (version.kind !== "object") {
    if (nullSlot) loseWrite(context, name, version.row);
    return;
  }
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

function isNew(context: ApplyContext, name: KeyName, version: VersionRow): boolean {
  if (versionById(context.view, name, version.row.stamp) !== undefined) return false;
  return !isVoided(context, name, version);
}

/** Whether a write is later than the one in the null slot, and than the one that emptied it. */
export function winsNullSlot({ view }: ApplyContext, name: KeyName, stamp: Stamp): boolean {
  const before = nullVersion(view, name);
  if (before !== undefined) return laterStamp(stamp, before.row.stamp);
  const tombstone = tombstoneOf(view, name);
  return tombstone === undefined || !laterStamp(tombstone.stamp, stamp);
}

/** Empties the null slot, with the changes of its write, for a write at `stamp`. */
export function clearNullSlot(context: ApplyContext, name: KeyName, stamp: Stamp): void {
  const before = nullVersion(context.view, name);
  if (before === undefined) removeTombstone(context, name);
  else removeVersion(context, name, before);
  dropNullMeta(context, name, stamp);
}

/** Applies a change to a version, or keeps it for one that has not arrived. */
export function changeVersion(
  context: ApplyContext,
  name: KeyName,
  { id, nullSlot, aspect }: { id: WriteId; nullSlot: boolean; aspect: Aspect },
): void {
  if (changeConflict(context, name, id, aspect)) return;
  if (nullSlot) {
    changeNull(context, name, id, aspect);
    return;
  }
  if (changeDeleted(context, name, id, aspect)) return;
  const { view } = context;
  const key = versionKeyOf(name, id);
  const after = joinMeta(changesAt(view, name, key) ?? noChanges(id), aspect);
  putChanges(context, name, key, after);
  changeFound(view, name, versionById(view, name, id), after);
}

function changeNull(context: ApplyContext, name: KeyName, id: WriteId, aspect: Aspect): void {
  const { view } = context;
  const found = nullVersion(view, name);
  const inSlot = found?.row.stamp ?? tombstoneOf(view, name)?.stamp;
  // The null slot holds a later write already, so changes of an earlier one do not matter.
  if (inSlot !== undefined && laterStamp(inSlot, id)) return;
  changeFound(view, name, found, addNullChange(context, name, id, aspect));
}

/** Puts a version that exists with its changes applied. */
function changeFound(
  view: IndexView,
  name: KeyName,
  found: Located | undefined,
  changes: MetaRow,
): void {
  if (found?.kind !== "object" || !sameWrite(found.row.stamp, changes.target)) return;
  const row = { ...found.row, object: changedRecord(found.row.object, changes) };
  if (found.current) view.put(TABLES.object, objectKeyOf(name.bucket, name.key), row);
  else view.put(TABLES.version, versionKeyOf(name, changes.target), { kind: "object", row });
}

/** The version with the changes that arrived before it. */
export function withMeta(view: IndexView, name: KeyName, version: VersionRow): VersionRow {
  if (version.kind === "marker") return version;
  const { stamp, nullSlot, object } = version.row;
  const meta = nullSlot
    ? nullChangesOf(view, name, stamp)
    : changesAt(view, name, versionKeyOf(name, stamp));
  if (meta === undefined) return version;
  return { kind: "object", row: { ...version.row, object: changedRecord(object, meta) } };
}

/** Forgets changes of null versions that were written before `stamp`, unless of conflicts. */
export function dropNullMeta(context: ApplyContext, name: KeyName, stamp: WriteId): void {
  dropNullChanges(
    context,
    name,
    (id) => laterStamp(stamp, id) && !mayBeConflict(context.view, name, id),
  );
}

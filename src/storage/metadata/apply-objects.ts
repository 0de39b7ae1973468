import { NOTHING_SEEN } from "../../core/causality.ts";
import { laterStamp } from "../../core/lww.ts";
import type { Vector } from "../../core/records.ts";
import { applyConflictRow, loseObject, loseWrite, retireObject } from "./apply-conflicts.ts";
import type { ApplyContext, Input } from "./apply-context.ts";
import { voidVersion } from "./apply-deletes.ts";
import {
  addVersion,
  changeVersion,
  clearNullSlot,
  dropNullMeta,
  winsNullSlot,
  withMeta,
} from "./apply-versions.ts";
import { addExpiryMarker } from "./expiry-markers.ts";
import { hasVersions, type KeyName, sameWrite, writeIdOf } from "./key-versions.ts";
import { objectKeyOf } from "./keys.ts";
import { holdObject, releaseObject } from "./object-holds.ts";
import type { ObjectRow } from "./object-row.ts";
import { TABLES } from "./rows.ts";
import type { Stamp } from "./stamp.ts";
import { addUsage } from "./usage.ts";
import { removeTombstone, tombstoneOf } from "./version-places.ts";

/** Puts an object; one that lost to a later write of the same slot changes nothing. */
export function applyObjectPut(
  context: ApplyContext,
  { stamp, place, body }: Input<"object-put">,
): void {
  const { view } = context;
  const { nullSlot, object } = body;
  const key = objectKeyOf(body.bucket, body.key);
  const before = view.get(TABLES.object, key);
  const row: ObjectRow = { stamp, home: place.home, nullSlot, place: place.body, object };
  if (body.conflict === true) {
    applyConflictRow(context, body, row);
    return;
  }
  if (!nullSlot || !isPlain(context, body, before)) {
    addVersion(context, body, { kind: "object", row });
    return;
  }
  if (before === undefined) {
    const tombstone = tombstoneOf(view, body);
    if (tombstone !== undefined && laterStamp(tombstone.stamp, stamp)) {
      loseObject(context, body, row);
      return;
    }
    removeTombstone(context, body);
  } else if (laterStamp(before.stamp, stamp)) {
    loseObject(context, body, row);
    return;
  }
  const changed = withMeta(view, body, { kind: "object", row });
  const next = changed.kind === "object" ? changed.row : row;
  holdObject(context, next);
  if (before !== undefined && sameWrite(before.stamp, stamp)) releaseObject(context, before);
  else if (before !== undefined) retireObject(context, body, before);
  dropNullMeta(context, body, stamp);
  view.put(TABLES.object, key, next);
  addUsage(view, body, {
    objects: before === undefined ? 1 : 0,
    bytes: object.size - (before?.object.size ?? 0),
  });
}

/** Whether the null slot is all there is of a key: so it is in buckets without versions. */
function isPlain(
  { view }: ApplyContext,
  { bucket }: KeyName,
  before: ObjectRow | undefined,
): boolean {
  if (before?.nullSlot === false) return false;
  return !hasVersions(view.get(TABLES.usage, bucket));
}

/** Deletes: a marker on top of the versions, a marker in the null slot, or nothing in it. */
export function applyObjectDelete(
  context: ApplyContext,
  { stamp, place, body }: Input<"object-delete">,
): void {
  const { nullSlot, nullMarker, deletedMs } = body;
  const { home } = place;
  if (!nullSlot && body.standsAt !== undefined) {
    addExpiryMarker(context, body, { stamp, home, nullSlot, deletedMs });
    return;
  }
  if (!nullSlot || nullMarker) {
    addVersion(context, body, { kind: "marker", row: { stamp, home, nullSlot, deletedMs } });
    return;
  }
  if (!winsNullSlot(context, body, stamp)) {
    loseWrite(context, body, { stamp, home });
    return;
  }
  clearNullSlot(context, body, stamp);
  putTombstone(context, body, { stamp, home, deletedMs });
}

function putTombstone(
  { view, references }: ApplyContext,
  name: KeyName,
  row: { readonly stamp: Stamp; readonly home: number; readonly deletedMs: number },
): void {
  view.put(TABLES.tombstone, objectKeyOf(name.bucket, name.key), row);
  references.addLive(row.home, 1, 0);
  addUsage(view, name, { tombstones: 1 });
}

/** Removes one version for good. */
export function applyVersionDelete(
  context: ApplyContext,
  { stamp, place, body }: Input<"version-delete">,
  seen: Vector = NOTHING_SEEN,
): void {
  const next = { ...stamp, home: place.home, vector: seen };
  voidVersion(context, body, writeIdOf(body.version), next);
}

/** Changes what is said about a version. */
export function applyObjectMeta(
  context: ApplyContext,
  { stamp, place, body }: Input<"object-meta">,
  vector: Vector | undefined,
): void {
  const { nullSlot, change } = body;
  const aspect = { stamp, home: place.home, change, vector };
  changeVersion(context, body, { id: writeIdOf(body.version), nullSlot, aspect });
}

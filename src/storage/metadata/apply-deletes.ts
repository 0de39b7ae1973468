import type { DeletesRecord } from "../../core/records.ts";
import type { ApplyContext } from "./apply-context.ts";
import { bury } from "./graves.ts";
import {
  type KeyName,
  metaKeyOf,
  versionById,
  versionKeyOf,
  type WriteId,
  writeIdOf,
} from "./key-versions.ts";
import { type Aspect, aspectsOf, changedRecord, joinMeta, type MetaRow } from "./meta-rows.ts";
import { holdObject, releaseObject } from "./object-holds.ts";
import { TABLES } from "./rows.ts";
import type { RowReader } from "./stored-rows.ts";
import { addUsage } from "./usage.ts";
import { placeVersion, removeVersion, removeVersionOf } from "./version-places.ts";
import type { VersionRow } from "./version-rows.ts";
import {
  isDeleted,
  NO_DELETES,
  type VersionDelete,
  type VoidedRow,
  withDelete,
  withVoid,
} from "./voided-rows.ts";

type Kept = NonNullable<VoidedRow["kept"]>;

/** The deletes of a version. Nothing is looked up in a bucket without any. */
export function deletesOf(view: RowReader, name: KeyName, id: WriteId): VoidedRow | undefined {
  if ((view.get(TABLES.usage, name.bucket)?.voided ?? 0) === 0) return undefined;
  return view.get(TABLES.voided, versionKeyOf(name, id));
}

/** Deletes a version for good, unless the delete was judged void. */
export function voidVersion(
  context: ApplyContext,
  name: KeyName,
  id: WriteId,
  next: VersionDelete,
): void {
  const row = withDelete(deletesOf(context.view, name, id) ?? NO_DELETES, next);
  putDeletes(context, name, id, row);
  if (isDeleted(row)) takeAway(context, name, id, row);
}

function takeAway(context: ApplyContext, name: KeyName, id: WriteId, row: VoidedRow): void {
  const { view } = context;
  const found = versionById(view, name, id);
  if (row.kept === undefined || found?.kind === "marker") {
    removeVersionOf(context, name, id);
    return;
  }
  const meta = takeMeta(view, name, id) ?? row.kept.meta;
  if (found === undefined) {
    putDeletes(context, name, id, { ...row, kept: { ...row.kept, meta } });
    return;
  }
  holdObject(context, found.row);
  const version: VersionRow = { kind: "object", row: found.row };
  removeVersion(context, name, found);
  putDeletes(context, name, id, { ...row, kept: { ...row.kept, version, meta } });
}

/**
 * Notes the arrival of a version that may have been deleted before; true when it must not be
 * placed.
 */
export function isVoided(context: ApplyContext, name: KeyName, version: VersionRow): boolean {
  const { stamp } = version.row;
  const row = deletesOf(context.view, name, stamp);
  if (row === undefined || !isDeleted(row)) return false;
  if (row.kept === undefined || version.kind === "marker") return true;
  if (row.kept.version === undefined) {
    holdObject(context, version.row);
    const changed = withChanges(version, row.kept.meta);
    putDeletes(context, name, stamp, { ...row, kept: { ...row.kept, version: changed } });
  }
  return true;
}

/**
 * Remembers a change of a deleted version while the version is kept. False when the version is
 * there, or may still arrive.
 */
export function changeDeleted(
  context: ApplyContext,
  name: KeyName,
  id: WriteId,
  aspect: Aspect,
): boolean {
  const row = deletesOf(context.view, name, id);
  if (row === undefined || !isDeleted(row)) return false;
  if (row.kept === undefined) return true;
  const known = row.kept.meta;
  const meta = joinMeta(known ?? { target: { hlc: id.hlc, origin: id.origin } }, aspect);
  recount(context, known, meta);
  const kept = { ...row.kept, version: withChanges(row.kept.version, meta), meta };
  putDeletes(context, name, id, { ...row, kept });
  return true;
}

function withChanges(
  version: VersionRow | undefined,
  meta: MetaRow | undefined,
): VersionRow | undefined {
  if (version?.kind !== "object" || meta === undefined) return version;
  const object = changedRecord(version.row.object, meta);
  return { kind: "object", row: { ...version.row, object } };
}

/** Carries out the logged verdicts about deletes of a version. */
export function applyJudgedDeletes(
  context: ApplyContext,
  { bucket, key, version, what, deletes }: DeletesRecord,
  home: number,
): void {
  const name = { bucket, key };
  const id = writeIdOf(version);
  const row = deletesOf(context.view, name, id) ?? NO_DELETES;
  switch (what) {
    case "kept":
      if (row.kept === undefined) putDeletes(context, name, id, { ...row, kept: { home } });
      return;
    case "ended":
      if (row.kept === undefined) return;
      dropKept(context, row.kept);
      bury(context, home, row.kept.home);
      putDeletes(context, name, id, { ...row, kept: undefined });
      return;
    case "void": {
      const after = deletes.reduce((one, mark) => withVoid(one, { ...mark, home }), row);
      putDeletes(context, name, id, after);
      if (isDeleted(row) && !isDeleted(after)) bringBack(context, name, id, after);
      return;
    }
  }
}

/** Puts a version back in its place, because all of its deletes are void. */
function bringBack(context: ApplyContext, name: KeyName, id: WriteId, row: VoidedRow): void {
  if (row.kept === undefined) return;
  const { home, version, meta } = row.kept;
  putDeletes(context, name, id, { ...row, kept: { home } });
  if (meta !== undefined) {
    context.view.put(TABLES.meta, metaKeyOf(name, id, false), meta);
    addUsage(context.view, name, { metas: 1 });
  }
  if (version !== undefined) placeVersion(context.view, name, version);
}

/** Releases a kept version, with its changes. */
export function dropKept(context: ApplyContext, { version, meta }: Kept): void {
  if (version?.kind === "object") releaseObject(context, version.row);
  recount(context, meta, undefined);
}

/** Puts a row of deletes, or removes an empty one, and counts what it rests on. */
export function putDeletes(
  context: ApplyContext,
  name: KeyName,
  id: WriteId,
  row: VoidedRow,
): void {
  const { view, references } = context;
  const key = versionKeyOf(name, id);
  const before = deletesOf(view, name, id);
  for (const home of homesOf(row)) references.addLive(home, 1, 0);
  for (const home of before === undefined ? [] : homesOf(before)) references.addLive(home, -1, 0);
  if (row.kept !== undefined) view.put(TABLES.kept, key, {});
  else if (before?.kept !== undefined) view.remove(TABLES.kept, key);
  const isEmpty = homesOf(row).length === 0;
  if (isEmpty) view.remove(TABLES.voided, key);
  else view.put(TABLES.voided, key, row);
  const change = (isEmpty ? 0 : 1) - (before === undefined ? 0 : 1);
  if (change !== 0) addUsage(view, name, { voided: change });
}

function homesOf({ deletes, voids, kept }: VoidedRow): number[] {
  const homes = [...deletes, ...voids].map(({ home }) => home);
  return kept === undefined ? homes : [...homes, kept.home];
}

function recount(
  { references }: ApplyContext,
  before: MetaRow | undefined,
  after: MetaRow | undefined,
): void {
  for (const { home } of after === undefined ? [] : aspectsOf(after))
    references.addLive(home, 1, 0);
  for (const { home } of before === undefined ? [] : aspectsOf(before)) {
    references.addLive(home, -1, 0);
  }
}

/** Takes the changes of a version out of their table; they are still counted. */
function takeMeta(view: ApplyContext["view"], name: KeyName, id: WriteId): MetaRow | undefined {
  if ((view.get(TABLES.usage, name.bucket)?.metas ?? 0) === 0) return undefined;
  const key = metaKeyOf(name, id, false);
  const meta = view.get(TABLES.meta, key);
  if (meta === undefined) return undefined;
  view.remove(TABLES.meta, key);
  addUsage(view, name, { metas: -1 });
  return meta;
}

import { laterStamp } from "../../core/lww.ts";
import type { ApplyContext } from "./apply-context.ts";
import { type KeyName, nullMetaKeyOf, sameWrite, type WriteId } from "./key-versions.ts";
import {
  type Aspect,
  aspectsOf,
  changesOf,
  joinMeta,
  type MetaRow,
  noChanges,
} from "./meta-rows.ts";
import { TABLES } from "./rows.ts";
import type { RowReader } from "./stored-rows.ts";
import { addUsage } from "./usage.ts";

/*
 * Changes of writes of a null slot stand in one row, of each write apart: of the one in the slot,
 * of conflicts, and of writes that have not come yet. So what becomes of a change depends on the
 * write that it is about, and not on what else is waited for; and a walk over rows meets it at one
 * place, whether its write stands in the slot or has become a conflict.
 */

const NONE: readonly MetaRow[] = [];

/** The changes of a version or of a null slot. Nothing is looked up in a bucket without any. */
export function changesAt(view: RowReader, { bucket }: KeyName, key: string): MetaRow | undefined {
  if ((view.get(TABLES.usage, bucket)?.metas ?? 0) === 0) return undefined;
  return view.get(TABLES.meta, key);
}

/**
 * Puts the row of changes of a version or null slot, or removes an empty one, and counts what it
 * rests on.
 */
export function putChanges(
  { view, references }: ApplyContext,
  name: KeyName,
  key: string,
  after: MetaRow | undefined,
): void {
  const before = changesAt(view, name, key);
  for (const home of homesOf(after)) references.addLive(home, 1, 0);
  for (const home of homesOf(before)) references.addLive(home, -1, 0);
  const more = (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
  if (more !== 0) addUsage(view, name, { metas: more });
  if (after !== undefined) view.put(TABLES.meta, key, after);
  else if (before !== undefined) view.remove(TABLES.meta, key);
}

function homesOf(row: MetaRow | undefined): number[] {
  if (row === undefined) return [];
  return changesOf(row).flatMap((one) => aspectsOf(one).map(({ home }) => home));
}

/** The changes of a null slot, one row for each write; those of the latest write come first. */
export function nullChanges(view: RowReader, name: KeyName): readonly MetaRow[] {
  const row = changesAt(view, name, nullMetaKeyOf(name));
  return row === undefined ? NONE : changesOf(row);
}

/** The changes of one write of a null slot. */
export function nullChangesOf(view: RowReader, name: KeyName, id: WriteId): MetaRow | undefined {
  return nullChanges(view, name).find(({ target }) => sameWrite(target, id));
}

/** Adds a change of a write of a null slot; returns all changes of that write. */
export function addNullChange(
  context: ApplyContext,
  name: KeyName,
  id: WriteId,
  aspect: Aspect,
): MetaRow {
  const known = nullChanges(context.view, name);
  const before = known.find(({ target }) => sameWrite(target, id));
  const after = joinMeta(before ?? noChanges(id), aspect);
  putNullChanges(context, name, [after, ...known.filter((one) => one !== before)]);
  return after;
}

/** Forgets changes of some writes of a null slot. */
export function dropNullChanges(
  context: ApplyContext,
  name: KeyName,
  isPast: (id: WriteId) => boolean,
): void {
  const known = nullChanges(context.view, name);
  const rest = known.filter(({ target }) => !isPast(target));
  if (rest.length < known.length) putNullChanges(context, name, rest);
}

/** Puts the changes of a null slot: one row for each write, in any order. */
function putNullChanges(context: ApplyContext, name: KeyName, changes: readonly MetaRow[]): void {
  const [latest, ...others] = [...changes].sort((left, right) =>
    laterStamp(left.target, right.target) ? -1 : 1,
  );
  const row = latest === undefined || others.length === 0 ? latest : { ...latest, others };
  putChanges(context, name, nullMetaKeyOf(name), row);
}

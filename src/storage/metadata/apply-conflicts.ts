import type { ConflictsRecord, WriteStamp } from "../../core/records.ts";
import type { ApplyContext } from "./apply-context.ts";
import { addNullChange, dropNullChanges, nullChangesOf, putChanges } from "./change-rows.ts";
import { bury } from "./graves.ts";
import type { HistoryRow } from "./history-rows.ts";
import {
  type KeyName,
  nullVersion,
  sameWrite,
  versionKeyOf,
  type WriteId,
} from "./key-versions.ts";
import { type Aspect, changedRecord } from "./meta-rows.ts";
import { holdObject, releaseObject } from "./object-holds.ts";
import type { ObjectRow } from "./object-row.ts";
import { TABLES } from "./rows.ts";
import type { RowReader } from "./stored-rows.ts";
import { addUsage } from "./usage.ts";
import type { IndexView } from "./view.ts";

/*
 * Which writes of a null slot are conflicts is judged when they come (judge-conflicts.ts), and the
 * verdict stands in the log in front of what it is about. Here verdicts are carried out. So a
 * rebuild, for which writes in between may be gone, ends with the same conflicts.
 */

/** Whether a bucket has rows in the table of history; for one without them nothing is looked up. */
export function hasHistory(view: RowReader, { bucket }: KeyName): boolean {
  const usage = view.get(TABLES.usage, bucket);
  return usage !== undefined && usage.conflicts + usage.marked > 0;
}

/** What is remembered of a write that is not in its slot. */
export function historyOf(
  view: RowReader,
  name: KeyName,
  write: Pick<WriteStamp, "hlc" | "origin">,
): HistoryRow | undefined {
  if (!hasHistory(view, name)) return undefined;
  return view.get(TABLES.history, versionKeyOf(name, write));
}

/** Whether a write is a conflict, or will be one. */
export function mayBeConflict(view: RowReader, name: KeyName, write: WriteId): boolean {
  const kind = historyOf(view, name, write)?.kind;
  return kind === "conflict" || kind === "expected";
}

/** Carries out the verdicts that were logged when a write of another site arrived. */
export function applyVerdicts(
  context: ApplyContext,
  { bucket, key, verdicts }: ConflictsRecord,
  home: number,
): void {
  const name = { bucket, key };
  for (const { verdict, write } of verdicts) {
    if (verdict === "ended") endHistory(context, name, write, home);
    else putMark(context, name, { kind: verdict, home, stamp: write });
  }
}

function putMark(
  context: ApplyContext,
  name: KeyName,
  mark: Extract<HistoryRow, { kind: "expected" | "settled" }>,
): void {
  const { view, references } = context;
  if (historyOf(view, name, mark.stamp) !== undefined) return;
  view.put(TABLES.history, versionKeyOf(name, mark.stamp), mark);
  references.addLive(mark.home, 1, 0);
  addUsage(view, name, { marked: 1 });
}

/** Forgets a conflict, or what was to become one; `home` is where that is said. */
export function endHistory(
  context: ApplyContext,
  name: KeyName,
  write: Pick<WriteStamp, "hlc" | "origin">,
  home: number,
): void {
  const { view, references } = context;
  const history = historyOf(view, name, write);
  if (history === undefined) return;
  view.remove(TABLES.history, versionKeyOf(name, write));
  references.addLive(history.home, -1, 0);
  bury(context, home, history.home);
  if (history.kind === "conflict") releaseObject(context, history.row);
  addUsage(view, name, history.kind === "conflict" ? { conflicts: -1 } : { marked: -1 });
  // Earlier programs kept the changes of a conflict where those of a version are.
  putChanges(context, name, versionKeyOf(name, write), undefined);
  const current = nullVersion(view, name);
  if (current !== undefined && sameWrite(current.row.stamp, write)) return;
  dropNullChanges(context, name, (id) => sameWrite(id, write));
}

/** Carries out that a write is no conflict any more. */
export function resolveConflict(
  context: ApplyContext,
  name: KeyName,
  write: WriteStamp,
  home: number,
): void {
  // What was settled before it arrived is remembered until it arrives.
  if (historyOf(context.view, name, write)?.kind === "settled") return;
  endHistory(context, name, write, home);
}

/**
 * A null version has been replaced by another write. Its bytes are released, with what was said
 * about it in its slot, unless it is a conflict.
 */
export function retireObject(context: ApplyContext, name: KeyName, row: ObjectRow): void {
  const { view } = context;
  const history = historyOf(view, name, row.stamp);
  if (history?.kind !== "expected") {
    releaseObject(context, row);
    return;
  }
  putConflict(context, name, { kind: "conflict", home: history.home, row });
  addUsage(view, name, { marked: -1, conflicts: 1 });
}

/** A write of the null slot has arrived too late to stand in it. */
export function loseObject(context: ApplyContext, name: KeyName, row: ObjectRow): void {
  const { view } = context;
  loseWrite(context, name, row);
  const history = historyOf(view, name, row.stamp);
  if (history === undefined) return;
  const changed = withChanges(view, name, row);
  holdObject(context, changed);
  if (history.kind === "conflict") releaseObject(context, history.row);
  else addUsage(view, name, { marked: -1, conflicts: 1 });
  putConflict(context, name, { kind: "conflict", home: history.home, row: changed });
}

/**
 * A write of the null slot has arrived too late: what was remembered for that moment is used up.
 */
export function loseWrite(
  context: ApplyContext,
  name: KeyName,
  { stamp, home }: { readonly stamp: WriteStamp; readonly home: number },
): void {
  const { view, references } = context;
  const history = historyOf(view, name, stamp);
  if (history?.kind !== "settled") return;
  view.remove(TABLES.history, versionKeyOf(name, stamp));
  references.addLive(history.home, -1, 0);
  bury(context, home, history.home);
  addUsage(view, name, { marked: -1 });
}

/** Takes over a conflict from another site, as a row outside every log. */
export function applyConflictRow(context: ApplyContext, name: KeyName, row: ObjectRow): void {
  putMark(context, name, { kind: "expected", home: row.home, stamp: row.stamp });
  const current = nullVersion(context.view, name);
  // Here it may still be in its slot, when the write that it lost to has not arrived yet.
  if (current === undefined || !sameWrite(current.row.stamp, row.stamp)) {
    loseObject(context, name, row);
  }
}

function putConflict({ view }: ApplyContext, name: KeyName, history: HistoryRow): void {
  const stamp = history.kind === "conflict" ? history.row.stamp : history.stamp;
  view.put(TABLES.history, versionKeyOf(name, stamp), history);
}

/**
 * Changes a conflict, or a write that is to become one: its tags, or how its key is wrapped. False
 * when the write is neither.
 */
export function changeConflict(
  context: ApplyContext,
  name: KeyName,
  id: Pick<WriteStamp, "hlc" | "origin">,
  aspect: Aspect,
): boolean {
  const { view } = context;
  const history = historyOf(view, name, id);
  if (history === undefined || history.kind === "settled") return false;
  const current = nullVersion(view, name);
  if (current !== undefined && sameWrite(current.row.stamp, id)) return false;
  const after = addNullChange(context, name, id, aspect);
  if (history.kind !== "conflict") return true;
  const row = { ...history.row, object: changedRecord(history.row.object, after) };
  view.put(TABLES.history, versionKeyOf(name, id), { ...history, row });
  return true;
}

function withChanges(view: IndexView, name: KeyName, row: ObjectRow): ObjectRow {
  const meta = nullChangesOf(view, name, row.stamp);
  return meta === undefined ? row : { ...row, object: changedRecord(row.object, meta) };
}

import { unreachable } from "../../core/assert.ts";
import { laterStamp } from "../../core/lww.ts";
import type { LocalRecord, RowName } from "../../core/records.ts";
import { endHistory, mayBeConflict } from "./apply-conflicts.ts";
import type { ApplyContext } from "./apply-context.ts";
import { deletesOf, dropKept, putDeletes } from "./apply-deletes.ts";
import { dropNullMeta } from "./apply-versions.ts";
import { dropNullChanges } from "./change-rows.ts";
import { nullVersion, sameWrite, versionById, writeIdOf } from "./key-versions.ts";
import { BOOTSTRAP_KEY, DROPPED_KEY, FLOORS_KEY, graveKeyOf } from "./keys.ts";
import { TABLES } from "./rows.ts";
import { removeTombstone, removeVersion, tombstoneOf } from "./version-places.ts";
import { isDeleted } from "./voided-rows.ts";

type LocalOf<Kind extends LocalRecord["kind"]> = Extract<LocalRecord, { kind: Kind }>;

/**
 * Takes rows away that were removed elsewhere, or marks of removals that every site knows of. What
 * a mark spoke of goes too, should a rebuild have met it without the operation that removed it.
 */
export function removeRows(
  context: ApplyContext,
  { rows }: LocalOf<"rows-removed">,
  home: number,
): void {
  for (const row of rows) removeRow(context, row, home);
  outliveEarlier(context, home);
}

function removeRow(context: ApplyContext, row: RowName, home: number): void {
  const { view } = context;
  const stamp = writeIdOf(row.stamp);
  switch (row.what) {
    case "version":
      removeWritten(context, row, versionById(view, row, stamp));
      return;
    case "null": {
      const found = nullVersion(view, row);
      // A rebuild may meet what it had taken the place of.
      if (found !== undefined && !laterStamp(found.row.stamp, stamp)) {
        removeWritten(context, row, found);
      }
      dropNullMeta(context, row, stamp);
      dropNullChanges(context, row, (id) => sameWrite(id, stamp) && !mayBeConflict(view, row, id));
      return;
    }
    case "tombstone": {
      const found = nullVersion(view, row);
      if (found !== undefined && laterStamp(stamp, found.row.stamp)) {
        removeWritten(context, row, found);
      }
      dropNullMeta(context, row, stamp);
      const tombstone = tombstoneOf(view, row);
      if (tombstone !== undefined && sameWrite(tombstone.stamp, stamp)) {
        removeTombstone(context, row);
      }
      return;
    }
    case "voided": {
      const target = writeIdOf(row.target ?? row.stamp);
      const known = deletesOf(view, row, target);
      // What only void deletes speak of stays.
      if (known === undefined || isDeleted(known)) {
        removeWritten(context, row, versionById(view, row, target));
      }
      if (known === undefined || !known.deletes.some((one) => sameWrite(one, stamp))) return;
      if (known.kept !== undefined) dropKept(context, known.kept);
      const deletes = known.deletes.filter((one) => !sameWrite(one, stamp));
      putDeletes(context, row, target, { deletes, voids: known.voids });
      return;
    }
    case "conflict":
      endHistory(context, row, stamp, home);
      return;
  }
  unreachable(row.what);
}

function removeWritten(
  context: ApplyContext,
  name: RowName,
  found: ReturnType<typeof versionById>,
): void {
  if (found !== undefined) removeVersion(context, name, found);
}

/**
 * Operations whose rows are gone may stand in any segment before this one: while one of those is
 * there, a rebuild must meet the removal behind it.
 */
function outliveEarlier({ view, references }: ApplyContext, home: number): void {
  const dropped = view.get(TABLES.dropped, DROPPED_KEY)?.record.segments ?? [];
  for (const [first, last] of gapsOf(dropped, home)) {
    for (let segment = first; segment <= last; segment++) {
      const key = graveKeyOf(home, segment);
      if (view.get(TABLES.grave, key) !== undefined) return;
      view.put(TABLES.grave, key, {});
      references.addLive(home, 1, 0);
    }
  }
}

/** Runs of segments before `end` that are in none of the runs given, first and last of each. */
function gapsOf(runs: readonly number[], end: number): Array<readonly [number, number]> {
  const gaps: Array<readonly [number, number]> = [];
  let next = 1;
  for (let index = 0; index + 1 < runs.length && next < end; index += 2) {
    const first = Math.min(runs[index] ?? end, end);
    if (first > next) gaps.push([next, first - 1]);
    next = (runs[index + 1] ?? end) + 1;
  }
  if (next < end) gaps.push([next, end - 1]);
  return gaps;
}

/** How far rows of another site have been taken over. */
export function applyBootstrap(
  { view, references }: ApplyContext,
  record: LocalOf<"bootstrap">,
  home: number,
): void {
  const before = view.get(TABLES.bootstrap, BOOTSTRAP_KEY);
  if (before !== undefined) references.addLive(before.home, -1, 0);
  view.put(TABLES.bootstrap, BOOTSTRAP_KEY, { home, record });
  references.addLive(home, 1, 0);
}

/** Logs begin behind what came as rows; the record names all such beginnings there ever were. */
export function applyFloors(context: ApplyContext, record: LocalOf<"floors">, home: number): void {
  const { view, references } = context;
  const underWay = view.get(TABLES.bootstrap, BOOTSTRAP_KEY);
  if (underWay !== undefined) {
    view.remove(TABLES.bootstrap, BOOTSTRAP_KEY);
    references.addLive(underWay.home, -1, 0);
  }
  const before = view.get(TABLES.floors, FLOORS_KEY);
  if (before !== undefined) references.addLive(before.home, -1, 0);
  view.put(TABLES.floors, FLOORS_KEY, { home, record });
  references.addLive(home, 1, 0);
}

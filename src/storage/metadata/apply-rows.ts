import { unreachable } from "../../core/assert.ts";
import { laterStamp } from "../../core/lww.ts";
import type { LocalRecord, RowName } from "../../core/records.ts";
import { endHistory, mayBeConflict } from "./apply-conflicts.ts";
import type { ApplyContext } from "./apply-context.ts";
import { deletesOf, dropKept, putDeletes } from "./apply-deletes.ts";
import { dropNullMeta } from "./apply-versions.ts";
import { dropNullChanges } from "./change-rows.ts";
import { bury } from "./graves.ts";
import { nullVersion, sameWrite, writeIdOf } from "./key-versions.ts";
import { BOOTSTRAP_KEY, DROPPED_KEY, FLOORS_KEY } from "./keys.ts";
import { TABLES } from "./rows.ts";
import { removeTombstone, removeVersion, removeVersionOf, tombstoneOf } from "./version-places.ts";
import { isDeleted } from "./voided-rows.ts";

type LocalOf<Kind extends LocalRecord["kind"]> = Extract<LocalRecord, { kind: Kind }>;

/**
 * Removes rows that were removed at another site, or marks of removals that every site knows of.
 * What a mark was about goes too, in case a rebuild met it without the operation that removed it.
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
      removeVersionOf(context, row, stamp);
      return;
    case "null": {
      const found = nullVersion(view, row);
      // A rebuild may meet the write that the removed one had replaced.
      if (found !== undefined && !laterStamp(found.row.stamp, stamp)) {
        removeVersion(context, row, found);
      }
      dropNullMeta(context, row, stamp);
      dropNullChanges(context, row, (id) => sameWrite(id, stamp) && !mayBeConflict(view, row, id));
      return;
    }
    case "tombstone": {
      const found = nullVersion(view, row);
      if (found !== undefined && laterStamp(stamp, found.row.stamp)) {
        removeVersion(context, row, found);
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
      // A row with only void deletes stays.
      if (known === undefined || isDeleted(known)) removeVersionOf(context, row, target);
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

/**
 * The operations of removed rows may be in any earlier segment: while one of those exists, a
 * rebuild must meet the removal behind it.
 */
function outliveEarlier({ view, references }: ApplyContext, home: number): void {
  const dropped = view.get(TABLES.dropped, DROPPED_KEY)?.record.segments ?? [];
  for (const [first, last] of gapsOf(dropped, home)) {
    for (let segment = first; segment <= last; segment++) {
      bury({ view, references }, home, segment);
    }
  }
}

/** The segments before `end` that are in none of the given runs, as first and last of each gap. */
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

/** Notes how far rows of another site have been taken over. */
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

/**
 * Notes where logs begin that came as rows; the record names every such beginning there ever was.
 */
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

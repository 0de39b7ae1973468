import type { ApplyContext } from "./apply-context.ts";
import { graveKeyOf, segmentKeyOf } from "./keys.ts";
import { TABLES } from "./rows.ts";
import type { RowReader } from "./stored-rows.ts";

/**
 * Notes that a removal which leaves no row must stay in the log as long as what it removed: if only
 * the removal were dropped, a rebuild would bring the removed thing back.
 */
export function bury(
  { view, references }: ApplyContext,
  removedIn: number,
  createdIn: number,
): void {
  if (removedIn === createdIn) return;
  const key = graveKeyOf(removedIn, createdIn);
  if (view.get(TABLES.grave, key) !== undefined) return;
  view.put(TABLES.grave, key, {});
  references.addLive(removedIn, 1, 0);
}

/** How many of the rows that rest on a segment are graves. */
export function countGraves(view: RowReader, removedIn: number): number {
  const key = segmentKeyOf(removedIn);
  return view.rows(TABLES.grave, key, `${key}~`).length;
}

import type { Vector } from "../core/records.ts";
import { compareUtf8 } from "../core/utf8-order.ts";

/** A row's position and its hash in hexadecimal. */
export type ListedRows = ReadonlyMap<string, string>;

export type RowDifference = {
  readonly position: string;
  readonly kind: "missing-here" | "missing-there" | "differs";
};

/** Positions at which two sites differ, in order. */
export function diffRows(here: ListedRows, there: ListedRows): RowDifference[] {
  const differences: RowDifference[] = [];
  for (const [position, hash] of there) {
    const own = here.get(position);
    if (own === undefined) differences.push({ position, kind: "missing-here" });
    else if (own !== hash) differences.push({ position, kind: "differs" });
  }
  for (const position of here.keys()) {
    if (!there.has(position)) differences.push({ position, kind: "missing-there" });
  }
  return differences.sort((left, right) => compareUtf8(left.position, right.position));
}

/** Both sides of a stretch of rows, as they were listed. */
export type ListedPair = { readonly here: ListedRows; readonly there: ListedRows };

/**
 * Differences that exist before and after each side has applied what the other one had. Whatever
 * was under way has arrived by then, so what still differs did not repair itself.
 */
export function lastingDifferences(before: ListedPair, after: ListedPair): RowDifference[] {
  return diffRows(after.here, after.there).filter(
    ({ position }) =>
      before.here.get(position) === after.here.get(position) &&
      before.there.get(position) === after.there.get(position),
  );
}

/** Whether everything that one vector covers is covered by the other. */
export function covers(vector: Vector, other: Vector): boolean {
  for (const [origin, seq] of other) if ((vector.get(origin) ?? 0) < seq) return false;
  return true;
}

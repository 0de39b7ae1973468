import type { LogStart, RowName } from "../core/records.ts";
import { compareUtf8 } from "../core/utf8-order.ts";
import type { LogicalRow } from "../storage/logical-rows.ts";
import { rowNameOf, SECTIONS } from "../storage/row-operations.ts";

/** Positions whose rows have been compared, and those of them that the other site has. */
type Span = { readonly from: string; readonly to: string; readonly there: ReadonlySet<string> };

/**
 * The names of a row to be removed, because the other site lacks it although it had applied it;
 * empty when it stays.
 */
export function removedThere(
  { operation, position }: LogicalRow,
  { from, to, there }: Span,
  heads: readonly LogStart[],
): readonly RowName[] {
  if (!position.startsWith(SECTIONS.objects)) return [];
  const { origin, seq } = operation.dot;
  const head = heads.find((one) => one.origin === origin);
  const name = head === undefined || head.seq < seq ? undefined : rowNameOf(operation);
  if (name === undefined) return [];
  // A write of a null slot is a row there as long as it is in its slot, or is a conflict.
  const write = position.slice(0, -1);
  const inSlot = `${write}v`;
  const asConflict = `${write}w`;
  if (name.what === "conflict") {
    return there.has(inSlot) || compareUtf8(inSlot, from) < 0 ? [] : [name];
  }
  if (name.what !== "null" || operation.body.kind !== "object-put") return [name];
  // The next page begins with it as a conflict, and then compares what comes before that as well.
  if (compareUtf8(asConflict, to) >= 0) return [];
  // A row of the current page may have taken its place, which made it a conflict here.
  return there.has(asConflict) ? [name] : [name, { ...name, what: "conflict" }];
}

/**
 * Where the rows of this site begin that a page is compared with: a conflict may still be in its
 * slot here.
 */
export function ownFrom(position: string): string {
  const isConflict = position.startsWith(SECTIONS.objects) && position.endsWith("w");
  return isConflict ? `${position.slice(0, -1)}v` : position;
}

import type { LogicalRow, LogicalRows, RowRange } from "../storage/logical-rows.ts";

/** The range that one position is all of. */
export function rangeOf(position: string): RowRange {
  return { from: position, to: `${position}\0` };
}

/** The row that stands at a position here; undefined when none does. */
export function rowAt(rows: Pick<LogicalRows, "read">, position: string): LogicalRow | undefined {
  return rows.read(rangeOf(position), 1).rows[0];
}

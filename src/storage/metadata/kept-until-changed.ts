import type { RowReader } from "./stored-rows.ts";

/** Reads something of rows, and keeps it until a row of that kind changes. */
export function keptUntilChanged<Value>(
  changes: "bucketChanges" | "siteChanges",
  read: (rows: RowReader) => Value,
): (rows: RowReader) => Value {
  const kept = new WeakMap<RowReader, { readonly changes: number; readonly value: Value }>();
  return (rows) => {
    const known = kept.get(rows);
    if (known?.changes === rows[changes]) return known.value;
    const value = read(rows);
    kept.set(rows, { changes: rows[changes], value });
    return value;
  };
}

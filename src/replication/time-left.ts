/** Rows, and bytes of the bodies that belong to them. */
export type RowSum = { readonly rows: number; readonly bytes: number };

/** How far a bootstrap has come since it began, or went on after an interruption. */
export type WayGone = {
  /** Of all that the other site has. */
  readonly total: RowSum;
  /** What had been taken over before. */
  readonly rowsBefore: number;
  readonly since: RowSum;
  readonly elapsedMs: number;
};

/** What a row costs beside its body, in bytes of bodies. */
const ROW_BYTES = 16 * 1024;

/**
 * How long the rest will take at the pace so far, in milliseconds; undefined while nothing can be
 * said. Rows alone tell nothing: those of a bucket with films come before those of a bucket with
 * letters. How many bytes came before an interruption is guessed by the mean.
 */
export function timeLeftMs(gone: WayGone): number | undefined {
  const { total, rowsBefore, since, elapsedMs } = gone;
  const rowsLeft = Math.max(0, total.rows - rowsBefore - since.rows);
  if (rowsLeft === 0) return 0;
  const done = workOf(since);
  if (done === 0) return undefined;
  const bytesBefore = (total.bytes * rowsBefore) / total.rows;
  const bytesLeft = Math.max(0, total.bytes - bytesBefore - since.bytes);
  return Math.round((elapsedMs / done) * workOf({ rows: rowsLeft, bytes: bytesLeft }));
}

function workOf({ rows, bytes }: RowSum): number {
  return rows * ROW_BYTES + bytes;
}

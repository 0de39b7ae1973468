import type { Clock } from "../ports/clock.ts";
import type { Hash } from "../ports/hash.ts";
import type { LogicalRow, LogicalRows, RowRange } from "../storage/logical-rows.ts";
import { logicalRowHash } from "../storage/row-operations.ts";

export type RowHashDeps = {
  readonly rows: Pick<LogicalRows, "read">;
  readonly hash: Hash;
  readonly clock: Clock;
};

export type HashedRange = {
  /** BLAKE3-256 over the hashes of the rows, in order of position. */
  readonly hash: Buffer;
  readonly count: number;
  /** Where the walk ended, when the range has more rows. */
  readonly next: string | undefined;
};

/** Rows that are read in one turn; requests are answered between two. */
const ROWS_PER_TURN = 500;

/** The hash of a range, up to so many rows; others are served meanwhile. */
export async function hashRange(
  { rows, hash, clock }: RowHashDeps,
  { from, to }: RowRange,
  rowsMax: number,
): Promise<HashedRange> {
  const hasher = hash.start("BLAKE3");
  let count = 0;
  let next: string | undefined = from;
  while (next !== undefined && count < rowsMax) {
    const wanted = Math.min(ROWS_PER_TURN, rowsMax - count);
    const step = rows.read({ from: next, to }, wanted);
    for (const row of step.rows) hasher.update(logicalRowHash(hash, row));
    count += step.rows.length;
    next = step.next;
    if (next !== undefined) await clock.sleep(0);
  }
  return { hash: hasher.digest(), count, next };
}

/** The rows of a short range with their hashes, from one state of the index. */
export function listRange(
  { rows, hash }: Omit<RowHashDeps, "clock">,
  range: RowRange,
  rowsMax: number,
): {
  readonly rows: ReadonlyArray<readonly [LogicalRow, Buffer]>;
  readonly next: string | undefined;
} {
  const step = rows.read(range, rowsMax);
  return { rows: step.rows.map((row) => [row, logicalRowHash(hash, row)]), next: step.next };
}

import type { Operation } from "../core/records.ts";
import { countGraves } from "./metadata/graves.ts";
import { segmentKeyOf } from "./metadata/keys.ts";
import { TABLES, type Table } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { TombstoneRow } from "./metadata/tombstone-row.ts";
import type { VoidedRow } from "./metadata/voided-rows.ts";
import { readKeyName, tombstoneRows, voidedRows } from "./row-operations.ts";
import type { SegmentFacts } from "./segment/segments.ts";
import { rowsInTurns } from "./spread-walk.ts";
import type { StoreParts } from "./store-parts.ts";

/** About what a mark takes in the log. */
const MARK_BYTES = 256;
/** Marks are moved while they are no more than this part of what that gives back. */
const SEGMENT_SHARE = 1 / 4;
const ROWS_PER_COMMIT = 500;

/** A mark of a removal: the operation that it says, and the segment that it rests on. */
type Mark = {
  readonly home: number;
  readonly operation: Operation;
  /** Whether nothing has taken its place. */
  readonly isThere: (view: RowReader) => boolean;
};
type Marks<Row> = {
  readonly table: Table<Row>;
  /** Where the mark rests; undefined for a row that stays where it is. */
  readonly homeOf: (row: Row) => number | undefined;
  readonly operationOf: (key: string, row: Row) => Operation | undefined;
};
type Visit = (found: readonly Mark[]) => Promise<void>;

const TOMBSTONES: Marks<TombstoneRow> = {
  table: TABLES.tombstone,
  homeOf: ({ home }) => home,
  operationOf: (key, row) => {
    const [bucket = "", rest = ""] = key.split("\0");
    return tombstoneRows(readKeyName(bucket, rest), row)[0]?.operation;
  },
};

const REMOVED_VERSIONS: Marks<VoidedRow> = {
  table: TABLES.voided,
  // Only of versions that were deleted once, and of which nothing more is said.
  homeOf: ({ deletes, voids, kept }) =>
    deletes.length + voids.length === 1 && kept === undefined ? deletes[0]?.home : undefined,
  operationOf: (key, row) => {
    const [bucket = "", rest = "", inverted = ""] = key.split("\0");
    return voidedRows(readKeyName(bucket, rest), inverted, row)[0]?.operation;
  },
};

/**
 * Moves tombstones, and marks of versions that were removed, out of segments in which nothing else
 * is live, so that these can be dropped: where small objects come and go, every segment holds
 * deletes, and none would ever be given back.
 *
 * A mark is written once more as the row that it is. Who replays the log meets it behind everything
 * that it stands against, as before.
 */
export class MarkMoves {
  readonly #parts: StoreParts;
  /** Segments in which something else is live, with how many rows were when that was seen. */
  readonly #mixed = new Map<number, number>();

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /** Gives how many marks were moved. */
  async move(sealed: readonly SegmentFacts[]): Promise<number> {
    const rows = this.#worthMoving(sealed);
    const marks = new Map<number, number>();
    await this.#walkAll(rows, async (found) => {
      for (const { home } of found) marks.set(home, (marks.get(home) ?? 0) + 1);
    });
    for (const [segment, count] of rows) {
      if (marks.get(segment) === count) continue;
      this.#mixed.set(segment, this.#liveIn(segment)?.rows ?? 0);
      rows.delete(segment);
    }
    let moved = 0;
    await this.#walkAll(rows, async (found) => {
      for (let at = 0; at < found.length; at += ROWS_PER_COMMIT) {
        moved += await this.#moveSome(found.slice(at, at + ROWS_PER_COMMIT));
      }
    });
    return moved;
  }

  /**
   * Segments where few rows are live, and no body is, with how many rows. Graves are left aside:
   * what they stand for can be said elsewhere, once nothing else is left.
   */
  #worthMoving(sealed: readonly SegmentFacts[]): Map<number, number> {
    const worth = new Map<number, number>();
    for (const { id, sizeBytes } of sealed) {
      const live = this.#liveIn(id);
      if (live === undefined || live.bytes > 0 || this.#mixed.get(id) === live.rows) continue;
      const rows = live.rows - countGraves(this.#parts.index, id);
      if (rows > 0 && rows * MARK_BYTES <= sizeBytes * SEGMENT_SHARE) worth.set(id, rows);
    }
    return worth;
  }

  #liveIn(segment: number): { readonly rows: number; readonly bytes: number } | undefined {
    return this.#parts.index.get(TABLES.segment, segmentKeyOf(segment));
  }

  async #walkAll(segments: ReadonlyMap<number, unknown>, visit: Visit): Promise<void> {
    if (segments.size === 0) return;
    await this.#walk(segments, TOMBSTONES, visit);
    await this.#walk(segments, REMOVED_VERSIONS, visit);
  }

  /** Hands over the marks of a table that rest on the segments, a part at a time. */
  async #walk<Row>(
    segments: ReadonlyMap<number, unknown>,
    marks: Marks<Row>,
    visit: Visit,
  ): Promise<void> {
    for await (const rows of rowsInTurns(this.#parts, marks.table)) {
      const found: Mark[] = [];
      for (const { key, row } of rows) {
        const home = marks.homeOf(row);
        if (home === undefined || !segments.has(home)) continue;
        const mark = markOf(marks, home, key, row);
        if (mark !== undefined) found.push(mark);
      }
      await visit(found);
    }
  }

  /** Moves those that nothing has taken the place of meanwhile. */
  #moveSome(marks: readonly Mark[]): Promise<number> {
    const { admission, committer } = this.#parts;
    admission.admitSmall();
    return committer.submit(marks.length * MARK_BYTES, (batch) => {
      let moved = 0;
      for (const { operation, isThere } of marks) {
        if (!isThere(batch.context.view)) continue;
        batch.row(operation, undefined, undefined);
        moved += 1;
      }
      return moved;
    });
  }
}

function markOf<Row>(marks: Marks<Row>, home: number, key: string, row: Row): Mark | undefined {
  const { table, homeOf, operationOf } = marks;
  const operation = operationOf(key, row);
  if (operation === undefined) return;
  const isThere = (view: RowReader): boolean => {
    const now = view.get(table, key);
    if (now === undefined || homeOf(now) !== home) return false;
    return operationOf(key, now)?.hlc === operation.hlc;
  };
  return { home, operation, isThere };
}

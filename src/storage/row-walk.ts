import { asBuffer } from "../core/bytes.ts";
import { compareUtf8 } from "../core/utf8-order.ts";
import type { Hash } from "../ports/hash.ts";
import type { Kv } from "../ports/kv.ts";
import type { LogicalRow, RowRange, RowStep } from "./logical-rows.ts";
import type { KeyName } from "./metadata/key-versions.ts";
import { rangeStart } from "./metadata/keys.ts";
import { decodeRow, TABLES, type Table } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import {
  accessKeyRows,
  bucketRows,
  historyRows,
  keptRows,
  metaRows,
  objectRows,
  readKeyName,
  SECTIONS,
  siteRows,
  tombstoneRows,
  versionRows,
  voidedRows,
} from "./row-operations.ts";

export type RowWalkDeps = { readonly kv: Kv; readonly hash: Hash };

/** A table whose rows have ascending positions, and the letter that those positions begin with. */
type Source = {
  readonly section: string;
  readonly table: Table<unknown>;
  /** The index key to begin at for a position in this section (given without its letter). */
  readonly seek: (rest: string) => string;
  readonly read: (key: string, value: Uint8Array, hash: Hash, range: RowRange) => LogicalRow[];
};

/** The parts of an object's index key: bucket and key, and what follows them. */
function splitKey(key: string): { name: KeyName; rest: string } {
  const [bucket = "", name = "", rest = ""] = key.split("\0");
  return { name: readKeyName(bucket, name), rest };
}

/** The text before the first NUL of a position. */
function seekFirst(rest: string): string {
  const [first = ""] = rest.split("\0", 1);
  return first;
}

/**
 * The bucket and key of a position. Rows of tables that have only those in their key are read again
 * from there.
 */
function seekName(rest: string): string {
  const [bucket = "", key] = rest.split("\0");
  return key === undefined ? bucket : `${bucket}\0${key}`;
}

const INVERTED_DIGITS = 32;

/** Bucket, key and version of a position, without the letters behind them. */
function seekVersion(rest: string): string {
  const [, , suffix] = rest.split("\0");
  if (suffix === undefined) return rest;
  const version = suffix.startsWith("null") ? "null" : suffix.slice(0, INVERTED_DIGITS);
  return rest.slice(0, rest.length - suffix.length) + version;
}

function source<Row>(
  at: { section: string; table: Table<Row>; seek: (rest: string) => string },
  rowsOf: (row: Row, key: string, range: RowRange) => LogicalRow[],
): Source {
  const read: Source["read"] = (key, value, hash, range) =>
    rowsOf(decodeRow(at.table, value, hash.crc32), key, range);
  return { section: at.section, table: at.table as Table<unknown>, seek: at.seek, read };
}

const objects = { section: SECTIONS.objects, seek: seekVersion };

/** The sections, in order of position. The rows of a section's tables are merged. */
const SOURCES: ReadonlyArray<readonly Source[]> = [
  [
    source(
      { section: SECTIONS.accessKeys, table: TABLES.accessKey, seek: (rest) => rest },
      accessKeyRows,
    ),
  ],
  [source({ section: SECTIONS.sites, table: TABLES.site, seek: seekFirst }, siteRows)],
  [
    source(
      {
        section: SECTIONS.buckets,
        table: TABLES.bucket,
        seek: seekFirst,
      },
      bucketRows,
    ),
  ],
  [
    source({ ...objects, table: TABLES.object, seek: seekName }, (row, key) =>
      objectRows(splitKey(key).name, row),
    ),
    source({ ...objects, table: TABLES.tombstone, seek: seekName }, (row, key) =>
      tombstoneRows(splitKey(key).name, row),
    ),
    source({ ...objects, table: TABLES.version }, (row, key) =>
      versionRows(splitKey(key).name, row),
    ),
    source({ ...objects, table: TABLES.voided }, (row, key, { withKept }) => {
      const { name, rest } = splitKey(key);
      const deletes = voidedRows(name, rest, row);
      return withKept === true ? [...keptRows(name, row), ...deletes] : deletes;
    }),
    source({ ...objects, table: TABLES.history }, (row, key) =>
      historyRows(splitKey(key).name, row),
    ),
    source({ ...objects, table: TABLES.meta }, (row, key) => {
      const { name, rest } = splitKey(key);
      return metaRows(name, rest === "null", row);
    }),
  ],
];

/**
 * The smallest text greater than every text that begins with `prefix`, which ends in a plain
 * letter.
 */
function behind(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

/**
 * Reads logical rows of a range in order of position, within one turn of the event loop and so from
 * one state of the index. A row that moves between tables keeps its position, so several steps
 * together miss no row that stays.
 *
 * @param rowsMax how many rows a step returns at most; at least 1.
 * @throws StorageFault "corrupt" for a damaged row of the index.
 */
export function readRows(deps: RowWalkDeps, range: RowRange, rowsMax: number): RowStep {
  const rows: LogicalRow[] = [];
  for (const tables of SOURCES) {
    const section = tables[0]?.section ?? "";
    if (compareUtf8(behind(section), range.from) <= 0) continue;
    if (range.to !== undefined && compareUtf8(section, range.to) >= 0) break;
    for (const row of merged(deps, tables, range)) {
      if (rows.length === rowsMax) return { rows, next: row.position };
      rows.push(row);
    }
  }
  return { rows, next: undefined };
}

/** Rows of several tables as one, in order of position. */
function* merged(
  deps: RowWalkDeps,
  tables: readonly Source[],
  range: RowRange,
): Generator<LogicalRow> {
  const walks = tables.map((table) => tableRows(deps, table, range));
  try {
    const heads = walks.map((walk) => walk.next());
    for (;;) {
      let least: { row: LogicalRow; index: number } | undefined;
      for (const [index, head] of heads.entries()) {
        if (head.done === true) continue;
        const row = head.value;
        if (least === undefined || compareUtf8(row.position, least.row.position) < 0) {
          least = { row, index };
        }
      }
      if (least === undefined) return;
      if (range.to !== undefined && compareUtf8(least.row.position, range.to) >= 0) return;
      yield least.row;
      const walk = walks[least.index];
      if (walk !== undefined) heads[least.index] = walk.next();
    }
  } finally {
    for (const walk of walks) walk.return(undefined);
  }
}

function* tableRows(
  { kv, hash }: RowWalkDeps,
  { section, table, seek, read }: Source,
  range: RowRange,
): Generator<LogicalRow> {
  const { from } = range;
  const begin = from.startsWith(section) ? seek(from.slice(section.length)) : "";
  const gte = rangeStart(indexKey(table.prefix, begin));
  const lt = indexKey(behind(table.prefix), "");
  for (const { key, value } of kv.range({ gte, lt })) {
    const text = asBuffer(key).toString("utf8", table.prefix.length);
    // Both are copied out of the snapshot here: the next read makes them invalid.
    for (const row of read(text, value, hash, range)) {
      if (compareUtf8(row.position, from) >= 0) yield row;
    }
  }
}

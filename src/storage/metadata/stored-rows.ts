import { asBuffer } from "../../core/bytes.ts";
import { HotMap } from "../../core/hot-map.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Kv } from "../../ports/kv.ts";
import type { ObjectRow } from "./object-row.ts";
import { type Crc32, decodeRow, TABLES, type Table } from "./rows.ts";
import type { VersionRow } from "./version-rows.ts";

/** Tables with few rows, which every request needs: their rows are kept decoded. */
const KEPT_PREFIXES: ReadonlySet<string> = new Set([
  TABLES.bucket.prefix,
  TABLES.accessKey.prefix,
  // Every write asks what else its bucket has: versions, tombstones, changes.
  TABLES.usage.prefix,
  // Every write is answered with a token of where the log stands.
  TABLES.position.prefix,
  // Every write counts what rests on its segment.
  TABLES.segment.prefix,
  // Every read of a large body asks whether any bytes are missing here.
  TABLES.remoteSum.prefix,
]);
const KEPT_ROWS_MAX = 10_000;
/** Tables whose rows nearly every batch changes: the changed row is kept, and not read again. */
const COUNTED_PREFIXES: ReadonlySet<string> = new Set([
  TABLES.usage.prefix,
  TABLES.segment.prefix,
  TABLES.position.prefix,
]);
/** How many look-ups are remembered until the store changes: each step of a write repeats some. */
const FOUND_MAX = 1024;
/** What was found not to be there. */
const ABSENT = Symbol("absent");

/** Rows of the store that a batch has changed; an absent row was removed. */
export type RowChange = { readonly table: Table<unknown>; readonly row: unknown };
type PrefixRow = ReturnType<typeof TABLES.prefix.decode>;

/** Reads rows: of the store alone, or with the changes that are still in line. */
export interface RowReader {
  get<Row>(table: Table<Row>, key: string): Row | undefined;
  /** Rows of a table in key order from `gte` up to `lt`. */
  rows<Row>(table: Table<Row>, gte: string, lt: string): Array<{ key: string; row: Row }>;
  /** Changes with every change of a bucket's row. */
  readonly bucketChanges: number;
  /** Changes with every change of a site's row. */
  readonly siteChanges: number;
  /** The first version from `gte` up to `lt`, both of which are within the versions of one key. */
  firstVersion(gte: string, lt: string): VersionRow | undefined;
}

/** By the prefix of the table. */
const lastIds: Array<{ readonly key: string; readonly id: string } | undefined> = [];

/**
 * The text key of a row in the index. The last one of each table is remembered: the steps of a
 * write ask for the same rows, and a text that is built anew is hashed anew. Hot path.
 */
export function rowId({ prefix }: Table<unknown>, key: string): string {
  const at = prefix.charCodeAt(0);
  const last = lastIds[at];
  if (last !== undefined && last.key === key) return last.id;
  const id = prefix + key;
  lastIds[at] = { key, id };
  return id;
}

/** The key of a row in the index. */
export function indexKey(prefix: string, key: string): Buffer {
  return Buffer.from(prefix + key, "utf8");
}

/** The index as clients see it: everything acknowledged, nothing ahead in line. */
export class StoredRows implements RowReader {
  readonly #kv: Kv;
  readonly #crc32: Crc32;
  bucketChanges = 0;
  siteChanges = 0;
  readonly #kept = new Map<string, unknown>();
  /** Recently used rows of objects: decoding one costs more than the rest of a small read. */
  readonly #hot = new HotMap<ObjectRow>(LIMITS.hotRowsMax, LIMITS.hotAdmitOneOf);
  /** Usage of first path segments, which every write counts; "absent" where there is no row. */
  readonly #prefixes = new HotMap<PrefixRow | "absent">(LIMITS.hotRowsMax);
  /** What was found since the store last changed: absent rows, and objects read for writes. */
  #found = new Map<string, object | typeof ABSENT>();

  constructor(kv: Kv, crc32: Crc32) {
    this.#kv = kv;
    this.#crc32 = crc32;
  }

  get<Row>(table: Table<Row>, key: string): Row | undefined {
    const id = rowId(table, key);
    if (table.prefix === TABLES.object.prefix) return this.#object(id) as Row | undefined;
    if (table.prefix === TABLES.prefix.prefix) return this.#prefix(id) as Row | undefined;
    if (!KEPT_PREFIXES.has(table.prefix)) return this.#read(table, id);
    if (this.#kept.has(id)) return this.#kept.get(id) as Row | undefined;
    const row = this.#read(table, id);
    this.#keep(id, row);
    return row;
  }

  /** As `get`, for a write: an object that is about to change need not be remembered for long. */
  getForWrite<Row>(table: Table<Row>, key: string): Row | undefined {
    if (table.prefix !== TABLES.object.prefix) return this.get(table, key);
    const id = rowId(table, key);
    const hot = this.#hot.get(id);
    if (hot !== undefined) return hot as Row;
    const row = this.#read(TABLES.object, id);
    if (row !== undefined && row.object.parts.length === 0) this.#noteFound(id, row);
    return row as Row | undefined;
  }

  rows<Row>(table: Table<Row>, gte: string, lt: string): Array<{ key: string; row: Row }> {
    const found: Array<{ key: string; row: Row }> = [];
    const range = { gte: indexKey(table.prefix, gte), lt: indexKey(table.prefix, lt) };
    for (const { key, value } of this.#kv.range(range)) {
      const text = asBuffer(key).toString("utf8", table.prefix.length);
      found.push({ key: text, row: decodeRow(table, value, this.#crc32) });
    }
    return found;
  }

  firstVersion(gte: string, lt: string): VersionRow | undefined {
    for (const { value } of this.values(TABLES.version, gte, lt)) {
      return decodeRow(TABLES.version, value, this.#crc32);
    }
    return undefined;
  }

  /** Values as they are stored, in order of keys; each is valid until the next is asked for. */
  *values(
    table: Table<unknown>,
    gte: string,
    lt: string,
  ): Generator<{ key: string; value: Uint8Array }> {
    const range = { gte: indexKey(table.prefix, gte), lt: indexKey(table.prefix, lt) };
    for (const { key, value } of this.#kv.range(range)) {
      yield { key: asBuffer(key).toString("utf8", table.prefix.length), value };
    }
  }

  /**
   * Told that a batch is in the store: rows it changed are read again, and counts are taken over.
   */
  applied(changes: Iterable<readonly [id: string, change: RowChange]>): void {
    // Clearing it would let its old table name the new one: see IndexView.
    if (this.#found.size > 0) this.#found = new Map();
    for (const [id, { table, row }] of changes) {
      const { prefix } = table;
      if (prefix === TABLES.object.prefix) this.#hot.delete(id);
      else if (prefix === TABLES.prefix.prefix) {
        this.#prefixes.set(id, (row as PrefixRow | undefined) ?? "absent", 1);
      } else if (COUNTED_PREFIXES.has(prefix)) this.#keep(id, row);
      else if (KEPT_PREFIXES.has(prefix)) this.#kept.delete(id);
      if (prefix === TABLES.bucket.prefix) this.bucketChanges += 1;
      else if (prefix === TABLES.site.prefix) this.siteChanges += 1;
    }
  }

  #keep(id: string, row: unknown): void {
    if (this.#kept.size >= KEPT_ROWS_MAX) this.#kept.clear();
    this.#kept.set(id, row);
  }

  #object(id: string): ObjectRow | undefined {
    const hot = this.#hot.get(id);
    if (hot !== undefined) return hot;
    const row = this.#read(TABLES.object, id);
    // A row with thousands of parts would push out many that are asked for more often.
    if (row !== undefined && row.object.parts.length === 0) this.#hot.set(id, row, 1);
    return row;
  }

  #prefix(id: string): PrefixRow | undefined {
    const hot = this.#prefixes.get(id);
    if (hot !== undefined) return hot === "absent" ? undefined : hot;
    const row = this.#read(TABLES.prefix, id);
    this.#prefixes.set(id, row ?? "absent", 1);
    return row;
  }

  #read<Row>(table: Table<Row>, id: string): Row | undefined {
    const found = this.#found.get(id);
    if (found !== undefined) return found === ABSENT ? undefined : (found as Row);
    const value = this.#kv.get(Buffer.from(id, "utf8"));
    if (value !== undefined) return decodeRow(table, value, this.#crc32);
    this.#noteFound(id, ABSENT);
    return undefined;
  }

  #noteFound(id: string, row: object | typeof ABSENT): void {
    if (this.#found.size >= FOUND_MAX) this.#found = new Map();
    this.#found.set(id, row);
  }
}

import { assert } from "../../core/assert.ts";
import { ByteWriter } from "../../core/bytes.ts";
import type { Kv, KvMutation } from "../../ports/kv.ts";
import { type Crc32, decodeRow, encodeRow, TABLES, type Table } from "./rows.ts";
import { type RowChange, type RowReader, rowId, StoredRows } from "./stored-rows.ts";
import type { VersionRow } from "./version-rows.ts";

type Change = { readonly table: Table<unknown>; row: unknown };
/** Rows changed by one batch, by prefix and key; an absent row was removed. */
export type BatchChanges = Map<string, RowChange>;

/**
 * The index as it will be once all batches in line have been applied: their rows lie above those of
 * the store. Clients read from the store alone.
 *
 * Each batch has a map of its own, which is released as a whole. In one long-lived map, rows that
 * come and go would make V8 allocate a new table every few hundred entries. Each table refers to
 * the next, so once one has reached the old generation, all that follow are kept alive, with the
 * writes in them, until a full collection.
 */
export class IndexView implements RowReader {
  /** What clients read. */
  readonly stored: StoredRows;
  bucketChanges = 0;
  siteChanges = 0;
  readonly #crc32: Crc32;
  /** Closed batches that are not yet in the store, oldest first. */
  readonly #taken: BatchChanges[] = [];
  /** Pending rows of versions, by bucket and key. */
  readonly #pendingVersions = new Map<string, PendingVersions>();
  #open = new Map<string, Change>();
  #rows = new ByteWriter(256 * 1024);

  constructor(kv: Kv, crc32: Crc32) {
    this.stored = new StoredRows(kv, crc32);
    this.#crc32 = crc32;
  }

  get<Row>(table: Table<Row>, key: string): Row | undefined {
    const id = rowId(table, key);
    const pending = this.#pending(id);
    if (pending !== undefined) return pending.row as Row | undefined;
    return this.stored.getForWrite(table, key);
  }

  put<Row>(table: Table<Row>, key: string, row: Row): void {
    this.#set(table, key, row);
  }

  remove<Row>(table: Table<Row>, key: string): void {
    this.#set(table, key, undefined);
  }

  rows<Row>(table: Table<Row>, gte: string, lt: string): Array<{ key: string; row: Row }> {
    const merged = new Map<string, Row | undefined>();
    for (const { key, row } of this.stored.rows(table, gte, lt)) merged.set(key, row);
    for (const batch of [...this.#taken, this.#open]) {
      for (const [id, { row }] of batch) {
        const key = id.slice(table.prefix.length);
        if (!id.startsWith(table.prefix) || key < gte || key >= lt) continue;
        merged.set(key, row as Row | undefined);
      }
    }
    return [...merged]
      .flatMap(([key, row]) => (row === undefined ? [] : [{ key, row }]))
      .sort((left, right) => Buffer.compare(Buffer.from(left.key), Buffer.from(right.key)));
  }

  firstVersion(gte: string, lt: string): VersionRow | undefined {
    const pending = this.#pendingVersions.get(keyInFront(gte));
    let least: string | undefined;
    for (const key of pending?.live ?? []) {
      if (key >= gte && key < lt && (least === undefined || key < least)) least = key;
    }
    const { passed } = pending ?? {};
    const from = passed !== undefined && passed > gte ? passed : gte;
    for (const { key, value } of this.stored.values(TABLES.version, from, least ?? lt)) {
      if (this.#pending(TABLES.version.prefix + key) === undefined) {
        return decodeRow(TABLES.version, value, this.#crc32);
      }
      if (pending !== undefined && gte <= pending.start) pending.passed = key;
    }
    return least === undefined ? undefined : this.get(TABLES.version, least);
  }

  /** Number of rows changed since the last `takeBatch`. */
  get changed(): number {
    return this.#open.size;
  }

  /**
   * Closes a batch: its changes stay visible here until `applied` says that they are in the store.
   */
  takeBatch(): BatchChanges {
    const batch = this.#open;
    this.#open = new Map();
    this.#taken.push(batch);
    return batch;
  }

  /** The mutations that bring a batch into the store. All values share one buffer. */
  mutationsOf(batch: BatchChanges): KvMutation[] {
    const writer = this.#rows;
    writer.reset();
    const ends: number[] = [];
    for (const { table, row } of batch.values()) {
      if (row !== undefined) encodeRow(writer, table, row, this.#crc32);
      ends.push(writer.length);
    }
    const values = writer.finish();
    const mutations: KvMutation[] = [];
    let start = 0;
    for (const id of batch.keys()) {
      const end = ends[mutations.length] ?? start;
      const value = end === start ? undefined : values.subarray(start, end);
      mutations.push({ key: Buffer.from(id, "utf8"), value });
      start = end;
    }
    return mutations;
  }

  /** Told that the oldest closed batch is in the store. */
  applied(batch: BatchChanges): void {
    assert(this.#taken.shift() === batch, "batches come into the store in their order");
    this.stored.applied(batch);
    if (this.#pendingVersions.size === 0) return;
    for (const id of batch.keys()) {
      if (!id.startsWith(TABLES.version.prefix)) continue;
      if (this.#pending(id) === undefined) this.#forgetVersion(id.slice(1));
    }
  }

  /** The last change of a row that is not yet in the store. Hot path. */
  #pending(id: string): RowChange | undefined {
    let change: RowChange | undefined = this.#open.get(id);
    for (let at = this.#taken.length - 1; change === undefined && at >= 0; at--) {
      change = this.#taken[at]?.get(id);
    }
    return change;
  }

  #noteVersion(key: string, isLive: boolean): void {
    const name = keyInFront(key);
    let pending = this.#pendingVersions.get(name);
    if (pending === undefined) {
      pending = { start: `${name}\0`, keys: new Set(), live: new Set(), passed: undefined };
      this.#pendingVersions.set(name, pending);
    }
    pending.keys.add(key);
    if (isLive) pending.live.add(key);
    else pending.live.delete(key);
  }

  #forgetVersion(key: string): void {
    const name = keyInFront(key);
    const pending = this.#pendingVersions.get(name);
    if (pending === undefined) return;
    pending.keys.delete(key);
    pending.live.delete(key);
    pending.passed = undefined;
    if (pending.keys.size === 0) this.#pendingVersions.delete(name);
  }

  #set(table: Table<unknown>, key: string, row: unknown): void {
    const id = rowId(table, key);
    const change = this.#open.get(id);
    if (change === undefined) this.#open.set(id, { table, row });
    else change.row = row;
    if (table.prefix === TABLES.version.prefix) this.#noteVersion(key, row !== undefined);
    else if (table.prefix === TABLES.bucket.prefix) this.bucketChanges += 1;
    else if (table.prefix === TABLES.site.prefix) this.siteChanges += 1;
  }
}

/** The pending rows of one key's versions, and which of them are not removals. */
type PendingVersions = {
  /** The text that every one of their keys begins with. */
  readonly start: string;
  readonly keys: Set<string>;
  readonly live: Set<string>;
  /** Every stored row up to this one has a pending change, so the stored rows do not count. */
  passed: string | undefined;
};

/** Bucket and key, of the key of a row of a version or of the beginning of one. */
function keyInFront(key: string): string {
  return key.slice(0, key.lastIndexOf("\0"));
}

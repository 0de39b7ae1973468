import { ignore } from "../core/ignore.ts";
import type { Kv, KvMutation, KvRange, KvRow } from "../ports/kv.ts";
import { ReadyRows, type Side, sideOf } from "./metadata/ready-rows.ts";
import { ReadyVersions } from "./metadata/ready-versions.ts";
import { TABLES } from "./metadata/rows.ts";

/**
 * Rows written in one transaction. They are neighbours, so that it changes few pages of the index.
 */
const ROWS_PER_WRITE = 4096;
/**
 * Memory for gathered rows: two such areas, one filled while the other is written. A row is at most
 * a few KiB.
 */
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;
const MEMORY_BYTES_MIN = 16 * 1024;
/** Memory for older versions, which are gathered only so that they can be sorted. */
const VERSIONS_BYTES = 8 * 1024 * 1024;
/**
 * Rows of small objects take about this part of their log. With memory of that size some rows are
 * written early, beside the reading of the log, and not all of them at its end.
 */
const PART_OF_LOG = 1 / 16;
const TOMBSTONE_BYTE = TABLES.tombstone.prefix.charCodeAt(0);

/** What a key has below the rows that are gathered: a row of one table. */
export type RowBelow = { readonly side: Side; readonly value: Uint8Array };

/**
 * The index as a rebuild sees it. Rows of objects and tombstones are gathered in memory, above what
 * the store holds. By the hundred thousand they are sorted by key and written to the store, while
 * the next ones are gathered. Writes are done one after the other, in the order asked for.
 *
 * Invariant: a row stands in one of the two memory areas or in the store, and the latest one
 * counts.
 */
export class GatheredRows implements Kv {
  readonly #kv: Kv;
  readonly #memoryBytes: number;
  #gathering: ReadyRows | undefined;
  #leaving: ReadyRows | undefined;
  /** An emptied memory area, to be filled next. */
  #spare: ReadyRows | undefined;
  #versions: ReadyVersions | undefined;
  #writes: Promise<void> = Promise.resolve();

  /** @param logBytes size of the log to be read; the memory for rows follows from it. */
  constructor(kv: Kv, logBytes: number) {
    this.#kv = kv;
    const bytes = Math.ceil(logBytes * PART_OF_LOG);
    this.#memoryBytes = Math.max(MEMORY_BYTES_MIN, Math.min(MEMORY_BYTES_MAX, bytes));
  }

  /** Memory with room for a row of this many bytes; "flush" when `flush` has to be called first. */
  roomFor(bytes: number): ReadyRows | "flush" {
    this.#gathering ??= new ReadyRows(this.#memoryBytes);
    return this.#gathering.isFull(bytes) ? "flush" : this.#gathering;
  }

  /**
   * The row of a key that the memory being filled knows nothing of: from the memory being written,
   * or from the store.
   *
   * @param name the key's name in its first `nameBytes` bytes, as `ReadyRows` has names; `hash` is
   * `first` of its `hashPair`.
   * @param mayBeDeleted whether to look for a tombstone too.
   */
  below(
    hash: number,
    name: Buffer,
    nameBytes: number,
    mayBeDeleted: boolean,
  ): RowBelow | undefined {
    const leaving = this.#leaving;
    const row = leaving?.find(hash, name, nameBytes) ?? -1;
    if (leaving !== undefined && row >= 0) {
      const side = leaving.sideAt(row);
      return side === undefined ? undefined : { side, value: leaving.valueAt(row) };
    }
    const key = name.subarray(0, nameBytes);
    const value = this.#kv.get(key);
    if (value !== undefined) return { side: "object", value };
    if (!mayBeDeleted) return undefined;
    const objectByte = key[0] as number;
    key[0] = TOMBSTONE_BYTE;
    const tombstone = this.#kv.get(key);
    key[0] = objectByte;
    return tombstone === undefined ? undefined : { side: "tombstone", value: tombstone };
  }

  /** Begins to write the gathered rows to the store. Resolves when there is room for more. */
  async flush(): Promise<void> {
    const rows = this.#gathering;
    if (rows === undefined || rows.count === 0) return;
    // The other memory area is free once its rows have been written.
    await this.#writes;
    this.#gathering = this.#spare;
    this.#spare = undefined;
    this.#leaving = rows;
    this.#queue(() => this.#store(rows));
  }

  /**
   * Memory with room for a version; "flush versions" when `flushVersions` has to be called first.
   */
  versionsFor(nameBytes: number, valueBytes: number): ReadyVersions | "flush versions" {
    this.#versions ??= new ReadyVersions(Math.min(VERSIONS_BYTES, this.#memoryBytes));
    return this.#versions.isFull(nameBytes, valueBytes) ? "flush versions" : this.#versions;
  }

  /** How many versions wait in memory. They must be written before anything looks for a version. */
  get versions(): number {
    return this.#versions?.count ?? 0;
  }

  /** Resolves when all versions stand in the store. */
  async flushVersions(): Promise<void> {
    const versions = this.#versions;
    if (versions === undefined || versions.count === 0) return;
    await this.#queue(() => this.#write(versions.parts(ROWS_PER_WRITE)));
    versions.clear();
  }

  get hasGathered(): boolean {
    return (this.#gathering?.count ?? 0) > 0;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const side = sideOf(key);
    if (side !== undefined) {
      const ready = this.#gathering?.get(key, side) ?? this.#leaving?.get(key, side);
      if (ready !== undefined) return ready === "removed" ? undefined : ready;
    }
    return this.#kv.get(key);
  }

  range(query: KvRange): Iterable<KvRow> {
    return this.#kv.range(query);
  }

  write(mutations: readonly KvMutation[]): Promise<void> {
    for (const { key } of mutations) {
      const side = sideOf(key);
      if (side !== undefined) this.#gathering?.pass(key, side);
    }
    return this.#queue(() => this.#kv.write(mutations));
  }

  sync(): Promise<void> {
    return this.#kv.sync();
  }

  backup(directory: string): Promise<void> {
    return this.#kv.backup(directory);
  }

  sizeBytes(): number {
    return this.#kv.sizeBytes();
  }

  count(): number {
    return this.#kv.count();
  }

  close(): Promise<void> {
    return this.#kv.close();
  }

  #queue(write: () => Promise<void>): Promise<void> {
    const written = this.#writes.then(write);
    this.#writes = written;
    // Whoever waits for it hears of a failure, and everything behind it fails with it.
    written.catch(ignore);
    return written;
  }

  async #store(rows: ReadyRows): Promise<void> {
    await this.#write(rows.parts(ROWS_PER_WRITE));
    this.#leaving = undefined;
    rows.clear();
    this.#spare = rows;
  }

  async #write(parts: Iterable<KvMutation[]>): Promise<void> {
    let before = Promise.resolve();
    for (const part of parts) {
      const written = this.#kv.write(part);
      // It is waited for behind the one before it, and fails with that.
      written.catch(ignore);
      // While one part is written the next is made.
      await before;
      before = written;
    }
    await before;
  }
}

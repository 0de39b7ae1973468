import type { Kv, KvMutation, KvRange, KvRow } from "../ports/kv.ts";
import { ReadyRows } from "./metadata/ready-rows.ts";
import { TABLES } from "./metadata/rows.ts";

/** Rows of one transaction: neighbours, so that it changes few pages of a large index. */
const ROWS_PER_WRITE = 4096;
/** There are two of them; a row is at most a few KiB. */
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;
const MEMORY_BYTES_MIN = 64 * 1024;
const OBJECT_BYTE = TABLES.object.prefix.charCodeAt(0);

/**
 * The index as a rebuild sees it: rows of objects that are gathered in memory lie above what is
 * stored, and go there by the hundred thousand, in order of their keys, while the next ones are
 * gathered. Everything that is written goes one after the other, in the order asked for.
 *
 * Invariant: a row stands in one of the two memories or in the store, and the latest one counts.
 */
export class GatheredRows implements Kv {
  readonly #kv: Kv;
  readonly #memoryBytes: number;
  #gathering: ReadyRows | undefined;
  #leaving: ReadyRows | undefined;
  /** Memory that is used again. */
  #spare: ReadyRows | undefined;
  #writes: Promise<void> = Promise.resolve();

  /** @param logBytes of the log that is read: its rows take no more. */
  constructor(kv: Kv, logBytes: number) {
    this.#kv = kv;
    this.#memoryBytes = Math.max(MEMORY_BYTES_MIN, Math.min(MEMORY_BYTES_MAX, logBytes));
  }

  /** Where a row of so many bytes can be put; until `flush` has been called when that is told. */
  roomFor(bytes: number): ReadyRows | "flush" {
    this.#gathering ??= new ReadyRows(this.#memoryBytes);
    return this.#gathering.isFull(bytes) ? "flush" : this.#gathering;
  }

  /** Begins to bring what is gathered into the store. Resolves when there is room for more. */
  async flush(): Promise<void> {
    const rows = this.#gathering;
    if (rows === undefined || rows.count === 0) return;
    // The memory that went before is used again.
    await this.#writes;
    this.#gathering = this.#spare;
    this.#spare = undefined;
    this.#leaving = rows;
    this.#queue(() => this.#store(rows));
  }

  get hasGathered(): boolean {
    return (this.#gathering?.count ?? 0) > 0;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    if (key[0] === OBJECT_BYTE) {
      const name = key as Buffer;
      const ready = this.#gathering?.get(name) ?? this.#leaving?.get(name);
      if (ready !== undefined) return ready;
    }
    return this.#kv.get(key);
  }

  range(query: KvRange): Iterable<KvRow> {
    return this.#kv.range(query);
  }

  write(mutations: readonly KvMutation[]): Promise<void> {
    for (const { key } of mutations) {
      if (key[0] === OBJECT_BYTE) this.#gathering?.remove(key as Buffer);
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
    written.catch(nothing);
    return written;
  }

  async #store(rows: ReadyRows): Promise<void> {
    let part: KvMutation[] = [];
    for (const row of rows.sorted()) {
      part.push(row);
      if (part.length < ROWS_PER_WRITE) continue;
      await this.#kv.write(part);
      part = [];
    }
    await this.#kv.write(part);
    this.#leaving = undefined;
    rows.clear();
    this.#spare = rows;
  }
}

function nothing(): void {
  // See where it is used.
}

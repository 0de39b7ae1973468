import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { open as openEnvironment, type RangeOptions, type RootDatabase } from "lmdb";
import { assert } from "../core/assert.ts";
import { asBuffer } from "../core/bytes.ts";
import type { Kv, KvMutation, KvRange, KvRow, KvWalk, OpenKv } from "./kv.ts";
import { type LmdbRow, LmdbWalk, lmdbFormats } from "./lmdb-walk.ts";

/** lmdb-js compiles this limit in for 4 KiB pages. */
const KEY_BYTES_MAX = 1978;
/** Address space, not memory or disk: it only has to be larger than any index. */
const MAP_BYTES = 256 * 1024 ** 3;
/** About the changes of two writes; more are worth the writer thread. */
const SYNC_MUTATIONS_MAX = 12;
const ARENA_BYTES = 64 * 1024;
const NOTHING = new Uint8Array(0);
const LOWEST_KEY = Buffer.from([0]);

type Database = RootDatabase<Uint8Array, Uint8Array>;

/**
 * LMDB without syncs: the segments are the truth, so the index only has to be whole while the
 * kernel lives. A store made here must never be opened in another mode (its first commits fail).
 */
export const openLmdb: OpenKv = async (directory) => {
  await fs.promises.mkdir(directory, { recursive: true, mode: 0o700 });
  const row: LmdbRow = { wanted: false, key: NOTHING, keyEnd: 0, value: NOTHING, valueEnd: 0 };
  const database: Database = openEnvironment({
    path: directory,
    noSubdir: false,
    noSync: true,
    ...lmdbFormats(row),
    cache: false,
    compression: false,
    noMemInit: true,
    maxReaders: 64,
    mapSize: MAP_BYTES,
  });
  // LMDB creates its files readable for the group.
  await fs.promises.chmod(join(directory, "data.mdb"), 0o600);
  await fs.promises.chmod(join(directory, "lock.mdb"), 0o600);
  return new LmdbKv(database, row, join(directory, "data.mdb"));
};

class LmdbKv implements Kv {
  readonly #database: Database;
  readonly #row: LmdbRow;
  readonly #dataFile: string;
  #arena = Buffer.allocUnsafeSlow(ARENA_BYTES);
  #arenaUsed = 0;
  #failure: Error | undefined;
  #closed: Promise<void> | undefined;

  constructor(database: Database, row: LmdbRow, dataFile: string) {
    this.#database = database;
    this.#row = row;
    this.#dataFile = dataFile;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const found = this.#database.getBinaryFast(key);
    return found === undefined ? undefined : this.#keep(found);
  }

  range(query: KvRange): Iterable<KvRow> {
    if (query.lt?.length === 0) return [];
    return this.#database.getRange(query.reverse === true ? downwards(query) : upwards(query));
  }

  walk(query: KvRange): KvWalk {
    return new LmdbWalk(this.range(query)[Symbol.iterator](), this.#row);
  }

  async write(mutations: readonly KvMutation[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    assert(this.#closed === undefined, "the index is closed");
    if (mutations.length === 0) return;
    // A key refused half-way would leave the first half in the transaction: look at all first.
    for (const { key } of mutations) {
      assert(key.length > 0 && key.length <= KEY_BYTES_MAX, "index keys are 1 to 1,978 bytes");
    }
    await this.#commit(mutations);
  }

  async sync(): Promise<void> {
    // Without a writable map LMDB writes its file by system calls, so a plain fsync covers it.
    await syncPath(this.#dataFile);
    await syncPath(dirname(this.#dataFile));
  }

  async backup(directory: string): Promise<void> {
    await fs.promises.mkdir(directory, { recursive: true, mode: 0o700 });
    await this.#database.backup(directory, false);
    const copy = join(directory, "data.mdb");
    await fs.promises.chmod(copy, 0o600);
    await syncPath(copy);
    await syncPath(directory);
  }

  sizeBytes(): number {
    return fs.statSync(this.#dataFile).size;
  }

  count(): number {
    const stats: object = this.#database.getStats();
    assert("entryCount" in stats && typeof stats.entryCount === "number", "LMDB tells its size");
    return stats.entryCount;
  }

  close(): Promise<void> {
    // lmdb-js waits for the transaction in flight; closing twice would free memory twice.
    this.#closed ??= this.#database.close();
    return this.#closed;
  }

  /**
   * Everything queued in one turn of the event loop lands in one transaction, and its promise
   * resolves after the read snapshot of this thread has been let go, so that a later read sees it.
   * When a commit fails lmdb-js also rejects a promise of its own that nobody can catch: whoever
   * runs the process must treat an unhandled rejection as the end, which is what it is.
   */
  async #commit(mutations: readonly KvMutation[]): Promise<void> {
    const database = this.#database;
    if (mutations.length <= SYNC_MUTATIONS_MAX) {
      this.#commitNow(mutations);
      return;
    }
    let first: Promise<boolean> | undefined;
    let last: Promise<boolean> | undefined;
    for (let at = 0; at < mutations.length; at++) {
      const mutation = mutations[at] as KvMutation;
      last =
        mutation.value === undefined
          ? database.remove(mutation.key)
          : database.put(mutation.key, mutation.value);
      first ??= last;
    }
    try {
      // A long batch spans two promises of the same transaction; both need an owner.
      if (first === last) await last;
      else await Promise.all([first, last]);
    } catch (failure) {
      // The mapped file and the log have parted: nothing may be written on top of that.
      this.#failure = namedFailure(failure);
      throw this.#failure;
    }
  }

  /**
   * Commits on this thread: for so few rows the two thread switches would cost more than the
   * commit.
   */
  #commitNow(mutations: readonly KvMutation[]): void {
    const database = this.#database;
    try {
      database.transactionSync(() => {
        for (const { key, value } of mutations) {
          if (value === undefined) database.removeSync(key);
          else database.putSync(key, value);
        }
      });
    } catch (failure) {
      this.#failure = namedFailure(failure);
      throw this.#failure;
    }
  }

  /** Copies a value out of lmdb-js's one read buffer: the next get overwrites that. */
  #keep(found: Buffer): Uint8Array {
    const length = found.length;
    if (length > ARENA_BYTES / 4) return Uint8Array.prototype.slice.call(found, 0, length);
    if (this.#arenaUsed + length > ARENA_BYTES) {
      this.#arena = Buffer.allocUnsafeSlow(ARENA_BYTES);
      this.#arenaUsed = 0;
    }
    const start = this.#arenaUsed;
    this.#arena.set(found.subarray(0, length), start);
    this.#arenaUsed = start + length;
    return this.#arena.subarray(start, start + length);
  }
}

/** LMDB walks from `start` (included unless told otherwise) to `end` (excluded likewise). */
function upwards(query: KvRange): RangeOptions {
  const from = query.gt ?? query.gte;
  const start = from === undefined || from.length === 0 ? LOWEST_KEY : asKey(from);
  const options: RangeOptions = { start };
  if (query.gt !== undefined && query.gt.length > 0) options.exclusiveStart = true;
  if (query.lt !== undefined) options.end = asKey(query.lt);
  if (query.limit !== undefined) options.limit = query.limit;
  return options;
}

function downwards(query: KvRange): RangeOptions {
  // Without an explicit end lmdb-js would stop before the one-byte key 0x00.
  const options: RangeOptions = { reverse: true, end: undefined as never };
  if (query.lt !== undefined) {
    options.start = asKey(query.lt);
    options.exclusiveStart = true;
  }
  const to = query.gt ?? query.gte;
  if (to !== undefined && to.length > 0) {
    options.end = asKey(to);
    options.inclusiveEnd = query.gt === undefined;
  }
  if (query.limit !== undefined) options.limit = query.limit;
  return options;
}

function asKey(bytes: Uint8Array): Buffer {
  assert(bytes.length <= KEY_BYTES_MAX, "bounds of a range are at most 1,978 bytes");
  return asBuffer(bytes);
}

/** lmdb-js hangs the cause on the error as a promise of its own, which must not go unowned. */
function namedFailure(failure: unknown): Error {
  if (failure instanceof Error && "commitError" in failure) {
    const { commitError } = failure;
    if (commitError instanceof Promise) {
      commitError.catch((cause: unknown) => {
        failure.cause = cause;
      });
    }
  }
  return failure instanceof Error ? failure : new Error("index commit failed", { cause: failure });
}

async function syncPath(path: string): Promise<void> {
  const file = await fs.promises.open(path, fs.constants.O_RDONLY);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

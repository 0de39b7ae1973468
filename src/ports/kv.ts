/**
 * An ordered map of byte strings, the home of the index. Order is that of unsigned bytes; keys are
 * 1 to 1,978 bytes. One writer, many readers.
 *
 * `write` is atomic: readers see all of it or nothing, and once it has resolved every later read
 * sees it. It is NOT durable: a power cut may lose or damage anything since the last `sync`, and
 * the caller must be able to rebuild it.
 */
export interface Kv {
  /** The value, valid until the caller's next turn of the event loop; undefined when absent. */
  get(key: Uint8Array): Uint8Array | undefined;
  /**
   * Rows in order, as one stable snapshot. Iterate within one turn of the event loop. A row's value
   * is only valid until the next row is asked for or anything else is read: copy what is kept.
   */
  range(query: KvRange): Iterable<KvRow>;
  /**
   * As `range`, for walks over many rows: nothing is allocated for one. A store that could only do
   * it by `range` leaves this out; callers use `walkRows`.
   */
  walk?(query: KvRange): KvWalk;
  /** Later mutations of the same key win. The caller must not change the bytes until it settles. */
  write(mutations: readonly KvMutation[]): Promise<void>;
  /** Resolves when everything written so far survives a power cut (before a clean shutdown). */
  sync(): Promise<void>;
  /** Writes a consistent, synced copy into an empty directory; it opens like the original. */
  backup(directory: string): Promise<void>;
  /** Bytes that the store takes on disk. */
  sizeBytes(): number;
  /** Number of rows. */
  count(): number;
  close(): Promise<void>;
}

export type KvRow = { readonly key: Uint8Array; readonly value: Uint8Array };

/**
 * Stands at one row after the other, before the first at the beginning. The bytes of a row lie in
 * memory that is used again as soon as the next is asked for or anything else is read.
 */
export interface KvWalk {
  /** Moves on; false when there is no further row. */
  next(): boolean;
  readonly key: Uint8Array;
  /** Offsets of the key in `key`; the value begins where `value` does. */
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly value: Uint8Array;
  readonly valueEnd: number;
  /** Ends the walk; may be called again. */
  close(): void;
}

/** A missing value removes the key. */
export type KvMutation = { readonly key: Uint8Array; readonly value: Uint8Array | undefined };

/** From `gte` (or after `gt`) up to but not including `lt`. Reverse goes from the greatest down. */
export type KvRange = {
  readonly gte?: Uint8Array;
  readonly gt?: Uint8Array;
  readonly lt?: Uint8Array;
  readonly reverse?: boolean;
  readonly limit?: number;
};

/** Opens the store in a directory, creating it when there is none. */
export type OpenKv = (directory: string) => Promise<Kv>;

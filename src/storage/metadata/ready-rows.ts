import type { KvMutation } from "../../ports/kv.ts";
import { hashPair } from "./known-keys.ts";
import { sortSpans } from "./sort-spans.ts";

/** A row of a short key and a small object takes about so much. */
const BYTES_PER_ROW = 88;
/** Keys that meet in so many slots are not taken: whoever chooses keys must not slow this down. */
const PROBES_MAX = 64;

/**
 * Encoded rows on their way into the index: one piece of memory, where each lies, and a table by
 * hash to find one. Without an object for each row half a million cost no work of the collector.
 */
export class ReadyRows {
  readonly #memory: Buffer;
  readonly #starts: Uint32Array;
  readonly #keyBytes: Uint16Array;
  readonly #valueBytes: Uint32Array;
  /** By hash of the key: number of its row and one, or 0. */
  readonly #slots: Int32Array;
  #used = 0;
  #count = 0;

  constructor(memoryBytes: number) {
    const rows = Math.ceil(memoryBytes / BYTES_PER_ROW);
    this.#memory = Buffer.allocUnsafeSlow(memoryBytes);
    this.#starts = new Uint32Array(rows);
    this.#keyBytes = new Uint16Array(rows);
    this.#valueBytes = new Uint32Array(rows);
    this.#slots = new Int32Array(rows * 2);
  }

  /** Where rows lie: whoever has reserved room writes a key and its value there. */
  get memory(): Buffer {
    return this.#memory;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether there is no room for another row of this size. */
  isFull(bytes: number): boolean {
    return this.#count === this.#starts.length || this.#used + bytes > this.#memory.length;
  }

  /** Whether the table has a slot for another key; `hash` is `first` of its `hashPair`. */
  mayTake(hash: number): boolean {
    return this.#freeSlot(hash) >= 0;
  }

  /**
   * Makes room for a row that is not there yet and may be taken, its value directly behind its key.
   * Gives where; it must be filled before anything else is asked.
   */
  reserve(hash: number, keyBytes: number, valueBytes: number): number {
    const slot = this.#freeSlot(hash);
    const row = this.#count++;
    const start = this.#used;
    this.#slots[slot] = row + 1;
    this.#starts[row] = start;
    this.#keyBytes[row] = keyBytes;
    this.#valueBytes[row] = valueBytes;
    this.#used = start + keyBytes + valueBytes;
    return start;
  }

  /** The value of a row; shares memory until `clear`. */
  get(key: Buffer): Buffer | undefined {
    const row = this.#find(key);
    if (row === undefined) return undefined;
    const start = (this.#starts[row] as number) + (this.#keyBytes[row] as number);
    return this.#memory.subarray(start, start + (this.#valueBytes[row] as number));
  }

  /** A later row of this key has gone another way: this one will not be written. */
  remove(key: Buffer): void {
    const row = this.#find(key);
    // Its key stays, so that the table stays whole.
    if (row !== undefined) this.#valueBytes[row] = 0;
  }

  /** The rows that are left, in order of keys. They share memory until `clear`. */
  *sorted(): Generator<KvMutation> {
    const spans = { memory: this.#memory, starts: this.#starts, lengths: this.#keyBytes };
    for (const row of sortSpans(spans, this.#count)) {
      const valueBytes = this.#valueBytes[row] as number;
      if (valueBytes === 0) continue;
      const start = this.#starts[row] as number;
      const middle = start + (this.#keyBytes[row] as number);
      const key = this.#memory.subarray(start, middle);
      yield { key, value: this.#memory.subarray(middle, middle + valueBytes) };
    }
  }

  clear(): void {
    this.#slots.fill(0);
    this.#used = 0;
    this.#count = 0;
  }

  #freeSlot(hash: number): number {
    let slot = hash % this.#slots.length;
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      if (this.#slots[slot] === 0) return slot;
      slot = (slot + 1) % this.#slots.length;
    }
    return -1;
  }

  #find(key: Buffer): number | undefined {
    if (this.#count === 0) return undefined;
    let slot = hashPair(key, 0, key.length).first % this.#slots.length;
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      const row = (this.#slots[slot] as number) - 1;
      if (row < 0) return undefined;
      const start = this.#starts[row] as number;
      const keyBytes = this.#keyBytes[row] as number;
      if (keyBytes === key.length && this.#isAt(key, start)) {
        return this.#valueBytes[row] === 0 ? undefined : row;
      }
      slot = (slot + 1) % this.#slots.length;
    }
    return undefined;
  }

  #isAt(key: Buffer, start: number): boolean {
    return this.#memory.compare(key, 0, key.length, start, start + key.length) === 0;
  }
}

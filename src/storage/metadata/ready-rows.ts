import type { KvMutation } from "../../ports/kv.ts";
import { hashPair, hashStart } from "./known-keys.ts";
import { TABLES } from "./rows.ts";
import { sortSpans } from "./sort-spans.ts";

/** A row of a short key and a small object takes about so much. */
const BYTES_PER_ROW = 88;
/** Keys that meet in so many slots are not taken: whoever chooses keys must not slow this down. */
const PROBES_MAX = 64;
const OBJECT_BYTE = TABLES.object.prefix.charCodeAt(0);
const TOMBSTONE_BYTE = TABLES.tombstone.prefix.charCodeAt(0);
/** Hash state of the byte with which every name begins. */
const OBJECT_START = hashStart(Buffer.of(OBJECT_BYTE));

/** Flags of a key: which kind of row is here for it. */
const HAS = { object: 1, tombstone: 2 } as const;
/** Flags of a key: which kinds of rows may lie below, in what this memory is written over. */
const BELOW = { object: 4, tombstone: 8 } as const;
/**
 * Flags of a key: a later row of that table was written past this memory. That one counts, here and
 * in the store.
 */
const PASSED = { object: 16, tombstone: 32 } as const;

export type Side = keyof typeof HAS;
const SIDES: ReadonlyMap<number, Side> = new Map([
  [OBJECT_BYTE, "object"],
  [TOMBSTONE_BYTE, "tombstone"],
]);

const OBJECTS: readonly Side[] = ["object"];
const BOTH: readonly Side[] = ["object", "tombstone"];

/** The table in which a row stands, when it is one of those that are gathered. */
export function sideOf(key: Uint8Array): Side | undefined {
  return SIDES.get(key[0] as number);
}

/**
 * Rows on their way into the index, encoded: of each key either the row of an object or a
 * tombstone. They lie in one piece of memory, with an array of places and a hash table to find
 * them: half a million rows without an object for each cost the garbage collector nothing.
 *
 * A key goes by its "name", which is its key in the table of objects, whichever kind of row it has.
 */
export class ReadyRows {
  readonly #memory: Buffer;
  readonly #starts: Uint32Array;
  readonly #nameBytes: Uint16Array;
  readonly #valueStarts: Uint32Array;
  readonly #valueBytes: Uint32Array;
  readonly #flags: Uint8Array;
  /** Hash table: 1 + the number of a row, or 0. */
  readonly #slots: Int32Array;
  #used = 0;
  #count = 0;
  /** Whether there is anything to be done in the table of tombstones. */
  #hasTombstones = false;

  constructor(memoryBytes: number) {
    const rows = Math.ceil(memoryBytes / BYTES_PER_ROW);
    this.#memory = Buffer.allocUnsafeSlow(memoryBytes);
    this.#starts = new Uint32Array(rows);
    this.#nameBytes = new Uint16Array(rows);
    this.#valueStarts = new Uint32Array(rows);
    this.#valueBytes = new Uint32Array(rows);
    this.#flags = new Uint8Array(rows);
    this.#slots = new Int32Array(rows * 2);
  }

  /** The memory in which rows lie; after `reserve` a name and its value are to be written there. */
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

  /** The table's slot for another name, or -1; `hash` is `first` of its `hashPair`. */
  slotFor(hash: number): number {
    let slot = hash % this.#slots.length;
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      if (this.#slots[slot] === 0) return slot;
      slot = (slot + 1) % this.#slots.length;
    }
    return -1;
  }

  /**
   * Makes room for a new name with its value directly behind it, and returns where. It must be
   * filled before anything else is asked.
   *
   * @param slot what `slotFor` has just returned for the name.
   * @param below the kind of row that lies below for the same key; it is removed.
   */
  reserve(
    slot: number,
    { nameBytes, valueBytes }: { readonly nameBytes: number; readonly valueBytes: number },
    side: Side = "object",
    below?: Side,
  ): number {
    const row = this.#count++;
    const start = this.#used;
    this.#slots[slot] = row + 1;
    this.#starts[row] = start;
    this.#nameBytes[row] = nameBytes;
    this.#valueStarts[row] = start + nameBytes;
    this.#valueBytes[row] = valueBytes;
    this.#flags[row] = HAS[side] | (below === undefined ? 0 : BELOW[below]);
    this.#used = start + nameBytes + valueBytes;
    if (side === "tombstone" || below === "tombstone") this.#hasTombstones = true;
    return start;
  }

  /** Makes room for another value of a row, in place of the one it has. Gives where. */
  replace(row: number, side: Side, valueBytes: number): number {
    if (valueBytes > (this.#valueBytes[row] as number)) {
      this.#valueStarts[row] = this.#used;
      this.#used += valueBytes;
    }
    this.#valueBytes[row] = valueBytes;
    const below = (this.#flags[row] as number) & (BELOW.object | BELOW.tombstone);
    this.#flags[row] = HAS[side] | below;
    if (side === "tombstone") this.#hasTombstones = true;
    return this.#valueStarts[row] as number;
  }

  /** The number of a name's row, or -1. The name is the first `nameBytes` bytes of `name`. */
  find(hash: number, name: Uint8Array, nameBytes: number): number {
    if (this.#count === 0) return -1;
    let slot = hash % this.#slots.length;
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      const row = (this.#slots[slot] as number) - 1;
      if (row < 0) return -1;
      if (this.#nameBytes[row] === nameBytes && this.#isAt(name, row)) return row;
      slot = (slot + 1) % this.#slots.length;
    }
    return -1;
  }

  /** Which kind of row this is; undefined when a later one was written past this memory. */
  sideAt(row: number): Side | undefined {
    const flags = this.#flags[row] as number;
    if ((flags & (PASSED.object | PASSED.tombstone)) !== 0) return undefined;
    return (flags & HAS.object) === 0 ? "tombstone" : "object";
  }

  /** The value of a row; shares memory that the next change overwrites. */
  valueAt(row: number): Buffer {
    const start = this.#valueStarts[row] as number;
    return this.#memory.subarray(start, start + (this.#valueBytes[row] as number));
  }

  /**
   * The value under a key of the index, which shares memory until that changes; "removed" when the
   * row below is to go; undefined when nothing is known of the key here.
   */
  get(key: Uint8Array, side: Side): Buffer | "removed" | undefined {
    const row = this.#findKey(key);
    if (row < 0) return undefined;
    const flags = this.#flags[row] as number;
    if ((flags & PASSED[side]) !== 0) return undefined;
    return (flags & HAS[side]) === 0 ? "removed" : this.valueAt(row);
  }

  /** A later row under this key is written past this memory: the one here will not be written. */
  pass(key: Uint8Array, side: Side): void {
    const row = this.#findKey(key);
    if (row >= 0) this.#flags[row] = (this.#flags[row] as number) | PASSED[side];
  }

  /**
   * The mutations to be written, table by table and in order of keys, at most `rows` at once.
   * Values of objects share memory until `clear`.
   */
  *parts(rows: number): Generator<KvMutation[]> {
    const spans = { memory: this.#memory, starts: this.#starts, lengths: this.#nameBytes };
    const order = sortSpans(spans, this.#count);
    let part: KvMutation[] = [];
    for (const side of this.#hasTombstones ? BOTH : OBJECTS) {
      for (let place = 0; place < order.length; place++) {
        const row = order[place] as number;
        const flags = this.#flags[row] as number;
        if ((flags & PASSED[side]) !== 0 || (flags & (HAS[side] | BELOW[side])) === 0) continue;
        const key = side === "object" ? this.#nameAt(row) : this.#tombstoneKey(row);
        const value = (flags & HAS[side]) === 0 ? undefined : this.valueAt(row);
        part.push({ key, value });
        if (part.length < rows) continue;
        yield part;
        part = [];
      }
    }
    if (part.length > 0) yield part;
  }

  clear(): void {
    this.#slots.fill(0);
    this.#used = 0;
    this.#count = 0;
    this.#hasTombstones = false;
  }

  #nameAt(row: number): Buffer {
    const start = this.#starts[row] as number;
    return this.#memory.subarray(start, start + (this.#nameBytes[row] as number));
  }

  #tombstoneKey(row: number): Buffer {
    const key = Buffer.from(this.#nameAt(row));
    key[0] = TOMBSTONE_BYTE;
    return key;
  }

  #findKey(key: Uint8Array): number {
    if (this.#count === 0) return -1;
    return this.find(hashPair(key, 1, key.length, OBJECT_START).first, key, key.length);
  }

  /** Whether a row has this name, apart from the first byte, which tells the table. */
  #isAt(name: Uint8Array, row: number): boolean {
    const start = this.#starts[row] as number;
    const end = start + (this.#nameBytes[row] as number);
    return this.#memory.compare(name, 1, end - start, start + 1, end) === 0;
  }
}

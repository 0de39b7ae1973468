import { copyFew } from "../../core/bytes.ts";
import type { KvMutation } from "../../ports/kv.ts";
import { TABLES, VALUE_HEADER_BYTES } from "./rows.ts";
import { sortSpans } from "./sort-spans.ts";

/** A row of a version of a short key takes about so much. */
const BYTES_PER_ROW = 128;
const VERSION_BYTE = TABLES.version.prefix.charCodeAt(0);
/** NUL, and the digits of the inverted id. */
const ID_TEXT_BYTES = 1 + 32;
const HLC_BYTES = 8;
const ID_BYTES = 16;
const DIGITS = Buffer.from("0123456789abcdef", "latin1");

/**
 * Rows of older versions on their way into the index. They are never looked up here: they are
 * written to the store before anything asks about versions.
 */
export class ReadyVersions {
  readonly #memory: Buffer;
  readonly #starts: Uint32Array;
  readonly #keyBytes: Uint16Array;
  readonly #valueBytes: Uint32Array;
  #used = 0;
  #count = 0;

  constructor(memoryBytes: number) {
    const rows = Math.ceil(memoryBytes / BYTES_PER_ROW);
    this.#memory = Buffer.allocUnsafeSlow(memoryBytes);
    this.#starts = new Uint32Array(rows);
    this.#keyBytes = new Uint16Array(rows);
    this.#valueBytes = new Uint32Array(rows);
  }

  get count(): number {
    return this.#count;
  }

  /** Whether there is no room for another version of a name of so many bytes. */
  isFull(nameBytes: number, valueBytes: number): boolean {
    const bytes = nameBytes + ID_TEXT_BYTES + valueBytes;
    return this.#count === this.#starts.length || this.#used + bytes > this.#memory.length;
  }

  /**
   * Adds the object of a name, as `ReadyRows` has both, as an older version. Its value stays as it
   * is: rows of versions and of current objects have one layout.
   */
  add(name: Buffer, nameBytes: number, value: Buffer): void {
    const memory = this.#memory;
    const start = this.#used;
    const row = this.#count++;
    copyFew(memory, start, { bytes: name, from: 0, to: nameBytes });
    memory[start] = VERSION_BYTE;
    let at = start + nameBytes;
    memory[at++] = 0;
    // Flags stand in front of clock reading and origin; the reading's highest byte is its last.
    const idAt = VALUE_HEADER_BYTES + 1;
    for (let place = 0; place < ID_BYTES; place++) {
      const byteAt = place < HLC_BYTES ? HLC_BYTES - 1 - place : place;
      const inverted = 0xff - (value[idAt + byteAt] as number);
      memory[at++] = DIGITS[inverted >> 4] as number;
      memory[at++] = DIGITS[inverted & 15] as number;
    }
    value.copy(memory, at);
    this.#starts[row] = start;
    this.#keyBytes[row] = at - start;
    this.#valueBytes[row] = value.length;
    this.#used = at + value.length;
  }

  /**
   * The mutations to be written, in order of keys, at most `rows` at once; they share memory until
   * `clear`.
   */
  *parts(rows: number): Generator<KvMutation[]> {
    const spans = { memory: this.#memory, starts: this.#starts, lengths: this.#keyBytes };
    const order = sortSpans(spans, this.#count);
    for (let from = 0; from < order.length; from += rows) {
      yield Array.from(order.subarray(from, from + rows), (row) => this.#mutationAt(row));
    }
  }

  clear(): void {
    this.#used = 0;
    this.#count = 0;
  }

  #mutationAt(row: number): KvMutation {
    const start = this.#starts[row] as number;
    const middle = start + (this.#keyBytes[row] as number);
    const end = middle + (this.#valueBytes[row] as number);
    return { key: this.#memory.subarray(start, middle), value: this.#memory.subarray(middle, end) };
  }
}

import type { KvRow, KvWalk } from "./kv.ts";

/** Where lmdb-js has put the row of a walk: filled only while one is wanted. */
export type LmdbRow = {
  wanted: boolean;
  key: Uint8Array;
  keyEnd: number;
  value: Uint8Array;
  valueEnd: number;
};

/** The part of lmdb-js's options that says how bytes become keys and values. */
type LmdbFormats = {
  readonly keyEncoder: {
    writeKey(key: Uint8Array, target: Uint8Array, start: number): number;
    readKey(source: Uint8Array, start: number, end: number): Uint8Array | undefined;
  };
  readonly encoder: {
    encode(value: Uint8Array): Uint8Array;
    decode(buffer: Buffer, end: number): Uint8Array | undefined;
  };
};

/** lmdb-js reads every key to this place of a buffer of its own. */
const KEY_START = 32;

/**
 * How lmdb-js reads and writes keys and values: as plain bytes. For a walk it only notes where they
 * are, which halves the cost of a row.
 */
export function lmdbFormats(row: LmdbRow): LmdbFormats {
  return {
    keyEncoder: {
      writeKey: (key: Uint8Array, target: Uint8Array, start: number): number => {
        target.set(key, start);
        return start + key.length;
      },
      readKey: (source: Uint8Array, start: number, end: number): Uint8Array | undefined => {
        if (!row.wanted) return Buffer.from(source.subarray(start, end));
        row.key = source;
        row.keyEnd = end;
        return undefined;
      },
    },
    // With an encoder of its own lmdb-js hands over values without copying them: twice as fast.
    encoder: {
      encode: (value: Uint8Array) => value,
      decode: (buffer: Buffer, end: number): Uint8Array | undefined => {
        if (!row.wanted) return buffer.subarray(0, end);
        row.value = buffer;
        row.valueEnd = end;
        return undefined;
      },
    },
  };
}

const NOTHING = new Uint8Array(0);

/** A walk that reads its rows where lmdb-js has put them. */
export class LmdbWalk implements KvWalk {
  key: Uint8Array = NOTHING;
  readonly keyStart = KEY_START;
  keyEnd = 0;
  value: Uint8Array = NOTHING;
  valueEnd = 0;
  readonly #rows: Iterator<KvRow>;
  readonly #row: LmdbRow;
  #source: Uint8Array = NOTHING;

  constructor(rows: Iterator<KvRow>, row: LmdbRow) {
    this.#rows = rows;
    this.#row = row;
  }

  next(): boolean {
    const row = this.#row;
    row.wanted = true;
    try {
      if (this.#rows.next().done === true) return false;
    } finally {
      row.wanted = false;
    }
    this.key = row.key;
    this.keyEnd = row.keyEnd;
    if (row.value !== this.#source) this.#view(row.value);
    this.valueEnd = row.valueEnd;
    return true;
  }

  close(): void {
    this.#rows.return?.();
  }

  /** lmdb-js writes a length of its own on its buffer, which makes every access to it slow. */
  #view(source: Uint8Array): void {
    this.#source = source;
    this.value = new Uint8Array(source.buffer, source.byteOffset);
  }
}

// By its file: the package as a whole loads a dozen more filters, and half of lodash.
import bloomFilter from "bloom-filters/dist/bloom/bloom-filter.js";
import hashing from "bloom-filters/dist/hashing/hashing.js";

/*
 * Bloom filter over byte strings. On disk it is its bits: bit i is bit (i mod 8) of byte (i div 8).
 * A name sets bits (a + i b) mod 2^32 mod (count of bits) for i from 0 to 6. All numbers are
 * unsigned and have 32 bits:
 *
 * | step      | a                               | b                                             |
 * | --------- | ------------------------------- | --------------------------------------------- |
 * | start     | 0x811c9dc5                      | 0x2f0b4a27                                    |
 * | each byte | (a xor byte) 0x01000193         | (b xor byte) 0x5bd1e995 xor (b shr 15)        |
 * | end       | mix(a)                          | mix(b) or 1                                   |
 *
 * mix: xor with itself shr 16; times 0x7feb352d; xor with itself shr 15; times 0x846ca68b; xor with
 * itself shr 16.
 */
const BITS_PER_NAME = 10;
const HASHES = 7;

/** A set that may claim to hold what it does not (about one in a hundred), never the reverse. */
export interface Bloom {
  add(name: Buffer): void;
  mayHold(name: Buffer): boolean;
  /** What is stored. */
  readonly bits: Uint8Array;
}

/**
 * An empty filter for this many names. The size is chosen when the count is known, so that a
 * segment of a million small objects and one of ten large ones have the same rate of errors.
 */
export function createBloom(names: number): Bloom {
  return bloomOver(new Uint8Array(Math.max(8, Math.ceil((names * BITS_PER_NAME) / 8))));
}

/** A stored filter; shares memory with `bits`. */
export function bloomOver(bits: Uint8Array): Bloom {
  const filter = new bloomFilter.default(bits.length * 8, HASHES);
  filter._filter.array = bits;
  filter._hashing = fastHashing;
  return {
    add: (name) => filter.add(name),
    mayHold: (name) => filter.has(name),
    bits,
  };
}

// The package's own hashing takes about 15 microseconds a name, and its filter only reads the
// indexes it is given: one array serves all filters.
const indexes: number[] = new Array(HASHES).fill(0);
const fastHashing = new hashing.default();
fastHashing.getIndexes = (name, size) => {
  // Bloom's methods take Buffers only.
  const bytes = Buffer.isBuffer(name) ? name : Buffer.alloc(0);
  let first = 0x811c9dc5;
  let second = 0x2f0b4a27;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    first = Math.imul(first ^ byte, 0x01000193);
    second = Math.imul(second ^ byte, 0x5bd1e995) ^ (second >>> 15);
  }
  first = mix(first);
  second = mix(second) | 1;
  for (let hash = 0; hash < HASHES; hash++) {
    indexes[hash] = (first >>> 0) % size;
    first = (first + second) | 0;
  }
  return indexes;
};

/** Spreads every bit of the input over the whole output. */
function mix(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x7feb352d);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x846ca68b);
  return mixed ^ (mixed >>> 16);
}

/** Bits of a filter for each name: about one of some hundred new names is taken for known. */
const BITS_PER_NAME = 14;
const FILTER_BYTES_MAX = 8 * 1024 * 1024;
/** Words of a block, which is a cache line: a question touches one line in each filter. */
const BLOCK_WORDS = 16;
const BLOCK_BYTES = BLOCK_WORDS * 4;

/**
 * Remembers which names were met, in 14 bits each (a blocked Bloom filter), so that the index need
 * not be asked about new names. It may take a new name for a known one, never a known one for new.
 */
export class KnownKeys {
  readonly #filterBytes: number;
  readonly #filters: Uint32Array[] = [];
  /** How many names the last filter has room for. */
  #room = 0;

  /** @param names how many are expected; more take more memory, and a look at each filter. */
  constructor(names: number) {
    const bytes = Math.min(FILTER_BYTES_MAX, (names * BITS_PER_NAME) / 8);
    this.#filterBytes = Math.ceil(bytes / BLOCK_BYTES + 1) * BLOCK_BYTES;
  }

  /** Whether a name with this pair of hashes may have been added. */
  mayHold(first: number, second: number): boolean {
    for (const filter of this.#filters) if (isIn(filter, first, second)) return true;
    return false;
  }

  add(first: number, second: number): void {
    if (this.#room <= 0) {
      this.#filters.push(new Uint32Array(this.#filterBytes / 4));
      this.#room = (this.#filterBytes * 8) / BITS_PER_NAME;
    }
    const filter = this.#filters[this.#filters.length - 1];
    if (filter === undefined) return;
    this.#room -= 1;
    const block = blockOf(filter, first);
    for (let bits = second, left = 4; left > 0; left--) {
      const word = block + ((bits >>> 5) & 15);
      filter[word] = (filter[word] as number) | (1 << (bits & 31));
      bits = Math.imul(bits, 0x2545f491) + 0x6c078965;
      bits ^= bits >>> 15;
    }
  }
}

function blockOf({ length }: Uint32Array, first: number): number {
  return (first % (length / BLOCK_WORDS)) * BLOCK_WORDS;
}

function isIn(filter: Uint32Array, first: number, second: number): boolean {
  const block = blockOf(filter, first);
  for (let bits = second, left = 4; left > 0; left--) {
    const word = filter[block + ((bits >>> 5) & 15)] as number;
    if ((word & (1 << (bits & 31))) === 0) return false;
    bits = Math.imul(bits, 0x2545f491) + 0x6c078965;
    bits ^= bits >>> 15;
  }
  return true;
}

export type HashPair = { first: number; second: number };

/** The hashes of no bytes at all. */
const START: HashPair = { first: 0x811c9dc5, second: 0x9747b28c };
/** Reused by every call of `hashPair`: nobody may keep it. */
const pair: HashPair = { first: 0, second: 0 };

/** The hash state behind `bytes`, from which the hashes of longer texts go on. */
export function hashStart(bytes: Uint8Array): HashPair {
  const state = { ...START };
  goOn(state, bytes, 0, bytes.length);
  return state;
}

/**
 * Two hashes of the bytes from `from` up to `to`, behind those that `start` stands for; cheap, for
 * tables of this process alone. Valid until the next call.
 */
export function hashPair(bytes: Uint8Array, from: number, to: number, start = START): HashPair {
  pair.first = start.first;
  pair.second = start.second;
  goOn(pair, bytes, from, to);
  pair.first = mixed(pair.first);
  pair.second = mixed(pair.second);
  return pair;
}

function goOn(state: HashPair, bytes: Uint8Array, from: number, to: number): void {
  let { first, second } = state;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    first = Math.imul(first ^ byte, 0x01000193);
    second = (Math.imul(second ^ byte, 0x5bd1e995) + 0x1b873593) | 0;
  }
  state.first = first;
  state.second = second;
}

function mixed(hash: number): number {
  let mix = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return (mix ^ (mix >>> 16)) >>> 0;
}

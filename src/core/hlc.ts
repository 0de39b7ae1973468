import type { Brand } from "./brand.ts";
import { StorageFault } from "./faults.ts";

/**
 * A hybrid logical clock reading: 48 bits of Unix milliseconds above a 16-bit counter.
 * Comparing two with `<` is the order of time; ties between sites are broken by origin id.
 */
export type Hlc = Brand<bigint, "Hlc">;

export const HLC_ZERO = 0n as Hlc;
const COUNTER_BITS = 16n;
const HLC_MAX = 0xffff_ffff_ffff_ffffn;

/** Reads a stored or received value; undefined when it does not fit 64 bits. */
export function parseHlc(value: bigint): Hlc | undefined {
  return value >= 0n && value <= HLC_MAX ? (value as Hlc) : undefined;
}

/** The first reading of a millisecond. */
export function hlcFromMs(unixMs: number): Hlc {
  return (BigInt(unixMs) << COUNTER_BITS) as Hlc;
}

/** The wall-clock part, in Unix milliseconds. */
export function hlcMs(hlc: Hlc): number {
  return Number(hlc >> COUNTER_BITS);
}

/** Sixteen lower-case hexadecimal digits; string order is time order. */
export function formatHlc(hlc: Hlc): string {
  return hlc.toString(16).padStart(16, "0");
}

/** Issues readings that never go back and never repeat, whatever the wall clock does. */
export class HlcClock {
  readonly #nowMs: () => number;
  #last: Hlc;
  #lastMs = -1;
  #lastBase: bigint = 0n;

  /** @param floor greatest reading ever issued or applied here; the next one is greater. */
  constructor(nowMs: () => number, floor: Hlc = HLC_ZERO) {
    this.#nowMs = nowMs;
    this.#last = floor;
  }

  get last(): Hlc {
    return this.#last;
  }

  /** The next reading: greater than all before, and than `above` (what it supersedes). */
  next(above: Hlc = HLC_ZERO): Hlc {
    const nowMs = Math.floor(this.#nowMs());
    if (nowMs !== this.#lastMs) {
      this.#lastMs = nowMs;
      this.#lastBase = BigInt(nowMs) << COUNTER_BITS;
    }
    let next = this.#last >= above ? this.#last + 1n : above + 1n;
    if (this.#lastBase > next) next = this.#lastBase;
    if (next > HLC_MAX) throw new StorageFault("closed", "the hybrid clock has run out");
    this.#last = next as Hlc;
    return this.#last;
  }

  /** Learns of a reading applied here, so that later ones are greater. Never moves back. */
  observe(seen: Hlc): void {
    if (seen > this.#last) this.#last = seen;
  }
}

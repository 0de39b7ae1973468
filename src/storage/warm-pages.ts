import { LIMITS } from "../core/limits.ts";

const { pageBytes: PAGE_BYTES } = LIMITS;

/**
 * Remembers which pages of segments have been read since the start, and so are probably in the page
 * cache: those are read on the main thread, which costs a third; the rest without blocking it. A
 * wrong guess, where the kernel has taken a page back, costs one slow read, never a wrong byte.
 */
export class WarmPages {
  readonly #segments = new Map<number, Uint8Array>();

  isWarm(segment: number, offset: number, bytes: number): boolean {
    const bits = this.#segments.get(segment);
    if (bits === undefined) return false;
    const last = Math.floor((offset + bytes - 1) / PAGE_BYTES);
    for (let page = Math.floor(offset / PAGE_BYTES); page <= last; page++) {
      if (((bits[page >> 3] ?? 0) & (1 << (page & 7))) === 0) return false;
    }
    return true;
  }

  /** Notes that bytes have been read: the kernel reads whole pages. */
  mark(segment: number, offset: number, bytes: number): void {
    const last = Math.floor((offset + bytes - 1) / PAGE_BYTES);
    let bits = this.#segments.get(segment);
    if (bits === undefined || bits.length <= last >> 3) {
      const larger = new Uint8Array(Math.max(2048, (last >> 3) * 2 + 1));
      if (bits !== undefined) larger.set(bits);
      bits = larger;
      this.#segments.set(segment, bits);
    }
    for (let page = Math.floor(offset / PAGE_BYTES); page <= last; page++) {
      bits[page >> 3] = (bits[page >> 3] ?? 0) | (1 << (page & 7));
    }
  }

  forget(segment: number): void {
    this.#segments.delete(segment);
  }
}

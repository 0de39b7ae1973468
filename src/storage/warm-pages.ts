/** Pages are remembered in groups of 64 KiB: about what the kernel reads ahead. */
const GROUP_BYTES = 64 * 1024;

/**
 * Remembers which parts of segments have been read since the start, and so are probably in the page
 * cache: those are read on the main thread, which is twice as fast; the rest without blocking it.
 * A wrong guess costs one slow read, never a wrong byte.
 */
export class WarmPages {
  readonly #segments = new Map<number, Uint8Array>();

  isWarm(segment: number, offset: number, bytes: number): boolean {
    const bits = this.#segments.get(segment);
    if (bits === undefined) return false;
    const last = Math.floor((offset + bytes - 1) / GROUP_BYTES);
    for (let group = Math.floor(offset / GROUP_BYTES); group <= last; group++) {
      if (((bits[group >> 3] ?? 0) & (1 << (group & 7))) === 0) return false;
    }
    return true;
  }

  mark(segment: number, offset: number, bytes: number): void {
    const last = Math.floor((offset + bytes - 1) / GROUP_BYTES);
    let bits = this.#segments.get(segment);
    if (bits === undefined || bits.length <= last >> 3) {
      const larger = new Uint8Array(Math.max(2048, (last >> 3) * 2 + 1));
      if (bits !== undefined) larger.set(bits);
      bits = larger;
      this.#segments.set(segment, bits);
    }
    for (let group = Math.floor(offset / GROUP_BYTES); group <= last; group++) {
      bits[group >> 3] = (bits[group >> 3] ?? 0) | (1 << (group & 7));
    }
  }

  forget(segment: number): void {
    this.#segments.delete(segment);
  }
}

import { HotMap } from "../core/hot-map.ts";
import { LIMITS } from "../core/limits.ts";
import { bodyRecordBytes } from "./segment/record.ts";

/** The longest record of a small body. */
export const SMALL_RECORD_BYTES_MAX = bodyRecordBytes(
  LIMITS.keyBytesMax + 256,
  LIMITS.inlineBodyBytesMax,
);
const SLAB_BYTES = 2 * SMALL_RECORD_BYTES_MAX;
/** About how much memory an entry takes beside its bytes. */
const OVERHEAD_BYTES = 256;

/**
 * The memory of small bodies that are read: of those asked for lately, by their place, which never
 * gets other bytes, so that nothing here goes stale; and of those just read, one behind the other
 * in slabs, which cost less than memory of their own. Invariant: what was given out never changes.
 */
export class SmallBodies {
  readonly #hot = new HotMap<Uint8Array>(LIMITS.hotBodiesBytesMax, LIMITS.hotAdmitOneOf);
  #slab = Buffer.alloc(0);
  #used = 0;

  /** A body that was read before, verified. */
  get(place: string): Uint8Array | undefined {
    return this.#hot.get(place);
  }

  /** Memory to read a record into, which nobody else has or will get. */
  room(bytes: number): Buffer {
    if (this.#used + bytes > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const from = this.#used;
    this.#used += bytes;
    return this.#slab.subarray(from, this.#used);
  }

  /** Remembers a verified body when it is worth it: apart, so that it keeps no slab. */
  offer(place: string, body: Uint8Array): void {
    if (body.length > LIMITS.hotBodyBytesMax) return;
    this.#hot.offer(place, body.length + OVERHEAD_BYTES, () => new Uint8Array(body));
  }
}

import { alignUp } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import type { Segments } from "./segment/segments.ts";
import type { SmallBodies } from "./small-bodies.ts";
import type { WarmPages } from "./warm-pages.ts";

export type ColdReadsDeps = {
  readonly segments: Segments;
  readonly warm: WarmPages;
  readonly small: SmallBodies;
};

/** So much is read around a record: what lies beside it costs no read of its own. */
const GROUP_BYTES = 4 * LIMITS.pageBytes;
/** Longer records are read without what lies around them. */
const RECORD_BYTES_MAX = LIMITS.hotBodyBytesMax + LIMITS.pageBytes;
/** The most that lies in the groups of one record. */
const SPAN_BYTES = RECORD_BYTES_MAX + 2 * GROUP_BYTES;
const BUFFERS_MAX = 32;

/**
 * Reads records of small bodies that are probably not in the page cache, and what lies around them:
 * the kernel reads just the pages that it is asked for, and such a read costs the main thread three
 * times as much as one from the page cache. Larger groups would spare more of them, and push out as
 * much more of what is in the page cache.
 */
export class ColdReads {
  readonly #deps: ColdReadsDeps;
  readonly #buffers: Buffer[] = [];

  constructor(deps: ColdReadsDeps) {
    this.#deps = deps;
  }

  /**
   * A record of so many bytes, or what there is of it, in memory that nobody else has.
   *
   * @throws StorageFault "corrupt" when the segment is missing.
   */
  async read(segment: number, offset: number, bytes: number): Promise<Buffer> {
    const { segments, warm, small } = this.#deps;
    const isShort = bytes <= RECORD_BYTES_MAX;
    const record = isShort ? small.room(bytes) : Buffer.allocUnsafe(bytes);
    if (isShort && (await this.#readAround(segment, offset, record))) return record;
    const count = await segments.read(segment, record, offset);
    if (count > 0) warm.mark(segment, offset, count);
    return record.subarray(0, count);
  }

  /** False when the record is not all there; a neighbour that cannot be read is none of it. */
  async #readAround(segment: number, offset: number, record: Buffer): Promise<boolean> {
    const { segments, warm } = this.#deps;
    const facts = segments.facts.get(segment);
    const after = offset + record.length;
    // Behind it in an open segment something may just be written: that is left alone.
    const size = facts?.sealed === true ? facts.sizeBytes : alignUp(after, LIMITS.pageBytes);
    const from = offset - (offset % GROUP_BYTES);
    const to = Math.min(alignUp(after, GROUP_BYTES), size);
    if (to < after) return false;
    const buffer = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(SPAN_BYTES);
    try {
      const around = buffer.subarray(0, to - from);
      if ((await segments.read(segment, around, from)) !== around.length) return false;
      around.copy(record, 0, offset - from);
      warm.mark(segment, from, around.length);
      return true;
    } finally {
      if (this.#buffers.length < BUFFERS_MAX) this.#buffers.push(buffer);
    }
  }
}

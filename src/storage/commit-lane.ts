import { alignUp } from "../core/bytes.ts";
import type { Hlc } from "../core/hlc.ts";
import { ignore } from "../core/ignore.ts";
import { LIMITS } from "../core/limits.ts";
import type { Disk, WriteFile } from "../ports/disk.ts";
import type { FooterBuilder } from "./segment/footer.ts";
import type { SegmentFacts, Segments } from "./segment/segments.ts";

/** Where the next batch goes; its number counts up inside the segment. */
export type BatchPosition = {
  readonly segment: number;
  readonly offset: number;
  readonly number: number;
};

/** Where the batches of a segment end. */
export type LogEnd = { readonly segment: number; readonly offset: number };

type OpenSegment = {
  readonly facts: SegmentFacts;
  readonly file: WriteFile;
  readonly footer: FooterBuilder;
  nextBatch: number;
};

export type CommitLaneDeps = {
  readonly disk: Disk;
  readonly segments: Segments;
  readonly segmentBytes: number;
  readonly makeFooter: (facts: SegmentFacts) => FooterBuilder;
  /** Takes over a full segment: writes its footer and closes it, in the background. */
  readonly seal: (segment: { facts: SegmentFacts; file: WriteFile; footer: FooterBuilder }) => void;
};

/**
 * Footers say in 32 bits where the record of an operation is: no batch begins so near to their end
 * that it could reach beyond, however large it is.
 */
const SEGMENT_BYTES_MAX = 4 * 1024 ** 3 - 256 * 1024 ** 2;

/** Buffers are reused; one is being written while the next is filled. */
const BUFFERS = 3;

/** The commit lane: batches appended one after another to the newest commit segment. */
export class CommitLane {
  readonly #deps: CommitLaneDeps;
  readonly #buffers: Uint8Array[] = [];
  #current: OpenSegment;
  #spare: OpenSegment | undefined;
  #creatingSpare = false;
  #before: LogEnd | undefined;
  #appending: Promise<void> = Promise.resolve();

  private constructor(deps: CommitLaneDeps, first: OpenSegment) {
    this.#deps = deps;
    this.#current = first;
  }

  /** Begins with a new segment. */
  static async open(
    deps: CommitLaneDeps,
    created: Hlc,
    before: LogEnd | undefined,
  ): Promise<CommitLane> {
    const made = await deps.segments.create("commit", created);
    const lane = new CommitLane(deps, openSegment(deps, made));
    lane.#before = before;
    return lane;
  }

  /** Where the batches of the segment before the current one end; undefined for the first. */
  get before(): LogEnd | undefined {
    return this.#before;
  }

  /** Where the batches of the whole log end; undefined in a log without any. */
  get end(): LogEnd | undefined {
    const { facts, nextBatch } = this.#current;
    return nextBatch === 0 ? this.#before : { segment: facts.id, offset: facts.sizeBytes };
  }

  get currentSegment(): number {
    return this.#current.facts.id;
  }

  /** The footer that is being filled for the segment of the last position. */
  get footer(): FooterBuilder {
    return this.#current.footer;
  }

  /** Where the next batch goes. Changes to a fresh segment when this one is full. */
  position(now: Hlc): BatchPosition {
    const segmentBytes = Math.min(this.#deps.segmentBytes, SEGMENT_BYTES_MAX);
    const size = this.#current.facts.sizeBytes;
    // The next segment is made ahead, so that no write waits for it; until then this one grows. A
    // failure is heard of by the write that finds the disk full, and is tried again by the next.
    if (size >= segmentBytes * 0.9) this.prepareRoll(now).catch(ignore);
    if (size >= segmentBytes && this.#spare !== undefined) this.#roll(this.#spare);
    const { facts, nextBatch } = this.#current;
    return { segment: facts.id, offset: facts.sizeBytes, number: nextBatch };
  }

  /** True when there is something in the current segment worth sealing. */
  get hasBatches(): boolean {
    return this.#current.nextBatch > 0;
  }

  /** Makes the next segment ahead, so that `rollNow` need not wait. */
  async prepareRoll(now: Hlc): Promise<void> {
    if (this.#spare !== undefined || this.#creatingSpare) return;
    this.#creatingSpare = true;
    try {
      const made = await this.#deps.segments.create("commit", now);
      this.#spare = openSegment(this.#deps, made);
    } finally {
      this.#creatingSpare = false;
    }
  }

  /** Seals the current segment although it is not full. Call only while no batch is open. */
  rollNow(): void {
    if (this.#spare !== undefined) this.#roll(this.#spare);
  }

  /** True for segments that the lane writes to, now or next. */
  holds(segment: number): boolean {
    return segment === this.#current.facts.id || segment === this.#spare?.facts.id;
  }

  /** Zeroed page-aligned memory for a batch; give it back with `append`. */
  buffer(bytes: number): Uint8Array {
    const index = this.#buffers.findIndex((buffer) => buffer.length >= bytes);
    const pooled = index < 0 ? undefined : this.#buffers.splice(index, 1)[0];
    const size = Math.max(alignUp(bytes, LIMITS.pageBytes), LIMITS.batchBytesMax);
    return pooled ?? this.#deps.disk.allocateAligned(size);
  }

  /**
   * Appends a batch at its position and makes it durable. After a rejection the lane is done.
   * `isAlone`: see `WriteFile.write`.
   */
  async append(buffer: Uint8Array, bytes: number, isAlone: boolean): Promise<void> {
    const { file, facts } = this.#current;
    const offset = facts.sizeBytes;
    facts.sizeBytes += bytes;
    this.#current.nextBatch += 1;
    this.#appending = write(file, buffer.subarray(0, bytes), offset, isAlone);
    await this.#appending;
    if (this.#buffers.length < BUFFERS) this.#buffers.push(buffer);
  }

  /** Ends the lane: what is in the current segment stays, to be sealed at the next start. */
  async close(): Promise<void> {
    // Who appended has heard of a failure; here it only has to be over.
    await this.#appending.then(ignore, ignore);
    await this.#current.file.close();
    await this.#spare?.file.close();
  }

  #roll(next: OpenSegment): void {
    const full = this.#current;
    if (full.nextBatch > 0) {
      this.#before = { segment: full.facts.id, offset: full.facts.sizeBytes };
    }
    this.#current = next;
    this.#spare = undefined;
    // The last batch may still be on its way. A footer beside it would declare it whole too early,
    // and nothing later goes into a segment with a failed write.
    this.#appending.then(() => this.#deps.seal(full), ignore);
  }
}

async function write(
  file: WriteFile,
  bytes: Uint8Array,
  offset: number,
  isAlone: boolean,
): Promise<void> {
  await file.write(bytes, offset, isAlone);
  await file.sync();
}

function openSegment(
  deps: CommitLaneDeps,
  made: { facts: SegmentFacts; file: WriteFile },
): OpenSegment {
  return { ...made, footer: deps.makeFooter(made.facts), nextBatch: 0 };
}

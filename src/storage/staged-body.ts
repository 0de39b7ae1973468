import { assert } from "../core/assert.ts";
import { asBuffer, copyInto } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import type { StreamHasher } from "../ports/hash.ts";
import type { BulkLane, PlacedChunk } from "./bulk-lane.ts";
import { CHUNK_HEADER_BYTES } from "./segment/chunk.ts";
import type { BodyWriter, StagedBody } from "./store.ts";
import type { HashedWriter } from "./stored.ts";

/** Where chunks are written. */
type Lane = Pick<BulkLane, "takeBuffer" | "giveBuffer" | "append" | "unpin">;

/** A large body whose chunks are durable and pinned until a commit names them or it is let go. */
export class StagedChunks implements StagedBody {
  readonly bytes: number;
  readonly chunks: readonly PlacedChunk[];
  readonly #lane: Lane;
  #pinned = true;

  constructor(lane: Lane, chunks: readonly PlacedChunk[]) {
    this.#lane = lane;
    this.chunks = chunks;
    this.bytes = chunks.reduce((sum, chunk) => sum + chunk.place.bytes, 0);
  }

  /** Lets go of the pins: rows name the chunks now, or nothing ever will. Does so once. */
  release(): void {
    if (!this.#pinned) return;
    this.#pinned = false;
    for (const { place } of this.chunks) this.#lane.unpin(place.segment);
  }

  discard(): void {
    this.release();
  }
}

/** How much a hasher is given at once; a chunk is a multiple of it. */
const LOAN_BYTES = 256 * 1024;
/** The caller waits while the hasher still reads this many loans. */
const LOANS_MAX = 6;

/**
 * Cuts a stream into chunks; at most two are in memory, one filling and one being written. A hasher
 * may read them there, and no chunk's memory is reused before it has.
 */
export class ChunkWriter implements BodyWriter {
  readonly #lane: Lane;
  readonly #admit: (bytes: number) => void;
  readonly #ended: () => void;
  readonly #chunks: PlacedChunk[] = [];
  #buffer: Uint8Array | undefined;
  #filled = 0;
  #hasher: Pick<StreamHasher, "lend"> | undefined;
  /** Bytes of the chunk being filled that the hasher has been given. */
  #lentBytes = 0;
  /** Parts of that chunk that the hasher has not read yet. */
  #unread: Array<Promise<void>> = [];
  #loans = 0;
  readonly #wake: Array<() => void> = [];
  /** A write waits for room with bytes that precede those of the next write. */
  #isAcross = false;
  #writing: Promise<void> | undefined;
  #failure: unknown;
  #done = false;

  /**
   * @param hooks `admit` throws when there is no room for a chunk; `ended` is called once when the
   *   writer no longer holds memory.
   */
  constructor(lane: Lane, hooks: { admit: (bytes: number) => void; ended: () => void }) {
    this.#lane = lane;
    this.#admit = hooks.admit;
    this.#ended = hooks.ended;
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    assert(!this.#done, "a body is written before it is finished");
    const room = LIMITS.chunkBytes - this.#filled;
    if (bytes.length < room && this.#failure === undefined) {
      this.#fill(bytes);
      return this.#loans < LOANS_MAX ? undefined : this.#untilRead();
    }
    return this.#writeAcross(bytes);
  }

  hashWith(hasher: Pick<StreamHasher, "lend">): HashedWriter {
    assert(this.#filled === 0 && this.#chunks.length === 0, "a body is hashed from its start");
    this.#hasher = hasher;
    return {
      takes: (bytes) =>
        !this.#isAcross &&
        (bytes < LIMITS.chunkBytes - this.#filled || this.#writing === undefined),
      end: () => this.#lend(this.#filled),
    };
  }

  async finish(): Promise<StagedBody> {
    await this.#writing;
    this.#throwFailure();
    if (this.#filled > 0) {
      this.#startWrite();
      await this.#writing;
    }
    this.#throwFailure();
    this.#end();
    return new StagedChunks(this.#lane, this.#chunks);
  }

  abort(): void {
    if (this.#done) return;
    this.#end();
    void (this.#writing ?? Promise.resolve()).then(() =>
      new StagedChunks(this.#lane, this.#chunks).release(),
    );
  }

  async #writeAcross(bytes: Uint8Array): Promise<void> {
    this.#throwFailure();
    let rest = bytes;
    while (rest.length > 0) {
      const part = rest.subarray(0, LIMITS.chunkBytes - this.#filled);
      this.#fill(part);
      rest = rest.subarray(part.length);
      if (this.#filled < LIMITS.chunkBytes) break;
      if (this.#writing !== undefined) {
        // The caller's bytes are only ours until the first wait, so what is left is kept aside.
        // (A Buffer's own `slice` would not copy.)
        rest = new Uint8Array(rest);
        this.#isAcross = true;
        await this.#writing;
        this.#isAcross = false;
        this.#throwFailure();
        if (this.#done) return;
      }
      this.#startWrite();
    }
  }

  #fill(bytes: Uint8Array): void {
    this.#buffer ??= this.#lane.takeBuffer();
    copyInto(asBuffer(this.#buffer), CHUNK_HEADER_BYTES + this.#filled, bytes);
    this.#filled += bytes.length;
    if (this.#hasher === undefined) return;
    while (this.#filled - this.#lentBytes >= LOAN_BYTES) this.#lend(this.#lentBytes + LOAN_BYTES);
  }

  /** Gives the hasher what it has not been given yet, up to `end`. */
  #lend(end: number): void {
    const start = this.#lentBytes;
    if (this.#hasher === undefined || this.#buffer === undefined || end === start) return;
    const bytes = this.#buffer.subarray(CHUNK_HEADER_BYTES + start, CHUNK_HEADER_BYTES + end);
    this.#lentBytes = end;
    this.#loans += 1;
    const read = this.#hasher.lend(bytes).then(
      () => this.#returned(),
      (failure: unknown) => {
        this.#failure ??= failure;
        this.#returned();
      },
    );
    this.#unread.push(read);
  }

  #returned(): void {
    this.#loans -= 1;
    if (this.#loans < LOANS_MAX) for (const wake of this.#wake.splice(0)) wake();
  }

  async #untilRead(): Promise<void> {
    while (this.#loans >= LOANS_MAX && !this.#done) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    this.#throwFailure();
  }

  #startWrite(): void {
    const buffer = this.#buffer;
    if (buffer === undefined || this.#done) return;
    try {
      this.#admit(this.#filled);
    } catch (failure) {
      this.#failure = failure;
      this.#throwFailure();
    }
    const filled = this.#filled;
    const unread = this.#unread;
    this.#buffer = undefined;
    this.#filled = 0;
    this.#lentBytes = 0;
    this.#unread = [];
    const placed = this.#lane.append(buffer, filled);
    this.#writing = Promise.all([placed, ...unread]).then(
      ([chunk]) => {
        this.#chunks.push(chunk);
        this.#lane.giveBuffer(buffer);
        this.#writing = undefined;
      },
      (failure: unknown) => {
        // Kept for the caller's next call, which reports it.
        this.#failure = failure;
        this.#writing = undefined;
      },
    );
  }

  #throwFailure(): void {
    if (this.#failure === undefined) return;
    this.abort();
    throw this.#failure instanceof StorageFault
      ? this.#failure
      : new StorageFault("io", "a large body could not be stored", { cause: this.#failure });
  }

  #end(): void {
    this.#done = true;
    // A hasher that still reads here has been given up too: its digests are not needed.
    if (this.#buffer !== undefined) this.#lane.giveBuffer(this.#buffer);
    this.#buffer = undefined;
    for (const wake of this.#wake.splice(0)) wake();
    this.#ended();
  }
}

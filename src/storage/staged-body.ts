import { assert } from "../core/assert.ts";
import { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import type { BulkLane, PlacedChunk } from "./bulk-lane.ts";
import { CHUNK_HEADER_BYTES } from "./segment/chunk.ts";
import type { BodyWriter, StagedBody } from "./store.ts";

/** A large body whose chunks are durable and pinned until a commit names them or it is let go. */
export class StagedChunks implements StagedBody {
  readonly bytes: number;
  readonly chunks: readonly PlacedChunk[];
  readonly #lane: BulkLane;
  #pinned = true;

  constructor(lane: BulkLane, chunks: readonly PlacedChunk[]) {
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

/** Cuts a stream into chunks; at most two are in memory, one filling and one being written. */
export class ChunkWriter implements BodyWriter {
  readonly #lane: BulkLane;
  readonly #admit: (bytes: number) => void;
  readonly #ended: () => void;
  readonly #chunks: PlacedChunk[] = [];
  #buffer: Uint8Array | undefined;
  #filled = 0;
  #writing: Promise<void> | undefined;
  #failure: unknown;
  #done = false;

  /**
   * @param hooks `admit` throws when there is no room for a chunk; `ended` is called once when the
   *   writer no longer holds memory.
   */
  constructor(lane: BulkLane, hooks: { admit: (bytes: number) => void; ended: () => void }) {
    this.#lane = lane;
    this.#admit = hooks.admit;
    this.#ended = hooks.ended;
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    assert(!this.#done, "a body is written before it is finished");
    const room = LIMITS.chunkBytes - this.#filled;
    if (bytes.length < room) {
      this.#fill(bytes);
      return undefined;
    }
    return this.#writeAcross(bytes);
  }

  async finish(): Promise<StagedBody> {
    await this.#writing;
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
    let rest = bytes;
    while (rest.length > 0) {
      const part = rest.subarray(0, LIMITS.chunkBytes - this.#filled);
      this.#fill(part);
      rest = rest.subarray(part.length);
      if (this.#filled < LIMITS.chunkBytes) break;
      if (this.#writing !== undefined) {
        // The caller's bytes are only ours until the first wait, so what is left is kept aside.
        rest = rest.slice();
        await this.#writing;
        this.#throwFailure();
      }
      this.#startWrite();
    }
  }

  #fill(bytes: Uint8Array): void {
    this.#buffer ??= this.#lane.takeBuffer();
    this.#buffer.set(bytes, CHUNK_HEADER_BYTES + this.#filled);
    this.#filled += bytes.length;
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
    this.#buffer = undefined;
    this.#filled = 0;
    this.#writing = this.#lane.append(buffer, filled).then(
      (placed) => {
        this.#chunks.push(placed);
        this.#lane.giveBuffer(buffer);
        this.#writing = undefined;
      },
      (failure: unknown) => {
        // Kept for the next call of the caller, who is the one to be told.
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
    if (this.#buffer !== undefined) this.#lane.giveBuffer(this.#buffer);
    this.#buffer = undefined;
    this.#ended();
  }
}

import { assert } from "../core/assert.ts";
import { alignUp, toHex } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import type { Hlc } from "../core/hlc.ts";
import { ignore } from "../core/ignore.ts";
import { LIMITS } from "../core/limits.ts";
import { type ContentHash, parseContentHash, parseSegmentId } from "../core/names.ts";
import type { ChunkPlace } from "../core/records.ts";
import type { Disk, WriteFile } from "../ports/disk.ts";
import type { Hash } from "../ports/hash.ts";
import { Line } from "./line.ts";
import {
  CHUNK_HEADER_BYTES,
  chunkRecordBytes,
  sliceCrcsOf,
  writeChunkHeader,
  writeChunkTrailer,
} from "./segment/chunk.ts";
import type { FooterBuilder } from "./segment/footer.ts";
import type { SegmentFacts, Segments } from "./segment/segments.ts";

/** A chunk that is durable, and where. */
export type PlacedChunk = { readonly hash: ContentHash; readonly place: ChunkPlace };

type OpenSegment = {
  readonly facts: SegmentFacts;
  readonly file: WriteFile;
  readonly footer: FooterBuilder;
};

export type BulkLaneDeps = {
  readonly disk: Disk;
  readonly hash: Hash;
  readonly segments: Segments;
  readonly segmentBytes: number;
  readonly makeFooter: (facts: SegmentFacts) => FooterBuilder;
  readonly seal: (segment: OpenSegment) => void;
  readonly now: () => Hlc;
};

/** Bytes of a chunk buffer: header, a whole chunk, trailer, padding. */
const BUFFER_BYTES = alignUp(chunkRecordBytes(LIMITS.chunkBytes), LIMITS.pageBytes);
/**
 * Free buffers kept for the next bodies until the next garbage collection; more than these are
 * released at once. A server at rest keeps none.
 */
const POOLED_BUFFERS = 8;

/** Chunks that wait for the disk are written together up to so many bytes: they share its sync. */
const TOGETHER_BYTES_MAX = 4 * 1024 * 1024;

type WaitingChunk = {
  readonly buffer: Uint8Array;
  readonly hash: ContentHash;
  readonly payloadBytes: number;
  readonly sliceCrcs: readonly number[];
  readonly resolve: (placed: PlacedChunk) => void;
  readonly reject: (failure: unknown) => void;
};

/**
 * The bulk lane: chunks of large bodies, each written whole and durable when its write resolves.
 * One write at a time, of as many chunks as were waiting for it, so that the file has no holes
 * behind which anything was acknowledged, and a crash can only tear its end.
 */
export class BulkLane {
  readonly #deps: BulkLaneDeps;
  readonly #free: WeakRef<Uint8Array>[] = [];
  /** How many pins have been taken away. */
  unpinned = 0;
  readonly #pins = new Map<number, number>();
  /** In the order in which they are written. */
  readonly #waiting: WaitingChunk[] = [];
  #current: OpenSegment | undefined;
  /** Writes and seals, one after the other; whoever asked for one hears of its failure. */
  readonly #line = new Line();

  constructor(deps: BulkLaneDeps) {
    this.#deps = deps;
  }

  get currentSegment(): number | undefined {
    return this.#current?.facts.id;
  }

  /** Memory for one chunk; the payload goes behind CHUNK_HEADER_BYTES. */
  takeBuffer(): Uint8Array {
    for (let free = this.#free.pop(); free !== undefined; free = this.#free.pop()) {
      const buffer = free.deref();
      if (buffer !== undefined) return buffer;
    }
    return this.#deps.disk.allocateAligned(BUFFER_BYTES);
  }

  giveBuffer(buffer: Uint8Array): void {
    if (this.#free.length < POOLED_BUFFERS) this.#free.push(new WeakRef(buffer));
  }

  /**
   * Writes the chunk in the buffer and pins its segment until `unpin`.
   *
   * @throws whatever the disk says; the segment is then given up and a new one begun.
   */
  append(buffer: Uint8Array, payloadBytes: number): Promise<PlacedChunk> {
    const { hash: hashes } = this.#deps;
    const payload = buffer.subarray(CHUNK_HEADER_BYTES, CHUNK_HEADER_BYTES + payloadBytes);
    const hash = parseContentHash(toHex(hashes.digest("BLAKE3", payload)));
    assert(hash !== undefined, "a digest is a content hash");
    const sliceCrcs = sliceCrcsOf(payload, hashes.crc32);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ buffer, hash, payloadBytes, sliceCrcs, resolve, reject });
      void this.#line.run(() => this.#writeWaiting());
    });
  }

  /** Keeps a segment until `unpin`. */
  pin(segment: number): void {
    this.#pins.set(segment, (this.#pins.get(segment) ?? 0) + 1);
  }

  /** Takes a pin away: the chunk is named by a row, or was given up. */
  unpin(segment: number): void {
    const pins = (this.#pins.get(segment) ?? 0) - 1;
    if (pins > 0) this.#pins.set(segment, pins);
    else this.#pins.delete(segment);
    this.unpinned += 1;
  }

  isPinned(segment: number): boolean {
    return this.#pins.has(segment);
  }

  /** Seals the open segment once the writes under way have ended. */
  sealCurrent(): Promise<void> {
    return this.#line.run(() => {
      const current = this.#current;
      this.#current = undefined;
      if (current !== undefined) this.#deps.seal(current);
    });
  }

  async close(): Promise<void> {
    await this.#line.idle();
    await this.#current?.file.close();
    this.#current = undefined;
  }

  /** Writes what waits, as much as goes together; who waits hears of it. Never rejects. */
  async #writeWaiting(): Promise<void> {
    const chunks = this.#takeWaiting();
    if (chunks.length === 0) return;
    try {
      await this.#write(chunks);
    } catch (failure) {
      for (const { reject } of chunks) reject(failure);
    }
  }

  /** The first that waits, and those behind it that go into the same write. */
  #takeWaiting(): WaitingChunk[] {
    let bytes = 0;
    const more = this.#waiting.findIndex(({ payloadBytes }, at) => {
      bytes += payloadBytes;
      return at > 0 && bytes > TOGETHER_BYTES_MAX;
    });
    return this.#waiting.splice(0, more < 0 ? this.#waiting.length : more);
  }

  async #write(chunks: readonly WaitingChunk[]): Promise<void> {
    const { facts, file, footer } = await this.#openSegment();
    let end = facts.sizeBytes;
    const laid = chunks.map((chunk) => {
      const offset = end;
      end += chunkRecordBytes(chunk.payloadBytes);
      return { ...chunk, offset, record: this.#recordOf(chunk, facts.id, offset) };
    });
    try {
      const records = laid.map(({ record }) => record);
      await file.writeParts(records, facts.sizeBytes);
      await file.sync();
    } catch (cause) {
      await this.#giveUp();
      throw new StorageFault("io", `segment ${facts.id} could not be written`, { cause });
    }
    facts.sizeBytes = end;
    for (const { hash, payloadBytes: bytes, sliceCrcs, offset, resolve } of laid) {
      footer.addChunk({ hash, offset, bytes });
      this.pin(facts.id);
      const place = { segment: facts.id, offset: offset + CHUNK_HEADER_BYTES, bytes, sliceCrcs };
      resolve({ hash, place });
    }
  }

  /** The chunk in its buffer, with what stands before and behind it at its place. */
  #recordOf(
    { buffer, hash, payloadBytes, sliceCrcs }: WaitingChunk,
    segment: number,
    offset: number,
  ): Uint8Array {
    const { crc32 } = this.#deps.hash;
    const segmentId = parseSegmentId(segment);
    assert(segmentId !== undefined, "a segment has an id");
    writeChunkHeader(buffer, { payloadBytes, segmentId, offset }, crc32);
    const trailerAt = CHUNK_HEADER_BYTES + payloadBytes;
    writeChunkTrailer(buffer, trailerAt, { sliceCrcs, hash }, crc32);
    return buffer.subarray(0, chunkRecordBytes(payloadBytes));
  }

  async #openSegment(): Promise<OpenSegment> {
    const { segments, segmentBytes, makeFooter, seal, now } = this.#deps;
    if (this.#current !== undefined && this.#current.facts.sizeBytes < segmentBytes) {
      return this.#current;
    }
    if (this.#current !== undefined) seal(this.#current);
    this.#current = undefined;
    const made = await segments.create("bulk", now());
    this.#current = { ...made, footer: makeFooter(made.facts) };
    return this.#current;
  }

  /**
   * Nothing later goes into a segment with a failed write. What is known synced stays readable;
   * its end is cut and it is sealed at the next start.
   */
  async #giveUp(): Promise<void> {
    const failed = this.#current;
    this.#current = undefined;
    // Whoever waits for the chunk hears why its write failed; that counts, and not the close.
    await failed?.file.close().then(ignore, ignore);
  }
}

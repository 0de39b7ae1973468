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

/**
 * The bulk lane: chunks of large bodies, each written whole and durable when its write resolves.
 * One write at a time, so that the file has no holes and a crash can only tear its end.
 */
export class BulkLane {
  readonly #deps: BulkLaneDeps;
  readonly #free: WeakRef<Uint8Array>[] = [];
  /** How many pins have been taken away. */
  unpinned = 0;
  readonly #pins = new Map<number, number>();
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
    return this.#line.run(() => this.#write(buffer, { hash, payloadBytes, sliceCrcs }));
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

  async #write(
    buffer: Uint8Array,
    chunk: { hash: ContentHash; payloadBytes: number; sliceCrcs: number[] },
  ): Promise<PlacedChunk> {
    const { hash: hashes } = this.#deps;
    const { facts, file, footer } = await this.#openSegment();
    const { hash, payloadBytes, sliceCrcs } = chunk;
    const offset = facts.sizeBytes;
    const segmentId = parseSegmentId(facts.id);
    assert(segmentId !== undefined, "a segment has an id");
    writeChunkHeader(buffer, { payloadBytes, segmentId, offset }, hashes.crc32);
    const trailerAt = CHUNK_HEADER_BYTES + payloadBytes;
    writeChunkTrailer(buffer, trailerAt, { sliceCrcs, hash }, hashes.crc32);
    const bytes = chunkRecordBytes(payloadBytes);
    try {
      await file.write(buffer.subarray(0, bytes), offset);
      await file.sync();
    } catch (cause) {
      await this.#giveUp();
      throw new StorageFault("io", `segment ${facts.id} could not be written`, { cause });
    }
    facts.sizeBytes = offset + bytes;
    footer.addChunk({ hash, offset, bytes: payloadBytes });
    this.pin(facts.id);
    const place = {
      segment: facts.id,
      offset: offset + CHUNK_HEADER_BYTES,
      bytes: payloadBytes,
      sliceCrcs,
    };
    return { hash, place };
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

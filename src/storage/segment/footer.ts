import { assert } from "../../core/assert.ts";
import { ByteWriter } from "../../core/bytes.ts";
import type { Hlc } from "../../core/hlc.ts";
import { LIMITS } from "../../core/limits.ts";
import type { BucketName, ContentHash, ObjectKey, OriginId } from "../../core/names.ts";
import { type Bloom, createBloom } from "./bloom.ts";
import {
  BATCH_ENTRY_BYTES,
  CHUNK_ENTRY_BYTES,
  FOOTER_HEADER_BYTES,
  FOOTER_TRAILER_BYTES,
  type FooterBatch,
  type FooterChunk,
  footerPadding,
  KEY_INTERVAL,
  SPARSE_ENTRY_BYTES,
} from "./footer-layout.ts";
import { type Crc, MAGIC } from "./format.ts";
import { KeyRuns, type MergedName } from "./key-runs.ts";

const HLC_MAX = 0xffff_ffff_ffff_ffffn;
const CHAIN_BYTES = 32;
const KEY_TABLE_BYTES_AT = 32;
/** Entries of a table are collected in pieces, so that growing never copies megabytes. */
const PIECE_BYTES = 64 * 1024;
/** Copied or checksummed between two turns of the event loop: well under a millisecond. */
const STEP_BYTES = 1024 * 1024;
/** Varints of a key entry: two lengths of at most two bytes, an offset of at most five. */
const KEY_ENTRY_OVERHEAD_BYTES = 9;

/** A footer without its trailer, which needs to know where the footer stands. */
export type BuiltFooter = {
  readonly segmentId: number;
  /** Whole pages: the footer with its padding, and zeros where the trailer will stand. */
  readonly pages: Buffer;
  /** CRC-32 of the pages without the trailer's place. */
  readonly crc: number;
};

/**
 * Collects what a footer says while records arrive, cheaply, and puts it in order when the segment
 * is sealed, in steps of about a millisecond. Everything must be added in order of offset.
 */
export class FooterBuilder {
  readonly #segmentId: number;
  readonly #origin: OriginId;
  readonly #crc: Crc;
  readonly #batches = new EntryTable();
  readonly #chunks = new EntryTable();
  readonly #chunkHashes: ContentHash[] = [];
  readonly #keys = new KeyRuns();
  #operations = 0;
  #hlcSmallest = HLC_MAX;
  #hlcGreatest = 0n;
  #firstSeq = 0;
  #lastSeq = 0;
  #chain: Uint8Array = Buffer.alloc(CHAIN_BYTES);

  constructor(segment: { segmentId: number; origin: OriginId; crc: Crc }) {
    this.#segmentId = segment.segmentId;
    this.#origin = segment.origin;
    this.#crc = segment.crc;
  }

  addBatch(batch: FooterBatch): void {
    const entry = this.#batches.next();
    entry.u64(batch.offset).u32(batch.batchBytes).u32(batch.opsBytes).u32(batch.operations);
    entry.u64(batch.firstSeq).u64(batch.lastSeq);
    this.#operations += batch.operations;
    if (batch.lastSeq === 0) return;
    if (this.#firstSeq === 0) this.#firstSeq = batch.firstSeq;
    this.#lastSeq = batch.lastSeq;
  }

  /** @param recordOffset of the operation's record in the file. */
  addKey(bucket: BucketName, key: ObjectKey, recordOffset: number): void {
    this.#keys.add(bucket, key, recordOffset);
  }

  addChunk(chunk: FooterChunk): void {
    this.#chunks.next().hex(chunk.hash).u64(chunk.offset).u32(chunk.bytes);
    this.#chunkHashes.push(chunk.hash);
  }

  observeHlc(hlc: Hlc): void {
    if (hlc < this.#hlcSmallest) this.#hlcSmallest = hlc;
    if (hlc > this.#hlcGreatest) this.#hlcGreatest = hlc;
  }

  /** @param chain hash chain of this origin after its last operation here; kept, not copied. */
  observeChain(chain: Uint8Array): void {
    assert(chain.length === CHAIN_BYTES, "a chain hash has 32 bytes");
    this.#chain = chain;
  }

  /**
   * Puts the footer together; nothing may be added any more. Waits for `yieldTurn` (a turn of the
   * event loop) between steps.
   */
  async build(yieldTurn: () => Promise<void>): Promise<BuiltFooter> {
    const bloom = createBloom(this.#keys.count + this.#chunks.count);
    const writer = new ByteWriter(this.#bytesMax(bloom));
    this.#writeHeader(writer, bloom);
    await this.#batches.copyTo(writer, yieldTurn);
    await this.#chunks.copyTo(writer, yieldTurn);
    for (const hash of this.#chunkHashes) bloom.add(Buffer.from(hash, "hex"));
    await this.#writeKeys(writer, bloom, yieldTurn);
    await writeInSteps(writer, bloom.bits, yieldTurn);
    writer.zeros(footerPadding(writer.length));
    const bytes = writer.view();
    let crc = 0;
    for (let at = 0; at < bytes.length; at += STEP_BYTES) {
      crc = this.#crc(bytes.subarray(at, at + STEP_BYTES), crc);
      await yieldTurn();
    }
    const pages = writer.zeros(FOOTER_TRAILER_BYTES).view();
    return { segmentId: this.#segmentId, pages, crc };
  }

  /** So much memory is asked for at once; untouched pages of it cost nothing. */
  #bytesMax(bloom: Bloom): number {
    const tables = this.#batches.count * BATCH_ENTRY_BYTES + this.#chunks.count * CHUNK_ENTRY_BYTES;
    const keys = this.#keys.bytes + this.#keys.count * KEY_ENTRY_OVERHEAD_BYTES;
    const sparse = this.#sparseCount() * SPARSE_ENTRY_BYTES;
    const used = FOOTER_HEADER_BYTES + tables + keys + sparse + bloom.bits.length;
    return used + FOOTER_TRAILER_BYTES + LIMITS.pageBytes;
  }

  #sparseCount(): number {
    return Math.ceil(this.#keys.count / KEY_INTERVAL);
  }

  #writeHeader(writer: ByteWriter, bloom: Bloom): void {
    writer.bytes(MAGIC.footer).u32(this.#segmentId);
    writer.u32(this.#batches.count).u32(this.#chunks.count).u32(this.#keys.count);
    writer.u32(KEY_INTERVAL).u32(this.#sparseCount()).u32(0).u32(bloom.bits.length);
    writer.u32(this.#operations).u32(0).bigU64(this.#hlcSmallest).bigU64(this.#hlcGreatest);
    writer.u64(this.#firstSeq).u64(this.#lastSeq).bytes(this.#chain).hex(this.#origin).zeros(8);
  }

  async #writeKeys(
    writer: ByteWriter,
    bloom: Bloom,
    yieldTurn: () => Promise<void>,
  ): Promise<void> {
    const start = writer.length;
    const sparse: number[] = [];
    const before: MergedName = { names: Buffer.alloc(0), start: 0, end: 0, recordOffset: 0 };
    let count = 0;
    const visit = (name: MergedName): void => {
      const whole = count % KEY_INTERVAL === 0;
      count++;
      if (whole) sparse.push(writer.length - start);
      const shared = whole ? 0 : sharedBytes(before, name);
      const length = name.end - name.start;
      writer.varint(shared).varint(length - shared);
      writer.bytes(name.names.subarray(name.start + shared, name.end)).varint(name.recordOffset);
      bloom.add(name.names.subarray(name.start, name.end));
      before.names = name.names;
      before.start = name.start;
      before.end = name.end;
    };
    await this.#keys.merge(visit, yieldTurn);
    writer.patchU32(KEY_TABLE_BYTES_AT, writer.length - start);
    for (const offset of sparse) writer.u32(offset);
  }
}

function sharedBytes(left: MergedName, right: MergedName): number {
  const shared = Math.min(left.end - left.start, right.end - right.start);
  for (let at = 0; at < shared; at++) {
    if (left.names[left.start + at] !== right.names[right.start + at]) return at;
  }
  return shared;
}

async function writeInSteps(
  writer: ByteWriter,
  bytes: Uint8Array,
  yieldTurn: () => Promise<void>,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += STEP_BYTES) {
    writer.bytes(bytes.subarray(at, at + STEP_BYTES));
    await yieldTurn();
  }
}

/** Encoded entries of a table, in pieces. */
class EntryTable {
  readonly #pieces: ByteWriter[] = [];
  #last: ByteWriter | undefined;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Where to write the next entry. */
  next(): ByteWriter {
    this.#count++;
    const last = this.#last;
    if (last !== undefined && last.length < PIECE_BYTES) return last;
    // Most tables stay small, and a piece grows by itself.
    const piece = new ByteWriter(1024);
    this.#last = piece;
    this.#pieces.push(piece);
    return piece;
  }

  async copyTo(writer: ByteWriter, yieldTurn: () => Promise<void>): Promise<void> {
    for (const piece of this.#pieces) {
      writer.bytes(piece.view());
      await yieldTurn();
    }
  }
}

/** The whole pages that end the file when they are written at `footerOffset`. Not a copy. */
export function encodeFooter(built: BuiltFooter, footerOffset: number, crc: Crc): Buffer {
  assert(footerOffset % LIMITS.pageBytes === 0, "a footer starts on a page boundary");
  const { pages } = built;
  const footerBytes = pages.length - FOOTER_TRAILER_BYTES;
  const writer = new ByteWriter(FOOTER_TRAILER_BYTES);
  writer.bytes(MAGIC.trailer).u64(footerOffset).u64(footerBytes);
  writer.u32(built.crc).u32(built.segmentId).zeros(28);
  writer.u32(crc(writer.view()));
  pages.set(writer.view(), footerBytes);
  return pages;
}

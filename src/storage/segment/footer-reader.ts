import { ByteReader, compareBytes, LayoutError } from "../../core/bytes.ts";
import { parseHlc } from "../../core/hlc.ts";
import { LIMITS } from "../../core/limits.ts";
import {
  type BucketName,
  type ContentHash,
  type ObjectKey,
  parseContentHash,
  parseOriginId,
} from "../../core/names.ts";
import { required } from "../../core/tagged-fields.ts";
import { type Bloom, bloomOver } from "./bloom.ts";
import {
  BATCH_ENTRY_BYTES,
  CHUNK_ENTRY_BYTES,
  FOOTER_HEADER_BYTES,
  FOOTER_TRAILER_BYTES,
  type FooterBatch,
  type FooterChunk,
  type FooterSummary,
  SPARSE_ENTRY_BYTES,
} from "./footer-layout.ts";
import { type Crc, MAGIC, readMagic } from "./format.ts";

const CRC_OFFSET = FOOTER_TRAILER_BYTES - 4;
const NAME_BYTES_MAX = LIMITS.bucketNameBytesMax + 1 + LIMITS.keyBytesMax;

/*
 * A site reads only the trailer, which tells where the batches or chunks of a segment end. Nothing
 * but tests reads the footer itself yet: it is for finding operations and chunks without reading
 * the segment, as compaction will. Its readers hold the writer to the layout until then.
 */

/** What the last bytes of a sealed file say. */
export type FooterTrailer = {
  readonly segmentId: number;
  readonly footerOffset: number;
  /** From the offset up to the trailer. */
  readonly footerBytes: number;
  readonly footerCrc: number;
};

export type FooterTrailerOutcome =
  | { readonly outcome: "trailer"; readonly trailer: FooterTrailer }
  /** No trailer stands here: the segment was never sealed, or its end was cut off. */
  | { readonly outcome: "none" }
  | { readonly outcome: "damaged"; readonly reason: string };

/** A verified footer; its parts share memory with the bytes it was read from. */
export type Footer = FooterSummary & {
  readonly batchCount: number;
  readonly chunkCount: number;
  readonly keyCount: number;
  readonly batchTable: Buffer;
  readonly chunkTable: Buffer;
  readonly keyTable: Buffer;
  readonly sparse: Buffer;
  readonly bloom: Bloom;
};

export type FooterOutcome =
  | { readonly outcome: "footer"; readonly footer: Footer }
  | { readonly outcome: "damaged"; readonly reason: string };

/** Reads the last FOOTER_TRAILER_BYTES bytes of a segment file. */
export function decodeFooterTrailer(
  bytes: Uint8Array,
  expected: { readonly segmentId: number; readonly fileBytes: number },
  crc: Crc,
): FooterTrailerOutcome {
  if (bytes.length !== FOOTER_TRAILER_BYTES) return { outcome: "none" };
  const reader = new ByteReader(bytes);
  const hasMagic = readMagic(reader, MAGIC.trailer);
  // The checksum is taken as if the magic were whole: one damaged byte of the magic must not make
  // a sealed segment look like one that never was.
  const sum = crc(bytes.subarray(MAGIC.trailer.length, CRC_OFFSET), crc(MAGIC.trailer));
  const whole = sum === new ByteReader(bytes, CRC_OFFSET).u32();
  if (!hasMagic) return whole ? damaged("a footer trailer has no magic") : { outcome: "none" };
  if (!whole) return damaged("a footer trailer's checksum differs");
  const footerOffset = Number(reader.bigU64());
  const footerBytes = Number(reader.bigU64());
  const footerCrc = reader.u32();
  const segmentId = reader.u32();
  const end = footerOffset + footerBytes + FOOTER_TRAILER_BYTES;
  if (segmentId !== expected.segmentId || end !== expected.fileBytes) {
    return damaged("a footer trailer was meant for another place");
  }
  if (footerOffset % LIMITS.pageBytes !== 0 || footerBytes < FOOTER_HEADER_BYTES) {
    return damaged("a footer trailer's numbers are wrong");
  }
  return { outcome: "trailer", trailer: { segmentId, footerOffset, footerBytes, footerCrc } };
}

/** Reads the footer that a trailer describes, from exactly its bytes. */
export function decodeFooter(bytes: Uint8Array, trailer: FooterTrailer, crc: Crc): FooterOutcome {
  if (bytes.length !== trailer.footerBytes) return damaged("a footer has another length");
  if (crc(bytes) !== trailer.footerCrc) return damaged("a footer's checksum differs");
  try {
    const footer = readFooter(new ByteReader(bytes));
    if (footer.segmentId !== trailer.segmentId) return damaged("a footer of another segment");
    return { outcome: "footer", footer };
  } catch (failure) {
    if (failure instanceof LayoutError) return damaged(failure.message);
    throw failure;
  }
}

function readFooter(reader: ByteReader): Footer {
  if (!readMagic(reader, MAGIC.footer)) throw new LayoutError("not a footer");
  const segmentId = reader.u32();
  const [batchCount, chunkCount, keyCount] = [reader.u32(), reader.u32(), reader.u32()];
  reader.u32();
  const [sparseCount, keyTableBytes, bloomBytes] = [reader.u32(), reader.u32(), reader.u32()];
  const operations = reader.u32();
  reader.u32();
  const smallest = required(parseHlc(reader.bigU64()), "HLC");
  const greatest = required(parseHlc(reader.bigU64()), "HLC");
  const [firstSeq, lastSeq] = [reader.u64(), reader.u64()];
  const chain = Buffer.from(reader.bytes(32));
  const origin = required(parseOriginId(reader.hex(8)), "origin");
  reader.bytes(8);
  const batchTable = reader.bytes(batchCount * BATCH_ENTRY_BYTES);
  const chunkTable = reader.bytes(chunkCount * CHUNK_ENTRY_BYTES);
  const keyTable = reader.bytes(keyTableBytes);
  const sparse = reader.bytes(sparseCount * SPARSE_ENTRY_BYTES);
  const bits = reader.bytes(bloomBytes);
  if (bits.length === 0) throw new LayoutError("a footer has no filter");
  const hlcs = smallest <= greatest ? { smallest, greatest } : undefined;
  const tables = { batchTable, chunkTable, keyTable, sparse, bloom: bloomOver(bits) };
  const counts = { batchCount, chunkCount, keyCount, operations };
  return { segmentId, origin, hlcs, firstSeq, lastSeq, chain, ...counts, ...tables };
}

/** The batches of a segment, in order of offset. Throws LayoutError. */
export function* footerBatches(footer: Footer): Generator<FooterBatch> {
  const reader = new ByteReader(footer.batchTable);
  while (reader.remaining > 0) {
    const offset = reader.u64();
    const batchBytes = reader.u32();
    const opsBytes = reader.u32();
    const operations = reader.u32();
    const firstSeq = reader.u64();
    const lastSeq = reader.u64();
    yield { offset, opsBytes, batchBytes, operations, firstSeq, lastSeq };
  }
}

/** The chunks of a segment, in order of offset. Throws LayoutError. */
export function* footerChunks(footer: Footer): Generator<FooterChunk> {
  const reader = new ByteReader(footer.chunkTable);
  while (reader.remaining > 0) {
    const hash = required(parseContentHash(reader.hex(32)), "chunk hash");
    yield { hash, offset: reader.u64(), bytes: reader.u32() };
  }
}

/** False: the segment holds no operation on this object. True: look with `footerFindKey`. */
export function footerMayHoldKey(footer: Footer, bucket: BucketName, key: ObjectKey): boolean {
  return footer.bloom.mayHold(nameOf(bucket, key));
}

/** False: the segment does not hold this chunk. */
export function footerMayHoldChunk(footer: Footer, hash: ContentHash): boolean {
  return footer.bloom.mayHold(Buffer.from(hash, "hex"));
}

/**
 * Offsets in the file of the records that concern an object, ascending. Throws LayoutError when
 * the table does not fit its layout.
 */
export function footerFindKey(footer: Footer, bucket: BucketName, key: ObjectKey): number[] {
  const wanted = nameOf(bucket, key);
  const offsets: number[] = [];
  const names = new NameReader(footer.keyTable, wholeNameBefore(footer, wanted));
  while (names.next()) {
    const order = compareBytes(names.name(), wanted);
    if (order > 0) break;
    if (order === 0) offsets.push(names.recordOffset);
  }
  return offsets;
}

/** Offset in the table of the last name in the sparse index that is smaller, or else 0. */
function wholeNameBefore(footer: Footer, wanted: Buffer): number {
  const { sparse, keyTable } = footer;
  let low = 0;
  let high = sparse.length / SPARSE_ENTRY_BYTES;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const names = new NameReader(keyTable, sparse.readUInt32LE(middle * SPARSE_ENTRY_BYTES));
    names.next();
    if (compareBytes(names.name(), wanted) < 0) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : sparse.readUInt32LE((low - 1) * SPARSE_ENTRY_BYTES);
}

/** Walks the table of keys, putting names together from what they share with the one before. */
class NameReader {
  readonly #reader: ByteReader;
  readonly #name = Buffer.alloc(NAME_BYTES_MAX);
  #length = 0;
  #recordOffset = 0;

  constructor(table: Buffer, offset: number) {
    this.#reader = new ByteReader(table, offset);
  }

  get recordOffset(): number {
    return this.#recordOffset;
  }

  /** Shares memory with the reader until its next step. */
  name(): Buffer {
    return this.#name.subarray(0, this.#length);
  }

  next(): boolean {
    const reader = this.#reader;
    if (reader.remaining <= 0) return false;
    const shared = reader.varint();
    const more = reader.varint();
    if (shared > this.#length || shared + more > NAME_BYTES_MAX) {
      throw new LayoutError("a key in a footer is too long");
    }
    this.#name.set(reader.bytes(more), shared);
    this.#length = shared + more;
    this.#recordOffset = reader.varint();
    return true;
  }
}

function nameOf(bucket: string, key: string): Buffer {
  return Buffer.from(`${bucket}\0${key}`);
}

function damaged(reason: string): { outcome: "damaged"; reason: string } {
  return { outcome: "damaged", reason };
}

import { assert } from "../../core/assert.ts";
import { alignUp, asBuffer, ByteReader } from "../../core/bytes.ts";
import { LIMITS } from "../../core/limits.ts";
import { type ContentHash, parseContentHash } from "../../core/names.ts";
import { type Crc, type ExpectedPlace, isZero, MAGIC, readMagic } from "./format.ts";

/*
 * Chunk of the bulk lane, on a page boundary. Checksums stand behind the payload, so that it can
 * be written while it arrives.
 *
 * | offset | bytes | meaning                                                             |
 * | ------ | ----- | ------------------------------------------------------------------- |
 * | 0      | 64    | header                                                              |
 * | 64     | p     | payload                                                             |
 * | 64 + p | t     | trailer                                                             |
 * | ...    | n     | zeros up to the next page boundary                                  |
 *
 * Chunk header:
 *
 * | offset | bytes | meaning                                                             |
 * | ------ | ----- | ------------------------------------------------------------------- |
 * | 0      | 8     | magic "ATOLCHNK"                                                    |
 * | 8      | 4     | CRC-32 of bytes 12 to 63                                            |
 * | 12     | 4     | bytes of the payload, p, from 1                                     |
 * | 16     | 4     | segment id                                                          |
 * | 20     | 4     | zero                                                                |
 * | 24     | 8     | offset of the chunk's header in its file                            |
 * | 32     | 32    | zeros                                                               |
 *
 * Chunk trailer, s slices of 1 MiB, the last one shorter:
 *
 * | offset   | bytes | meaning                                                           |
 * | -------- | ----- | ----------------------------------------------------------------- |
 * | 0        | 4     | count of slices, s                                                |
 * | 4        | 4 s   | CRC-32 of each slice                                              |
 * | 4 + 4 s  | 32    | BLAKE3-256 of the payload                                         |
 * | 36 + 4 s | 4     | CRC-32 of the trailer before it                                   |
 */
export const CHUNK_HEADER_BYTES = 64;
const HASH_BYTES = 32;

export type ChunkHeader = {
  readonly payloadBytes: number;
  readonly segmentId: number;
  /** Of the header in the file. */
  readonly offset: number;
};

export type ChunkTrailer = { readonly sliceCrcs: readonly number[]; readonly hash: ContentHash };

export type ChunkHeaderOutcome =
  | { readonly outcome: "chunk"; readonly header: ChunkHeader }
  /** Nothing was ever written here. */
  | { readonly outcome: "zeros" }
  | { readonly outcome: "damaged"; readonly reason: string };

export type ChunkTrailerOutcome =
  | ({ readonly outcome: "trailer" } & ChunkTrailer)
  | { readonly outcome: "damaged"; readonly reason: string };

function sliceCount(payloadBytes: number): number {
  return Math.ceil(payloadBytes / LIMITS.sliceBytes);
}

/** Bytes of the trailer behind a payload. */
export function chunkTrailerBytes(payloadBytes: number): number {
  return 4 + 4 * sliceCount(payloadBytes) + HASH_BYTES + 4;
}

/** Header to padding: a multiple of LIMITS.pageBytes. */
export function chunkRecordBytes(payloadBytes: number): number {
  const bytes = CHUNK_HEADER_BYTES + payloadBytes + chunkTrailerBytes(payloadBytes);
  return alignUp(bytes, LIMITS.pageBytes);
}

/** Writes the header at the start of `into`. */
export function writeChunkHeader(into: Uint8Array, header: ChunkHeader, crc: Crc): void {
  const memory = asBuffer(into);
  memory.fill(0, 0, CHUNK_HEADER_BYTES);
  memory.set(MAGIC.chunk, 0);
  memory.writeUInt32LE(header.payloadBytes, 12);
  memory.writeUInt32LE(header.segmentId, 16);
  memory.writeBigUInt64LE(BigInt(header.offset), 24);
  memory.writeUInt32LE(crc(memory.subarray(12, CHUNK_HEADER_BYTES)), 8);
}

/**
 * Writes the trailer at an offset of `into`, and zeros up to the next page boundary counted from
 * the start of `into`. Returns the offset of that boundary.
 */
export function writeChunkTrailer(
  into: Uint8Array,
  offset: number,
  trailer: ChunkTrailer,
  crc: Crc,
): number {
  const memory = asBuffer(into);
  let at = memory.writeUInt32LE(trailer.sliceCrcs.length, offset);
  for (const sliceCrc of trailer.sliceCrcs) at = memory.writeUInt32LE(sliceCrc, at);
  at += memory.write(trailer.hash, at, HASH_BYTES, "hex");
  at = memory.writeUInt32LE(crc(memory.subarray(offset, at)), at);
  const end = alignUp(at, LIMITS.pageBytes);
  assert(end <= memory.length, "no room for a chunk's trailer and padding");
  memory.fill(0, at, end);
  return end;
}

/** Reads a chunk's header from at least CHUNK_HEADER_BYTES bytes. */
export function decodeChunkHeader(
  bytes: Uint8Array,
  expected: ExpectedPlace,
  crc: Crc,
): ChunkHeaderOutcome {
  if (bytes.length < CHUNK_HEADER_BYTES) return damaged("a chunk header ends early");
  const raw = bytes.subarray(0, CHUNK_HEADER_BYTES);
  const reader = new ByteReader(raw);
  if (!readMagic(reader, MAGIC.chunk))
    return isZero(raw) ? { outcome: "zeros" } : damaged("no chunk");
  if (reader.u32() !== crc(raw.subarray(12))) return damaged("a chunk header's checksum differs");
  const payloadBytes = reader.u32();
  const segmentId = reader.u32();
  reader.u32();
  const offset = Number(reader.bigU64());
  if (payloadBytes < 1 || payloadBytes > LIMITS.chunkBytes)
    return damaged("a chunk has a wrong size");
  if (segmentId !== expected.segmentId || offset !== expected.offset) {
    return damaged("a chunk was meant for another place");
  }
  return { outcome: "chunk", header: { payloadBytes, segmentId, offset } };
}

/** Reads the trailer that stands behind a payload of this size. */
export function decodeChunkTrailer(
  bytes: Uint8Array,
  payloadBytes: number,
  crc: Crc,
): ChunkTrailerOutcome {
  const size = chunkTrailerBytes(payloadBytes);
  if (bytes.length < size) return damaged("a chunk trailer ends early");
  const reader = new ByteReader(bytes);
  const count = reader.u32();
  if (count !== sliceCount(payloadBytes)) return damaged("a chunk trailer has another size");
  const sliceCrcs: number[] = [];
  for (let slice = 0; slice < count; slice++) sliceCrcs.push(reader.u32());
  const hash = parseContentHash(reader.hex(HASH_BYTES));
  if (hash === undefined || reader.u32() !== crc(bytes.subarray(0, size - 4))) {
    return damaged("a chunk trailer's checksum differs");
  }
  return { outcome: "trailer", sliceCrcs, hash };
}

/** CRC-32 of each slice of a payload. */
export function sliceCrcsOf(payload: Uint8Array, crc: Crc): number[] {
  const crcs: number[] = [];
  for (let at = 0; at < payload.length; at += LIMITS.sliceBytes) {
    crcs.push(crc(payload.subarray(at, at + LIMITS.sliceBytes)));
  }
  return crcs;
}

function damaged(reason: string): { outcome: "damaged"; reason: string } {
  return { outcome: "damaged", reason };
}

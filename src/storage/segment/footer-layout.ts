import type { Hlc } from "../../core/hlc.ts";
import { LIMITS } from "../../core/limits.ts";
import type { ContentHash, OriginId } from "../../core/names.ts";

/*
 * Footer of a sealed segment, on a page boundary behind the last batch or chunk. With the trailer
 * behind it the file ends on a page boundary.
 *
 * | part         | bytes | meaning                                                         |
 * | ------------ | ----- | --------------------------------------------------------------- |
 * | header       | 128   | counts and sizes                                                |
 * | batches      | 36 b  | table of batches, in order of offset                            |
 * | chunks       | 44 c  | table of chunks, in order of offset                             |
 * | keys         | k     | table of keys, in order of bytes                                |
 * | sparse index | 4 s   | offset in the table (u32) of each key that is written whole     |
 * | filter       | f     | bits of the Bloom filter over chunk hashes (32 bytes) and names |
 * | padding      | n     | zeros, so that the trailer ends on a page boundary              |
 *
 * Footer header:
 *
 * | offset | bytes | meaning                                                                |
 * | ------ | ----- | ---------------------------------------------------------------------- |
 * | 0      | 8     | magic "ATOLFOOT"                                                       |
 * | 8      | 4     | segment id                                                             |
 * | 12     | 4     | count of batches, b                                                    |
 * | 16     | 4     | count of chunks, c                                                     |
 * | 20     | 4     | count of keys                                                          |
 * | 24     | 4     | every how many keys one is written whole, 64                           |
 * | 28     | 4     | count of keys in the sparse index, s                                   |
 * | 32     | 4     | bytes of the table of keys, k                                          |
 * | 36     | 4     | bytes of the filter, f                                                 |
 * | 40     | 4     | count of operations                                                    |
 * | 44     | 4     | zero                                                                   |
 * | 48     | 8     | smallest HLC, all bits one when none was seen                           |
 * | 56     | 8     | greatest HLC, 0 when none was seen                                     |
 * | 64     | 8     | sequence of the first operation of this origin, 0 when there is none   |
 * | 72     | 8     | sequence of the last operation of this origin, 0 when there is none    |
 * | 80     | 32    | chain hash after the last operation, zeros when there is none          |
 * | 112    | 8     | origin                                                                 |
 * | 120    | 8     | zeros                                                                  |
 *
 * Batch entry: offset (u64), bytes of the batch (u32), bytes of its ops area (u32), count of
 * operations (u32), first and last sequence (u64 each). Chunk entry: hash (32), offset of the
 * chunk's header (u64), bytes of the payload (u32). Key entry: how many bytes of the name before it
 * are the name's first (varint, 0 where it is written whole), bytes that follow (varint), these
 * bytes, offset of the record in the file (varint). A name is bucket, NUL, key.
 *
 * Footer trailer, the last 64 bytes of the file:
 *
 * | offset | bytes | meaning                                                                |
 * | ------ | ----- | ---------------------------------------------------------------------- |
 * | 0      | 8     | magic "ATOLTRLR"                                                       |
 * | 8      | 8     | offset of the footer                                                   |
 * | 16     | 8     | bytes of the footer, padding included                                  |
 * | 24     | 4     | CRC-32 of the footer                                                   |
 * | 28     | 4     | segment id                                                             |
 * | 32     | 28    | zeros                                                                  |
 * | 60     | 4     | CRC-32 of the trailer's bytes 0 to 59                                  |
 */
export const FOOTER_HEADER_BYTES = 128;
export const FOOTER_TRAILER_BYTES = 64;
export const BATCH_ENTRY_BYTES = 36;
export const CHUNK_ENTRY_BYTES = 44;
export const SPARSE_ENTRY_BYTES = 4;
/** Every how many keys one is written whole: a look-up reads about half as many. */
export const KEY_INTERVAL = 64;

/** A batch as the footer lists it. */
export type FooterBatch = {
  /** Of the batch in the file. */
  readonly offset: number;
  readonly opsBytes: number;
  readonly batchBytes: number;
  readonly operations: number;
  /** Of this site's origin; 0 when the batch has none of its operations. */
  readonly firstSeq: number;
  readonly lastSeq: number;
};

/** A chunk as the footer lists it. */
export type FooterChunk = {
  readonly hash: ContentHash;
  /** Of the chunk's header in the file. */
  readonly offset: number;
  /** Of the payload. */
  readonly bytes: number;
};

/** What a footer says about the segment as a whole. */
export type FooterSummary = {
  readonly segmentId: number;
  readonly origin: OriginId;
  readonly operations: number;
  /** Undefined when the segment holds nothing with an HLC. */
  readonly hlcs: { readonly smallest: Hlc; readonly greatest: Hlc } | undefined;
  /** Of this origin; 0 when there are none. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Hash chain of this origin after its last operation here: 32 bytes, zeros when none. */
  readonly chain: Uint8Array;
};

/** Zeros between the filter and the trailer. */
export function footerPadding(usedBytes: number): number {
  const page = LIMITS.pageBytes;
  return (page - ((usedBytes + FOOTER_TRAILER_BYTES) % page)) % page;
}

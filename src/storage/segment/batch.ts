import { alignUp, asBuffer, ByteReader } from "../../core/bytes.ts";
import { StorageFault } from "../../core/faults.ts";
import { LIMITS } from "../../core/limits.ts";
import {
  BATCH_END,
  type Crc,
  type ExpectedPlace,
  isZero,
  MAGIC,
  type RecordKind,
  readMagic,
} from "./format.ts";
import { decodeRecord } from "./record.ts";

/*
 * Batch of the commit lane, on a page boundary:
 *
 * | offset     | bytes | meaning                                                         |
 * | ---------- | ----- | --------------------------------------------------------------- |
 * | 0          | 64    | header                                                          |
 * | 64         | o     | ops area: records op, local, manifest and row                   |
 * | 64 + o     | b     | bodies area: records body                                       |
 * | 64 + o + b | 16    | trailer                                                         |
 * | 80 + o + b | n     | zeros up to the next page boundary                              |
 *
 * Batch header:
 *
 * | offset | bytes | meaning                                                             |
 * | ------ | ----- | ------------------------------------------------------------------- |
 * | 0      | 8     | magic "ATOLBTCH"                                                    |
 * | 8      | 4     | CRC-32 of bytes 12 to 63                                            |
 * | 12     | 4     | bytes of the whole batch, a multiple of 4,096                       |
 * | 16     | 4     | bytes of the ops area, o                                            |
 * | 20     | 4     | bytes of the bodies area, b                                         |
 * | 24     | 4     | count of records in both areas                                      |
 * | 28     | 4     | segment id                                                          |
 * | 32     | 8     | number of the batch in its segment, from 0                          |
 * | 40     | 8     | offset of the batch in its file                                     |
 * | 48     | 8     | sequence of the first operation of this site's origin               |
 * | 56     | 4     | count of operations of this site's origin                           |
 * | 60     | 4     | zero                                                                |
 *
 * Batch trailer:
 *
 * | offset | bytes | meaning                                                             |
 * | ------ | ----- | ------------------------------------------------------------------- |
 * | 0      | 4     | magic "BEND"                                                        |
 * | 4      | 4     | number of the batch, its low 32 bits                                |
 * | 8      | 4     | CRC-32 of the batch from its start up to the trailer                |
 * | 12     | 4     | CRC-32 of the trailer's bytes 0 to 11                               |
 */
export const BATCH_HEADER_BYTES = 64;
export const BATCH_TRAILER_BYTES = 16;

export type BatchLayout = {
  readonly opsOffset: number;
  readonly bodiesOffset: number;
  readonly trailerOffset: number;
  /** Header to padding: what is written and what the next batch's offset grows by. */
  readonly batchBytes: number;
};

export type BatchHeader = {
  readonly batchBytes: number;
  readonly opsBytes: number;
  readonly bodiesBytes: number;
  readonly recordCount: number;
  readonly segmentId: number;
  /** Counts up in a segment from 0. */
  readonly batchNumber: number;
  /** Of the batch in its file. */
  readonly offset: number;
  /** Of this site's origin; meaningless when the count is 0. */
  readonly firstSeq: number;
  readonly operationCount: number;
};

export type BatchHeaderOutcome =
  | { readonly outcome: "batch"; readonly header: BatchHeader }
  /** Nothing was ever written here. */
  | { readonly outcome: "zeros" }
  | { readonly outcome: "damaged"; readonly reason: string };

export type BatchRecord = {
  readonly kind: RecordKind;
  /** Share memory with the area. */
  readonly owner: Buffer;
  readonly payload: Buffer;
  /** Of the record's header, from the start of the area. */
  readonly offset: number;
  /** Of the next one. */
  readonly nextOffset: number;
};

/** Where the parts of a batch stand, counted from its start. */
export function batchLayout(areas: { opsBytes: number; bodiesBytes: number }): BatchLayout {
  const bodiesOffset = BATCH_HEADER_BYTES + areas.opsBytes;
  const trailerOffset = bodiesOffset + areas.bodiesBytes;
  const batchBytes = alignUp(trailerOffset + BATCH_TRAILER_BYTES, LIMITS.pageBytes);
  return { opsOffset: BATCH_HEADER_BYTES, bodiesOffset, trailerOffset, batchBytes };
}

/** Writes the header at the start of `into`. */
export function writeBatchHeader(into: Uint8Array, header: BatchHeader, crc: Crc): void {
  const memory = asBuffer(into);
  memory.set(MAGIC.batch, 0);
  memory.writeUInt32LE(header.batchBytes, 12);
  memory.writeUInt32LE(header.opsBytes, 16);
  memory.writeUInt32LE(header.bodiesBytes, 20);
  memory.writeUInt32LE(header.recordCount, 24);
  memory.writeUInt32LE(header.segmentId, 28);
  memory.writeBigUInt64LE(BigInt(header.batchNumber), 32);
  memory.writeBigUInt64LE(BigInt(header.offset), 40);
  memory.writeBigUInt64LE(BigInt(header.firstSeq), 48);
  memory.writeUInt32LE(header.operationCount, 56);
  memory.writeUInt32LE(0, 60);
  memory.writeUInt32LE(crc(memory.subarray(12, BATCH_HEADER_BYTES)), 8);
}

/** Seals the batch that stands at the start of `into`: trailer and padding, after all else. */
export function writeBatchTrailer(
  into: Uint8Array,
  layout: BatchLayout,
  batchNumber: number,
  crc: Crc,
): void {
  const memory = asBuffer(into);
  const at = layout.trailerOffset;
  memory.set(BATCH_END, at);
  memory.writeUInt32LE(batchNumber % 0x1_0000_0000, at + 4);
  memory.writeUInt32LE(crc(memory.subarray(0, at)), at + 8);
  memory.writeUInt32LE(crc(memory.subarray(at, at + 12)), at + 12);
  memory.fill(0, at + BATCH_TRAILER_BYTES, layout.batchBytes);
}

/**
 * Reads a batch's header from at least BATCH_HEADER_BYTES bytes. A header that was meant for
 * another place is damage. It says nothing about the rest: `verifyBatch` does.
 */
export function decodeBatchHeader(
  bytes: Uint8Array,
  expected: ExpectedPlace,
  crc: Crc,
): BatchHeaderOutcome {
  if (bytes.length < BATCH_HEADER_BYTES) return damaged("a batch header ends early");
  const raw = bytes.subarray(0, BATCH_HEADER_BYTES);
  const reader = new ByteReader(raw);
  if (!readMagic(reader, MAGIC.batch))
    return isZero(raw) ? { outcome: "zeros" } : damaged("no batch");
  if (reader.u32() !== crc(raw.subarray(12))) return damaged("a batch header's checksum differs");
  const sizes = { batchBytes: reader.u32(), opsBytes: reader.u32(), bodiesBytes: reader.u32() };
  const recordCount = reader.u32();
  const segmentId = reader.u32();
  const numbers = [reader.bigU64(), reader.bigU64(), reader.bigU64()].map(Number);
  const [batchNumber = 0, offset = 0, firstSeq = 0] = numbers;
  const operationCount = reader.u32();
  if (!numbers.every(Number.isSafeInteger)) return damaged("a batch header's numbers are too big");
  if (batchLayout(sizes).batchBytes !== sizes.batchBytes)
    return damaged("a batch has a wrong size");
  if (segmentId !== expected.segmentId || offset !== expected.offset) {
    return damaged("a batch was meant for another place");
  }
  const header = {
    ...sizes,
    recordCount,
    segmentId,
    batchNumber,
    offset,
    firstSeq,
    operationCount,
  };
  return { outcome: "batch", header };
}

/** Whether a whole batch is what was written: trailer, number and checksum over everything. */
export function verifyBatch(bytes: Uint8Array, header: BatchHeader, crc: Crc): boolean {
  if (bytes.length < header.batchBytes) return false;
  const memory = asBuffer(bytes);
  const at = batchLayout(header).trailerOffset;
  return (
    memory.subarray(at, at + 4).equals(BATCH_END) &&
    memory.readUInt32LE(at + 12) === crc(memory.subarray(at, at + 12)) &&
    memory.readUInt32LE(at + 4) === header.batchNumber % 0x1_0000_0000 &&
    memory.readUInt32LE(at + 8) === crc(memory.subarray(0, at))
  );
}

/**
 * The records of an area, each verified. Throws StorageFault: "corrupt" for damage, "unsupported"
 * for a record of a newer program.
 */
export function* batchRecords(area: Uint8Array, crc: Crc): Generator<BatchRecord> {
  for (let offset = 0; offset < area.length; ) {
    const record = verifiedRecord(area, offset, crc);
    yield record;
    offset = record.nextOffset;
  }
}

/** The record at an offset, which is before the end of the area; throws as `batchRecords` does. */
export function verifiedRecord(area: Uint8Array, offset: number, crc: Crc): BatchRecord {
  const found = decodeRecord(area, offset, crc);
  switch (found.outcome) {
    case "record": {
      const { kind, owner, payload, nextOffset } = found;
      return { kind, owner, payload, offset, nextOffset };
    }
    case "unsupported":
      throw new StorageFault("unsupported", `unknown record: kind ${found.kind}`, {
        hint: "A newer release of Atoll wrote it: run that release or a later one.",
      });
    case "end":
      throw new StorageFault("corrupt", `no record ${offset} bytes into its area`);
    case "damaged":
      throw new StorageFault("corrupt", `${found.reason} (${offset} bytes into its area)`);
  }
}

function damaged(reason: string): BatchHeaderOutcome {
  return { outcome: "damaged", reason };
}

import { asBuffer, ByteWriter, copyInto } from "../../core/bytes.ts";
import { crc32OfRange } from "../../core/crc32.ts";
import type { BucketName, ObjectKey, VersionId } from "../../core/names.ts";
import { type Crc, RECORD_KIND_NUMBERS, RECORD_KINDS, type RecordKind } from "./format.ts";

/*
 * Record of the commit lane: header, owner, payload, and the next record directly behind.
 *
 * | offset | bytes | meaning                                                        |
 * | ------ | ----- | -------------------------------------------------------------- |
 * | 0      | 4     | CRC-32 of all that follows, payload included                   |
 * | 4      | 1     | kind: 1 op, 2 local, 3 body, 4 chunk, 5 manifest, 6 row        |
 * | 5      | 1     | record version, 1                                              |
 * | 6      | 2     | bytes of the owner, o                                          |
 * | 8      | 4     | bytes of the payload, p                                        |
 * | 12     | 4     | zero                                                           |
 * | 16     | o     | owner: of a body its bucket and key (each text behind its      |
 * |        |       | length as a varint) and version (16); empty in other kinds     |
 * | 16 + o | p     | payload                                                        |
 *
 * The payload of an op and of a row is an operation, of a local a local record, of a manifest a
 * manifest, of a body its bytes. Chunks (kind 4) have a layout of their own in the bulk lane.
 */
export const RECORD_HEADER_BYTES = 16;
/** Up to here a view to call native code with costs more than the checksum itself. */
const FEW_BYTES = 384;
export const RECORD_VERSION = 1;

export type SegmentRecord = {
  readonly kind: RecordKind;
  readonly owner: Uint8Array;
  readonly payload: Uint8Array;
};

export type RecordOutcome =
  | {
      readonly outcome: "record";
      readonly kind: RecordKind;
      /** Share memory with the input. */
      readonly owner: Buffer;
      readonly payload: Buffer;
      readonly nextOffset: number;
    }
  /** The offset is the end of the input. */
  | { readonly outcome: "end" }
  | { readonly outcome: "damaged"; readonly reason: string }
  /** Whole, but of a kind or version this program does not know. */
  | { readonly outcome: "unsupported"; readonly kind: number; readonly version: number };

/** Bytes of a whole record. */
export function bodyRecordBytes(ownerBytes: number, payloadBytes: number): number {
  return RECORD_HEADER_BYTES + ownerBytes + payloadBytes;
}

/** Writes a record behind what the writer holds. */
export function encodeRecord(writer: ByteWriter, record: SegmentRecord, crc: Crc): void {
  const at = writer.length;
  writer.u32(0).u8(RECORD_KIND_NUMBERS[record.kind]).u8(RECORD_VERSION);
  writer.u16(record.owner.length).u32(record.payload.length).u32(0);
  writer.bytes(record.owner).bytes(record.payload);
  writer.patchU32(at, crc(writer.view().subarray(at + 4)));
}

/**
 * Writes a record into memory at an offset, for bodies that go straight into a batch. Returns the
 * offset behind it. Throws RangeError when it does not fit.
 */
export function writeRecord(
  into: Uint8Array,
  offset: number,
  record: SegmentRecord,
  crc: Crc,
): number {
  const { owner, payload } = record;
  const memory = asBuffer(into);
  const end = offset + bodyRecordBytes(owner.length, payload.length);
  memory[offset + 4] = RECORD_KIND_NUMBERS[record.kind];
  memory[offset + 5] = RECORD_VERSION;
  memory.writeUInt16LE(owner.length, offset + 6);
  memory.writeUInt32LE(payload.length, offset + 8);
  memory.writeUInt32LE(0, offset + 12);
  memory.set(owner, offset + RECORD_HEADER_BYTES);
  copyInto(memory, offset + RECORD_HEADER_BYTES + owner.length, payload);
  memory.writeUInt32LE(crc(memory.subarray(offset + 4, end)), offset);
  return end;
}

/** Reads and verifies the record at an offset. Whatever the bytes are, the answer is an outcome. */
export function decodeRecord(bytes: Uint8Array, offset: number, crc: Crc): RecordOutcome {
  if (offset === bytes.length) return { outcome: "end" };
  const memory = asBuffer(bytes);
  const ownerAt = offset + RECORD_HEADER_BYTES;
  if (ownerAt > memory.length) return { outcome: "damaged", reason: "a record ends early" };
  const payloadAt = ownerAt + memory.readUInt16LE(offset + 6);
  const nextOffset = payloadAt + memory.readUInt32LE(offset + 8);
  if (nextOffset > memory.length) return { outcome: "damaged", reason: "a record ends early" };
  if (crc(memory.subarray(offset + 4, nextOffset)) !== memory.readUInt32LE(offset)) {
    return { outcome: "damaged", reason: "a record's checksum differs" };
  }
  const number = memory.readUInt8(offset + 4);
  const version = memory.readUInt8(offset + 5);
  const kind = RECORD_KINDS[number];
  if (kind === undefined || version !== RECORD_VERSION || memory.readUInt32LE(offset + 12) !== 0) {
    return { outcome: "unsupported", kind: number, version };
  }
  const owner = memory.subarray(ownerAt, payloadAt);
  return {
    outcome: "record",
    kind,
    owner,
    payload: memory.subarray(payloadAt, nextOffset),
    nextOffset,
  };
}

/**
 * Where the payload of an op stands whose record is at an offset, verified; undefined for every
 * other record, and for what is not whole: `decodeRecord` tells what it is. Hot path.
 */
export function opPayloadAt(bytes: Buffer, offset: number, crc: Crc): number | undefined {
  const payloadAt = offset + RECORD_HEADER_BYTES;
  if (payloadAt > bytes.length || bytes[offset + 4] !== RECORD_KIND_NUMBERS.op) return undefined;
  if (bytes[offset + 5] !== RECORD_VERSION || bytes.readUInt16LE(offset + 6) !== 0)
    return undefined;
  const end = payloadAt + bytes.readUInt32LE(offset + 8);
  if (end > bytes.length || bytes.readUInt32LE(offset + 12) !== 0) return undefined;
  const isFew = end - offset < FEW_BYTES;
  const sum = isFew ? crc32OfRange(bytes, offset + 4, end) : crc(bytes.subarray(offset + 4, end));
  return sum === bytes.readUInt32LE(offset) ? payloadAt : undefined;
}

const ownerScratch = new ByteWriter(2048);

/** Names the object a body belongs to, so that a body read from the wrong place never passes. */
export function bodyOwner(bucket: BucketName, key: ObjectKey, version: VersionId): Buffer {
  ownerScratch.reset();
  return ownerScratch.text(bucket).text(key).hex(version).finish();
}

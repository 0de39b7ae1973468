import { type ByteReader, type ByteWriter, LayoutError } from "../../core/bytes.ts";
import type { VersionId } from "../../core/names.ts";
import { decodeObject, encodeObject } from "../../core/object-codec.ts";
import type { ObjectRecord } from "../../core/records.ts";
import { readStamp, STAMP_BYTES, type Stamp, writeStamp } from "./stamp.ts";

/**
 * `home` is the commit-lane segment that holds the record a row was made from: the segment must
 * stay as long as the row does, or a rebuild would not find it.
 */
export type ObjectRow = {
  readonly stamp: Stamp;
  readonly home: number;
  /** Whether it stands in the null slot: without versioning every object does. */
  readonly nullSlot: boolean;
  /** Where an inline body lies; set when its batch is laid out. */
  place: { segment: number; offset: number };
  readonly object: ObjectRecord;
  /** The stamp as clients see it, once somebody has asked; not stored. */
  version?: VersionId;
};

/** Bytes in front of the object's record. */
export const OBJECT_ROW_HEAD_BYTES = STAMP_BYTES + 4 + 4 + 8;
const OFFSET_LOW = 0x1_0000_0000;
const VERSIONED = 1;

/**
 * Writes a row in the layout of format 1, which rows of conflicts still have and those of objects
 * had (`compact-row.ts`). The two highest bytes of the offset tell the slot; 0 is the null slot.
 */
export function encodeObjectRow(writer: ByteWriter, row: ObjectRow): void {
  const { segment, offset } = row.place;
  writeStamp(writer, row.stamp);
  writer
    .u32(row.home)
    .u32(segment)
    .u32(offset % OFFSET_LOW)
    .u16(Math.floor(offset / OFFSET_LOW));
  writer.u16(row.nullSlot ? 0 : VERSIONED);
  encodeObject(writer, row.object);
}

/** Reads what stands in front of the object's record. */
function readObjectHead(reader: ByteReader): Omit<ObjectRow, "object" | "version"> {
  const stamp = readStamp(reader);
  const home = reader.u32();
  const segment = reader.u32();
  const offset = reader.u32() + reader.u16() * OFFSET_LOW;
  const slot = reader.u16();
  if (slot > VERSIONED) throw new LayoutError("unknown slot of a key");
  return { stamp, home, nullSlot: slot !== VERSIONED, place: { segment, offset } };
}

/**
 * Whether the encoded row at `at`, whose head is whole, stands in the null slot; throws LayoutError
 * for a slot that is not known. Hot path.
 */
export function readListedSlot(bytes: Buffer, at: number): boolean {
  const slot = bytes.readUInt16LE(at + OBJECT_ROW_HEAD_BYTES - 2);
  if (slot > VERSIONED) throw new LayoutError("unknown slot of a key");
  return slot !== VERSIONED;
}

/** Reads a row that fills the rest; throws LayoutError when it is none. */
export function decodeObjectRow(reader: ByteReader): ObjectRow {
  const { stamp, home, nullSlot, place } = readObjectHead(reader);
  return { stamp, home, nullSlot, place, object: decodeObject(reader.bytes(reader.remaining)) };
}

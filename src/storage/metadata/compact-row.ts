import { asBuffer, ByteReader, type ByteWriter, copyFew, LayoutError } from "../../core/bytes.ts";
import {
  ALGORITHM_NUMBERS,
  isPlainEtag,
  onlyCrc64,
  readOnlyCrc64,
} from "../../core/checksum-codec.ts";
import { hlcMs } from "../../core/hlc.ts";
import { parseSeq } from "../../core/names.ts";
import { decodeObjectRest, encodeObjectRest, type ObjectFront } from "../../core/object-codec.ts";
import {
  ETAG_BYTES,
  ListingFields,
  listingOf,
  listingOfFields,
  type ObjectListing,
  readListingRest,
  varintAt,
} from "../../core/object-listing.ts";
import { OPERATION_LAYOUT } from "../../core/operation-codec.ts";
import { required, varintBytes } from "../../core/tagged-fields.ts";
import type { ObjectRow } from "./object-row.ts";
import type { PlainObject } from "./plain-object.ts";
import { readHlc, readOrigin } from "./stamp.ts";

/*
 * A row of an object as it is written since format 2: most of an index is rows of small objects,
 * and every page of it that is in use is memory. What follows from something else is left out:
 *
 * | part           | bytes  | meaning                                                          |
 * | -------------- | ------ | ---------------------------------------------------------------- |
 * | flags          | u8     | as below                                                         |
 * | HLC, origin    | 8 + 8  | of the write that made the row                                   |
 * | ETag           | 16     | with its flag: the digest                                        |
 * | checksum       | 8      | with its flag: CRC64NVME                                         |
 * | sequence, home | varint | each                                                             |
 * | segment        | varint | of the inline body, unless that lies at home                     |
 * | offset, size   | varint | each                                                             |
 * | object         | rest   | its other fields, as the log has them                            |
 */
const FLAG = {
  /** It does not stand in the null slot. */
  versioned: 1,
  /** The ETag is a plain digest, and stands in front. */
  etag: 2,
  /** One CRC64NVME is all there is of checksums, and stands in front. */
  crc64: 4,
  /** It was last modified when it was written. */
  time: 8,
  /** The body lies in the home segment. */
  home: 16,
  /** The body is inline and as long as the object. */
  inline: 32,
} as const;
const FLAGS_MAX = 63;
/** Flags, HLC and origin. */
const STAMP_END = 1 + 8 + 8;
const CRC64_BYTES = 8;
const U32 = 0x1_0000_0000;

/** Writes a row in the compact layout. */
export function encodeCompactRow(writer: ByteWriter, row: ObjectRow): void {
  const { stamp, home, place, object } = row;
  const { size, etag, lastModifiedMs, body, checksums } = object;
  const crc64 = onlyCrc64(checksums);
  const front: ObjectFront = {
    size,
    lastModifiedMs: lastModifiedMs === hlcMs(stamp.hlc) ? lastModifiedMs : undefined,
    etag: isPlainEtag(etag) ? etag : undefined,
    body: body.kind === "inline" && body.bytes === size ? body : undefined,
    checksums: crc64 === undefined ? undefined : checksums,
  };
  writer.u8(flagsOf(row, front)).bigU64(stamp.hlc).hex(stamp.origin);
  if (front.etag !== undefined) writer.hex(etag);
  if (crc64 !== undefined) writer.bytes(crc64);
  writer.varint(stamp.seq).varint(home);
  if (place.segment !== home) writer.varint(place.segment);
  writer.varint(place.offset).varint(size);
  encodeObjectRest(writer, object, front);
}

function flagsOf({ nullSlot, home, place }: ObjectRow, front: ObjectFront): number {
  return (
    (nullSlot ? 0 : FLAG.versioned) |
    (front.etag === undefined ? 0 : FLAG.etag) |
    (front.checksums === undefined ? 0 : FLAG.crc64) |
    (front.lastModifiedMs === undefined ? 0 : FLAG.time) |
    (place.segment === home ? FLAG.home : 0) |
    (front.body === undefined ? 0 : FLAG.inline)
  );
}

/** Reads a row that fills the rest; throws LayoutError when it is none. */
export function decodeCompactRow(reader: ByteReader): ObjectRow {
  const flags = reader.u8();
  if (flags > FLAGS_MAX) throw new LayoutError("unknown form of a row");
  const hlc = readHlc(reader);
  const origin = readOrigin(reader);
  const etag = (flags & FLAG.etag) === 0 ? undefined : reader.hex(ETAG_BYTES);
  const checksums = (flags & FLAG.crc64) === 0 ? undefined : readOnlyCrc64(reader);
  const seq = required(parseSeq(reader.varint()), "sequence");
  const home = reader.varint();
  const segment = (flags & FLAG.home) === 0 ? reader.varint() : home;
  const offset = reader.varint();
  const size = reader.varint();
  const object = decodeObjectRest(reader.bytes(reader.remaining), {
    size,
    lastModifiedMs: (flags & FLAG.time) === 0 ? undefined : hlcMs(hlc),
    etag,
    body: (flags & FLAG.inline) === 0 ? undefined : { kind: "inline", bytes: size },
    checksums,
  });
  const nullSlot = (flags & FLAG.versioned) === 0;
  return { stamp: { hlc, origin, seq }, home, nullSlot, place: { segment, offset }, object };
}

/**
 * Reads what a listing shows from the row that stands from `from` up to `end`. False for what must
 * be decoded whole. Hot path.
 *
 * @throws LayoutError as `decodeCompactRow` does.
 */
export function readCompactListing(
  bytes: Uint8Array,
  from: number,
  end: number,
  into: ListingFields,
): boolean {
  const flags = bytes[from] as number;
  let at = from + STAMP_END;
  if (at >= end || flags > FLAGS_MAX) throw new LayoutError("unknown form of a row");
  into.clear();
  if ((flags & FLAG.time) !== 0) into.lastModifiedMs = hlcMsAt(bytes, from + 1);
  if ((flags & FLAG.etag) !== 0) {
    into.etagAt = at;
    at += ETAG_BYTES;
  }
  if ((flags & FLAG.crc64) !== 0) {
    into.checksumForm = ALGORITHM_NUMBERS.CRC64NVME;
    at += CRC64_BYTES;
  }
  // Sequence, home, segment and offset are not shown.
  for (let left = (flags & FLAG.home) === 0 ? 4 : 3; left > 0; left--) at = afterVarint(bytes, at);
  into.size = varintAt(bytes, at);
  return readListingRest(bytes, afterVarint(bytes, at), end, into);
}

const fields = new ListingFields();

/**
 * What a listing shows of the row that begins at `from`; it ends where the bytes end.
 *
 * @throws LayoutError as `decodeCompactRow` does.
 */
export function decodeCompactListing(bytes: Uint8Array, from: number): ObjectListing {
  if (readCompactListing(bytes, from, bytes.length, fields)) {
    return listingOfFields(asBuffer(bytes), fields);
  }
  return listingOf(decodeCompactRow(new ByteReader(bytes, from)).object);
}

/** Where the stamp of a row at `at` begins, with its reading and its origin; and its slot. */
export function readCompactSlot(
  bytes: Uint8Array,
  at: number,
): { readonly stamp: number; readonly nullSlot: boolean } {
  if (bytes.length < at + STAMP_END) throw new LayoutError("an object row is cut off");
  return { stamp: at + 1, nullSlot: ((bytes[at] as number) & FLAG.versioned) === 0 };
}

/** A put whose encoded operation lies from `from` up to `to`, its object in the usual form. */
export type PlainRow = {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
  readonly object: PlainObject;
  readonly nullSlot: boolean;
  /** Of the inline body, which lies in the row's home. */
  readonly place: ObjectRow["place"];
};

/** Whether the operation at `from` was written at this time, as compact layouts want it. */
export function isTimeOfWrite(bytes: Buffer, from: number, timeMs: number): boolean {
  return hlcMsAt(bytes, from + OPERATION_LAYOUT.hlc) === timeMs;
}

/** Bytes that `writePlainRow` writes. */
export function plainRowBytes({ bytes, from, to, object, place }: PlainRow): number {
  const seq = varintBytes(seqAt(bytes, from));
  const { segment, offset } = place;
  const varints = varintBytes(segment) + varintBytes(offset) + varintBytes(object.size);
  const digests = ETAG_BYTES + (object.crc64At === 0 ? 0 : CRC64_BYTES);
  return STAMP_END + digests + seq + varints + restBytes(object, to);
}

/** Writes the row that decoding the put and `encodeCompactRow` would make. Hot path. */
export function writePlainRow(into: Buffer, start: number, row: PlainRow): void {
  const { bytes, from, to, object, nullSlot, place } = row;
  const { size, inlineBytes, etagAt, crc64At } = object;
  let at = start;
  into[at++] =
    (nullSlot ? 0 : FLAG.versioned) |
    (crc64At === 0 ? 0 : FLAG.crc64) |
    (inlineBytes === size ? FLAG.inline : 0) |
    (FLAG.etag | FLAG.time | FLAG.home);
  const hlc = from + OPERATION_LAYOUT.hlc;
  copyFew(into, at, { bytes, from: hlc, to: hlc + 8 });
  copyFew(into, at + 8, { bytes, from, to: from + OPERATION_LAYOUT.seq });
  at += 16;
  copyFew(into, at, { bytes, from: etagAt, to: etagAt + ETAG_BYTES });
  at += ETAG_BYTES;
  if (crc64At !== 0) {
    copyFew(into, at, { bytes, from: crc64At, to: crc64At + CRC64_BYTES });
    at += CRC64_BYTES;
  }
  at = putVarint(into, at, seqAt(bytes, from));
  at = putVarint(into, at, place.segment);
  at = putVarint(into, at, place.offset);
  at = putVarint(into, at, size);
  const { restAt, gapAt, gapEnd } = object;
  copyFew(into, at, { bytes, from: restAt, to: gapAt });
  copyFew(into, at + gapAt - restAt, { bytes, from: gapEnd, to });
}

/** What a write has to know of the row that it replaces. */
export type PlainBefore = {
  /** Its clock reading, as two unsigned halves. */
  hlcHigh: number;
  hlcLow: number;
  home: number;
  size: number;
};

/**
 * Reads the fields of a row of an object that begins at `from`. False for a row of the other kind
 * of slot, or one whose body is not inline or not as long as the object.
 */
export function readPlainRow(
  bytes: Buffer,
  from: number,
  nullSlot: boolean,
  into: PlainBefore,
): boolean {
  const flags = bytes[from] as number;
  const wanted = nullSlot ? FLAG.inline : FLAG.inline | FLAG.versioned;
  if (flags > FLAGS_MAX || (flags & (FLAG.versioned | FLAG.inline)) !== wanted) return false;
  readPlainTime(bytes, from + 1, into);
  let at = from + STAMP_END;
  if ((flags & FLAG.etag) !== 0) at += ETAG_BYTES;
  if ((flags & FLAG.crc64) !== 0) at += CRC64_BYTES;
  at = afterVarint(bytes, at);
  into.home = varintAt(bytes, at);
  at = afterVarint(bytes, at);
  if ((flags & FLAG.home) === 0) at = afterVarint(bytes, at);
  into.size = varintAt(bytes, afterVarint(bytes, at));
  return true;
}

/** Reads the clock reading at `at`. */
export function readPlainTime(bytes: Buffer, at: number, into: PlainBefore): void {
  into.hlcLow = bytes.readUInt32LE(at);
  into.hlcHigh = bytes.readUInt32LE(at + 4);
}

/** Whether the operation at `from` was written after that, by its clock reading alone. */
export function isLaterWrite(bytes: Buffer, from: number, before: PlainBefore): boolean {
  const high = bytes.readUInt32LE(from + OPERATION_LAYOUT.hlc + 4);
  if (high !== before.hlcHigh) return high > before.hlcHigh;
  return bytes.readUInt32LE(from + OPERATION_LAYOUT.hlc) > before.hlcLow;
}

function restBytes({ restAt, gapAt, gapEnd }: PlainObject, to: number): number {
  return gapAt - restAt + to - gapEnd;
}

/** The sequence of the operation at `operation`. */
export function seqAt(bytes: Buffer, operation: number): number {
  const at = operation + OPERATION_LAYOUT.seq;
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * U32;
}

/** The milliseconds of a clock reading, which stand above its counter of 16 bits. */
function hlcMsAt(bytes: Uint8Array, at: number): number {
  const high = (bytes[at + 6] as number) | ((bytes[at + 7] as number) << 8);
  const low =
    (bytes[at + 2] as number) |
    ((bytes[at + 3] as number) << 8) |
    ((bytes[at + 4] as number) << 16) |
    ((bytes[at + 5] as number) << 24);
  return high * U32 + (low >>> 0);
}

/** Where the varint at `from` ends. */
export function afterVarint(bytes: Uint8Array, from: number): number {
  let at = from;
  while ((bytes[at] as number) >= 0x80) at++;
  return at + 1;
}

/** Writes a varint; gives where it ends. */
export function putVarint(into: Buffer, from: number, value: number): number {
  let at = from;
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) into[at++] = (rest % 0x80) | 0x80;
  into[at] = rest;
  return at + 1;
}

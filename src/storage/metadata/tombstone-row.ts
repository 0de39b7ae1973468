import { type ByteReader, type ByteWriter, copyFew, LayoutError } from "../../core/bytes.ts";
import { hlcMs } from "../../core/hlc.ts";
import { parseSeq } from "../../core/names.ts";
import { varintAt } from "../../core/object-listing.ts";
import { OPERATION_LAYOUT } from "../../core/operation-codec.ts";
import { required, varintBytes } from "../../core/tagged-fields.ts";
import { afterVarint, type PlainBefore, putVarint, readPlainTime, seqAt } from "./compact-row.ts";
import { readHlc, readOrigin, readStamp, type Stamp } from "./stamp.ts";

/** Says that a key has nothing since a write; kept for as long as an earlier one may come. */
export type TombstoneRow = {
  readonly stamp: Stamp;
  readonly home: number;
  readonly deletedMs: number;
};

/** It was deleted when that was written: the usual case, in which the time is left out. */
const TIME = 1;

/** Tombstones, by the key they are about. */
export const TOMBSTONE_TABLE = {
  prefix: "t",
  /** Flags, clock reading, origin, then sequence, home and perhaps the time as varints. */
  encode: (writer: ByteWriter, { stamp, home, deletedMs }: TombstoneRow): void => {
    const isTime = deletedMs === hlcMs(stamp.hlc);
    writer
      .u8(isTime ? TIME : 0)
      .bigU64(stamp.hlc)
      .hex(stamp.origin);
    writer.varint(stamp.seq).varint(home);
    if (!isTime) writer.varint(deletedMs);
  },
  decode: (reader: ByteReader): TombstoneRow => ({
    stamp: readStamp(reader),
    home: reader.u32(),
    deletedMs: reader.u64(),
  }),
  isCompact: () => true,
  decodeCompact: (reader: ByteReader): TombstoneRow => {
    const flags = reader.u8();
    if (flags > TIME) throw new LayoutError("unknown form of a tombstone");
    const hlc = readHlc(reader);
    const origin = readOrigin(reader);
    const seq = required(parseSeq(reader.varint()), "sequence");
    const home = reader.varint();
    const deletedMs = flags === TIME ? hlcMs(hlc) : reader.varint();
    reader.end();
    return { stamp: { hlc, origin, seq }, home, deletedMs };
  },
} as const;

/** A delete whose operation begins at `from`, in the usual form, in a segment. */
export type PlainDelete = { readonly bytes: Buffer; readonly from: number; readonly home: number };

/** Flags, clock reading and origin. */
const STAMP_END = 1 + 8 + 8;

/** Bytes that `writePlainTombstone` writes. */
export function plainTombstoneBytes({ bytes, from, home }: PlainDelete): number {
  return STAMP_END + varintBytes(seqAt(bytes, from)) + varintBytes(home);
}

/** Writes the tombstone that decoding the delete would make, which says its own time. Hot path. */
export function writePlainTombstone(into: Buffer, start: number, row: PlainDelete): void {
  const { bytes, from, home } = row;
  into[start] = TIME;
  const hlc = from + OPERATION_LAYOUT.hlc;
  copyFew(into, start + 1, { bytes, from: hlc, to: hlc + 8 });
  copyFew(into, start + 9, { bytes, from, to: from + OPERATION_LAYOUT.seq });
  putVarint(into, putVarint(into, start + STAMP_END, seqAt(bytes, from)), home);
}

/** Looks at the tombstone that begins at `from`; false for a form that has to be decoded. */
export function readPlainTombstone(bytes: Buffer, from: number, into: PlainBefore): boolean {
  if (bytes[from] !== TIME) return false;
  readPlainTime(bytes, from + 1, into);
  into.home = varintAt(bytes, afterVarint(bytes, from + STAMP_END));
  into.size = 0;
  return true;
}

import { type ByteReader, type ByteWriter, LayoutError } from "../../core/bytes.ts";
import { hlcMs } from "../../core/hlc.ts";
import { parseSeq } from "../../core/names.ts";
import { required } from "../../core/tagged-fields.ts";
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

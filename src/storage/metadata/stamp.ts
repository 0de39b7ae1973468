import { type ByteReader, type ByteWriter, LayoutError } from "../../core/bytes.ts";
import { NOTHING_SEEN } from "../../core/causality.ts";
import { type Hlc, parseHlc } from "../../core/hlc.ts";
import { type OriginId, parseOriginId, parseSeq, type Seq } from "../../core/names.ts";
import type { Vector } from "../../core/records.ts";

/** Which write made a row: what decides between two writes of the same thing. */
export type Stamp = { readonly hlc: Hlc; readonly origin: OriginId; readonly seq: Seq };

/** Bytes of a stamp in a row. */
export const STAMP_BYTES = 24;

/** Reads an origin id; throws LayoutError when it is none. */
export function readOrigin(reader: ByteReader): OriginId {
  const origin = parseOriginId(reader.hex(8));
  if (origin === undefined) throw new LayoutError("not an origin id");
  return origin;
}

/** Reads a clock reading; throws LayoutError when it is none. */
export function readHlc(reader: ByteReader): Hlc {
  const hlc = parseHlc(reader.bigU64());
  if (hlc === undefined) throw new LayoutError("not a clock reading");
  return hlc;
}

/** Reads a position in a log; throws LayoutError when it is none. */
export function readSeq(reader: ByteReader): Seq {
  const seq = parseSeq(reader.u64());
  if (seq === undefined) throw new LayoutError("not a sequence number");
  return seq;
}

/** Writes a stamp: HLC, origin, sequence. */
export function writeStamp(writer: ByteWriter, stamp: Stamp): void {
  writer.bigU64(stamp.hlc).hex(stamp.origin).u64(stamp.seq);
}

/** Reads what `writeStamp` wrote; throws LayoutError when it is something else. */
export function readStamp(reader: ByteReader): Stamp {
  return { hlc: readHlc(reader), origin: readOrigin(reader), seq: readSeq(reader) };
}

/** Writes a vector: count of entries (varint), each origin (8) and sequence (u64), ascending. */
export function writeVector(writer: ByteWriter, vector: Vector): void {
  writer.varint(vector.size);
  if (vector.size === 0) return;
  const sorted = [...vector].sort(([left], [right]) => (left < right ? -1 : 1));
  for (const [origin, seq] of sorted) writer.hex(origin).u64(seq);
}

/** Reads what `writeVector` wrote; throws LayoutError when it is something else. */
export function readVector(reader: ByteReader): Vector {
  const vector = new Map<OriginId, Seq>();
  for (let count = reader.varint(); count > 0; count--) {
    vector.set(readOrigin(reader), readSeq(reader));
  }
  return vector.size === 0 ? NOTHING_SEEN : vector;
}

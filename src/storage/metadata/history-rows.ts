import { type ByteReader, type ByteWriter, LayoutError } from "../../core/bytes.ts";
import { decodeObjectRow, encodeObjectRow, type ObjectRow } from "./object-row.ts";
import { readStamp, type Stamp, writeStamp } from "./stamp.ts";

/**
 * What is remembered of a write of a null slot that is not in the slot. `home` is the segment of
 * the record that said so.
 *
 * - `conflict`: it lost to a write that did not know of it; its object is kept.
 * - `expected`: it will be a conflict as soon as it has left the slot, or has arrived.
 * - `settled`: it has not arrived yet, and will be no conflict when it does.
 */
export type HistoryRow =
  | { readonly kind: "conflict"; readonly home: number; readonly row: ObjectRow }
  | { readonly kind: "expected" | "settled"; readonly home: number; readonly stamp: Stamp };

const CONFLICT = 1;
const MARKS = { expected: 2, settled: 3 } as const;

function encodeHistory(writer: ByteWriter, history: HistoryRow): void {
  if (history.kind === "conflict") {
    encodeObjectRow(writer.u8(CONFLICT).u32(history.home), history.row);
    return;
  }
  writeStamp(writer.u8(MARKS[history.kind]).u32(history.home), history.stamp);
}

function decodeHistory(reader: ByteReader): HistoryRow {
  const number = reader.u8();
  const home = reader.u32();
  if (number === CONFLICT) return { kind: "conflict", home, row: decodeObjectRow(reader) };
  if (number === MARKS.expected) return { kind: "expected", home, stamp: readStamp(reader) };
  if (number === MARKS.settled) return { kind: "settled", home, stamp: readStamp(reader) };
  throw new LayoutError("unknown kind of history");
}

/** Writes that lost, by key and version; a bucket that never had any has no row here. */
export const HISTORY_TABLE = { prefix: "h", encode: encodeHistory, decode: decodeHistory } as const;

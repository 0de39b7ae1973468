import { type ByteReader, type ByteWriter, LayoutError } from "../../core/bytes.ts";
import { decodeCompactRow, encodeCompactRow } from "./compact-row.ts";
import { decodeMetaRow, encodeMetaRow, type MetaRow } from "./meta-rows.ts";
import { decodeObjectRow, encodeObjectRow, type ObjectRow } from "./object-row.ts";
import { readStamp, type Stamp, writeStamp } from "./stamp.ts";

/** A delete marker: a version that says that the key has nothing. */
export type MarkerRow = {
  readonly stamp: Stamp;
  readonly home: number;
  readonly nullSlot: boolean;
  readonly deletedMs: number;
};

/** A version that is not the current object of its key: an older one, or a delete marker. */
export type VersionRow =
  | { readonly kind: "object"; readonly row: ObjectRow }
  | { readonly kind: "marker"; readonly row: MarkerRow };

/** First byte of a version's row. */
export const OBJECT_KIND = 1;
export const MARKER_KIND = 2;

/** Writes a version: what it is, and its row. */
export function encodeVersion(writer: ByteWriter, version: VersionRow): void {
  if (version.kind === "object") {
    encodeObjectRow(writer.u8(OBJECT_KIND), version.row);
    return;
  }
  const { stamp, home, nullSlot, deletedMs } = version.row;
  writeStamp(writer.u8(MARKER_KIND), stamp);
  writer
    .u32(home)
    .u8(nullSlot ? 1 : 0)
    .u64(deletedMs);
}

/** Reads a version that fills the rest; throws LayoutError when it is none. */
export function decodeVersion(reader: ByteReader): VersionRow {
  const kind = reader.u8();
  if (kind === OBJECT_KIND) return { kind: "object", row: decodeObjectRow(reader) };
  if (kind !== MARKER_KIND) throw new LayoutError("unknown kind of version");
  const stamp = readStamp(reader);
  const home = reader.u32();
  return {
    kind: "marker",
    row: { stamp, home, nullSlot: reader.u8() === 1, deletedMs: reader.u64() },
  };
}

/** Tables of buckets with versions; a bucket that never had any has no row in them. */
export const VERSION_TABLES = {
  /**
   * Older versions and delete markers, newest first behind each key. Objects have the layout that
   * they had as current ones.
   */
  version: {
    prefix: "v",
    encode: (writer: ByteWriter, version: VersionRow) => {
      if (version.kind === "object") encodeCompactRow(writer, version.row);
      else encodeVersion(writer, version);
    },
    decode: decodeVersion,
    isCompact: ({ kind }: VersionRow) => kind === "object",
    decodeCompact: (reader: ByteReader): VersionRow => {
      return { kind: "object", row: decodeCompactRow(reader) };
    },
  },
  /** Where a key's null version stands among these, when it does. */
  nullVersion: {
    prefix: "w",
    encode: (writer: ByteWriter, { stamp }: { readonly stamp: Stamp }) => writeStamp(writer, stamp),
    decode: (reader: ByteReader) => ({ stamp: readStamp(reader) }),
  },
  /** Changes of versions. */
  meta: {
    prefix: "a",
    encode: (writer: ByteWriter, row: MetaRow) => encodeMetaRow(writer, row),
    decode: decodeMetaRow,
  },
} as const;

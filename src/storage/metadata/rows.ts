import { asBuffer, ByteReader, type ByteWriter, LayoutError } from "../../core/bytes.ts";
import { crc32OfRange } from "../../core/crc32.ts";
import { StorageFault } from "../../core/faults.ts";
import type { Hlc } from "../../core/hlc.ts";
import { decodeLocal, encodeLocal } from "../../core/local-codec.ts";
import { decodeManifest, encodeManifest } from "../../core/manifest-codec.ts";
import type { OriginId, Seq } from "../../core/names.ts";
import { decodeOperation, encodeOperation } from "../../core/operation-codec.ts";
import type {
  ChunkPlace,
  CompletedUpload,
  LocalRecord,
  ManifestChunk,
  Operation,
  PartRecord,
  UploadRecord,
  Vector,
} from "../../core/records.ts";
import { BUCKET_TABLE } from "./bucket-rows.ts";
import { decodeCompactRow, encodeCompactRow } from "./compact-row.ts";
import { HISTORY_TABLE } from "./history-rows.ts";
import { decodeObjectRow, type ObjectRow } from "./object-row.ts";
import { ORIGIN_TABLES } from "./origin-rows.ts";
import { REMOTE_TABLE } from "./remote-rows.ts";
import { SITE_TABLES } from "./site-rows.ts";
import { readHlc, readOrigin, readSeq, readVector, writeVector } from "./stamp.ts";
import { TOMBSTONE_TABLE } from "./tombstone-row.ts";
import { listCompact, listObject, listVersion, type VersionListing } from "./version-listing.ts";
import { VERSION_TABLES } from "./version-rows.ts";
import { VOIDED_TABLE } from "./voided-rows.ts";

export type UploadRow = { readonly home: number; readonly upload: UploadRecord };
export type PartRow = { readonly home: number; readonly part: PartRecord };
export type ResultRow = { readonly home: number; readonly completed: CompletedUpload };
export type ManifestRow = {
  readonly home: number;
  /** Rows (objects and parts) that name this manifest. */
  readonly refs: number;
  readonly chunks: readonly ManifestChunk[];
};
export type ChunkRow = {
  readonly home: number;
  /** Manifests that name this chunk. */
  readonly refs: number;
  readonly place: ChunkPlace;
};
export type AccessKeyRow = { readonly home: number; readonly operation: Operation };
/** New ones are put at the end: rows of older programs lack them. */
const USAGE_COUNTERS = [
  "objects",
  "bytes",
  "uploads",
  "tombstones",
  "prefixes",
  "noncurrent",
  "markers",
  "voided",
  "metas",
  "conflicts",
  "marked",
] as const;
export type UsageRow = Readonly<Record<(typeof USAGE_COUNTERS)[number], number>>;
/** Which segments are gone for good, as first and last of each run, and where logs begin since. */
export type DroppedRow = {
  readonly home: number;
  readonly record: Extract<LocalRecord, { kind: "segments-dropped" }>;
};
export type BootstrapRow = {
  readonly home: number;
  readonly record: Extract<LocalRecord, { kind: "bootstrap" }>;
};
export type FloorsRow = {
  readonly home: number;
  readonly record: Extract<LocalRecord, { kind: "floors" }>;
};
/** How far the log has been applied, and the state of this origin's log at that place. */
export type PositionRow = {
  readonly segment: number;
  readonly offset: number;
  readonly origin: OriginId;
  readonly seq: Seq;
  readonly chain: Uint8Array;
  /** The greatest reading in the log, whoever's operation has it. */
  readonly hlc: Hlc;
  /** The reading of this origin's last operation. */
  readonly ownHlc: Hlc;
  /** What this origin's last operation says that had been applied of others. */
  readonly vector: Vector;
};

/** One kind of row: its key prefix, and how its value is laid out behind format and checksum. */
export type Table<Row> = {
  readonly prefix: string;
  encode(writer: ByteWriter, row: Row): void;
  /** Reads the first layout, in which older programs wrote all rows. */
  decode(reader: ByteReader): Row;
  /** Whether a row is written in the compact layout; the value's format says so. */
  isCompact?(row: Row): boolean;
  decodeCompact?(reader: ByteReader): Row;
};

const VALUE_FORMAT = 1;
/** The compact layout of a table. */
export const COMPACT_FORMAT = 2;
/** Format and checksum, in front of what a table encodes. */
export const VALUE_HEADER_BYTES = 5;
export type Crc32 = (bytes: Uint8Array, seed?: number) => number;

/** Rows that keep a local record keep it in the record's own encoding. */
function localTable<Row extends { readonly home: number }>(
  prefix: string,
  toRecord: (row: Row) => LocalRecord,
  fromRecord: (home: number, record: LocalRecord) => Row | undefined,
): Table<Row> {
  return {
    prefix,
    encode: (writer, row) => {
      writer.u32(row.home);
      encodeLocal(writer, toRecord(row));
    },
    decode: (reader) => {
      const home = reader.u32();
      const row = fromRecord(home, decodeLocal(reader.bytes(reader.remaining)));
      if (row === undefined) throw new LayoutError("a record of another kind");
      return row;
    },
  };
}

function counters<Name extends string>(
  prefix: string,
  names: readonly Name[],
): Table<Readonly<Record<Name, number>>> {
  return {
    prefix,
    encode: (writer, row) => {
      for (const name of names) writer.varint(row[name]);
    },
    decode: (reader) => {
      // A row of an older program has fewer: what came later was not there to be counted.
      const next = () => (reader.remaining === 0 ? 0 : reader.varint());
      const row = Object.fromEntries(names.map((name) => [name, next()]));
      return row as Record<Name, number>;
    },
  };
}

/** Every table of the index. Prefixes are one byte and never change their meaning. */
export const TABLES = {
  object: {
    prefix: "o",
    encode: encodeCompactRow,
    decode: decodeObjectRow,
    isCompact: () => true,
    decodeCompact: decodeCompactRow,
  } satisfies Table<ObjectRow>,
  tombstone: TOMBSTONE_TABLE,
  bucket: BUCKET_TABLE,
  upload: localTable<UploadRow>(
    "u",
    (row) => ({ kind: "upload-create", upload: row.upload }),
    (home, record) =>
      record.kind === "upload-create" ? { home, upload: record.upload } : undefined,
  ),
  part: localTable<PartRow>(
    "p",
    (row) => ({ kind: "part-put", part: row.part }),
    (home, record) => (record.kind === "part-put" ? { home, part: record.part } : undefined),
  ),
  result: localTable<ResultRow>(
    "x",
    ({ completed }) => ({ kind: "upload-end", ...completed, completed }),
    (home, record) =>
      record.kind === "upload-end" && record.completed !== undefined
        ? { home, completed: record.completed }
        : undefined,
  ),
  manifest: {
    prefix: "m",
    encode: (writer, row) => {
      writer.u32(row.home).varint(row.refs).bytes(encodeManifest(row.chunks));
    },
    decode: (reader) => {
      const home = reader.u32();
      const refs = reader.varint();
      return { home, refs, chunks: decodeManifest(reader.bytes(reader.remaining)) };
    },
  } satisfies Table<ManifestRow>,
  chunk: {
    prefix: "c",
    encode: (writer, { home, refs, place }) => {
      writer.u32(home).varint(refs).u32(place.segment).u64(place.offset).u32(place.bytes);
      for (const crc of place.sliceCrcs) writer.u32(crc);
    },
    decode: (reader) => {
      const home = reader.u32();
      const refs = reader.varint();
      const at = { segment: reader.u32(), offset: reader.u64(), bytes: reader.u32() };
      const sliceCrcs: number[] = [];
      while (reader.remaining > 0) sliceCrcs.push(reader.u32());
      return { home, refs, place: { ...at, sliceCrcs } };
    },
  } satisfies Table<ChunkRow>,
  accessKey: {
    prefix: "k",
    encode: (writer, row) => {
      writer.u32(row.home);
      encodeOperation(writer, row.operation);
    },
    decode: (reader) => {
      const home = reader.u32();
      const bytes = Buffer.from(reader.bytes(reader.remaining));
      return { home, operation: decodeOperation(bytes) };
    },
  } satisfies Table<AccessKeyRow>,
  dropped: localTable<DroppedRow>(
    "d",
    (row) => row.record,
    (home, record) => (record.kind === "segments-dropped" ? { home, record } : undefined),
  ),
  /** How far the current bootstrap has come. */
  bootstrap: localTable<BootstrapRow>(
    "f",
    (row) => row.record,
    (home, record) => (record.kind === "bootstrap" ? { home, record } : undefined),
  ),
  /** Where logs begin that came as rows. */
  floors: localTable<FloorsRow>(
    "B",
    (row) => row.record,
    (home, record) => (record.kind === "floors" ? { home, record } : undefined),
  ),
  /** What still needs a segment: rows that rest on its records, and bytes of live bodies. */
  segment: counters("s", ["rows", "bytes"]),
  /** Removals without a row, which must stay as long as the segment with what they removed. */
  grave: counters("g", []),
  /** A run of operations of one origin in a batch, and the place of the batch. */
  logRun: counters("l", ["segment", "offset", "count"]),
  usage: counters("n", USAGE_COUNTERS),
  prefix: counters("q", ["objects", "bytes"]),
  /** Present while a replay is under way that would not be whole if it were taken up again. */
  replaying: counters("y", []),
  ...VERSION_TABLES,
  voided: VOIDED_TABLE,
  /** Keys of the rows of `voided` whose version is still kept, so that a walk finds those alone. */
  kept: counters("E", []),
  history: HISTORY_TABLE,
  ...SITE_TABLES,
  ...ORIGIN_TABLES,
  remote: REMOTE_TABLE,
  /** Sums over `remote` (manifests, bytes that they list): one row, absent when there are none. */
  remoteSum: counters("T", ["manifests", "bytes"]),
  position: {
    prefix: "z",
    encode: (writer, row) => {
      writer.u32(row.segment).u64(row.offset).hex(row.origin).u64(row.seq);
      writer.bytes(row.chain).bigU64(row.hlc);
      // What follows is missing as long as no other origin is known.
      if (row.ownHlc === row.hlc && row.vector.size === 0) return;
      writer.bigU64(row.ownHlc);
      writeVector(writer, row.vector);
    },
    decode: (reader) => {
      const at = { segment: reader.u32(), offset: reader.u64(), origin: readOrigin(reader) };
      const head = { seq: readSeq(reader), chain: Buffer.from(reader.bytes(32)) };
      const hlc = readHlc(reader);
      if (reader.remaining === 0) return { ...at, ...head, hlc, ownHlc: hlc, vector: new Map() };
      return { ...at, ...head, hlc, ownHlc: readHlc(reader), vector: readVector(reader) };
    },
  } satisfies Table<PositionRow>,
} as const;

/** Appends a row's stored value (format, checksum, payload) and gives where it lies. */
export function encodeRow<Row>(
  writer: ByteWriter,
  table: Table<Row>,
  row: Row,
  crc32: Crc32,
): { start: number; end: number } {
  const start = writer.length;
  writer.u8(table.isCompact?.(row) === true ? COMPACT_FORMAT : VALUE_FORMAT).u32(0);
  table.encode(writer, row);
  const end = writer.length;
  writer.patchU32(start + 1, crc32(writer.view().subarray(start + VALUE_HEADER_BYTES, end)));
  return { start, end };
}

/**
 * Puts format and checksum in front of a compact payload that ends at `end`; `start` is the
 * value's.
 */
export function sealCompactValue(memory: Buffer, start: number, end: number): void {
  memory[start] = COMPACT_FORMAT;
  memory.writeUInt32LE(crc32OfRange(memory, start + VALUE_HEADER_BYTES, end), start + 1);
}

/**
 * Reads what a listing of versions shows from the value of an object's row. Hot path.
 *
 * @throws StorageFault "corrupt" as `decodeRow` does.
 */
export function decodeListedObject(value: Uint8Array, crc32: Crc32): VersionListing {
  try {
    const list = checkValue(value, crc32) === COMPACT_FORMAT ? listCompact : listObject;
    return list(asBuffer(value), VALUE_HEADER_BYTES);
  } catch (cause) {
    throw asDamage(cause, TABLES.object);
  }
}

/**
 * Reads what a listing of versions shows from the value of an older version's row. Hot path.
 *
 * @throws StorageFault "corrupt" as `decodeRow` does.
 */
export function decodeListedVersion(value: Uint8Array, crc32: Crc32): VersionListing {
  try {
    const list = checkValue(value, crc32) === COMPACT_FORMAT ? listCompact : listVersion;
    return list(asBuffer(value), VALUE_HEADER_BYTES);
  } catch (cause) {
    throw asDamage(cause, TABLES.version);
  }
}

/** @throws StorageFault "corrupt" when the value is not what was stored. */
export function decodeRow<Row>(table: Table<Row>, value: Uint8Array, crc32: Crc32): Row {
  try {
    const isCompact = checkValue(value, crc32) === COMPACT_FORMAT;
    const reader = new ByteReader(value, VALUE_HEADER_BYTES);
    if (!isCompact) return table.decode(reader);
    if (table.decodeCompact === undefined) throw new LayoutError("a table has no such layout");
    return table.decodeCompact(reader);
  } catch (cause) {
    throw asDamage(cause, table);
  }
}

/** Whether a value holds, and has the compact layout of its table. */
export function isCompactValue(value: Buffer, crc32: Crc32): boolean {
  if (value[0] !== COMPACT_FORMAT || value.length <= VALUE_HEADER_BYTES) return false;
  return crc32(value.subarray(VALUE_HEADER_BYTES)) === value.readUInt32LE(1);
}

/** The format of a value whose checksum holds. */
function checkValue(value: Uint8Array, crc32: Crc32): number {
  const bytes = asBuffer(value);
  const format = formatOf(bytes, bytes.length);
  if (crc32(bytes.subarray(VALUE_HEADER_BYTES)) !== bytes.readUInt32LE(1)) {
    throw new LayoutError("checksum does not match");
  }
  return format;
}

/**
 * The format of a value that ends at `end`.
 *
 * @throws LayoutError when this program does not know it.
 */
export function formatOf(value: Uint8Array, end: number): number {
  const [format = 0] = value;
  if (end >= VALUE_HEADER_BYTES && (format === VALUE_FORMAT || format === COMPACT_FORMAT)) {
    return format;
  }
  throw new LayoutError("unknown row format");
}

/** The failure to read a value, as users of storage are told. */
export function asDamage(cause: unknown, table: Table<unknown>): unknown {
  if (!(cause instanceof LayoutError)) return cause;
  return new StorageFault("corrupt", `damaged index row in table ${table.prefix}`, {
    hint: "Stop the server and run `atoll rebuild-index`; no data is lost.",
    cause,
  });
}

import { type ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import { type Hlc, parseHlc } from "./hlc.ts";
import {
  type OriginId,
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
  parseSiteId,
  parseVersionId,
  type Seq,
  type SiteId,
  type VersionId,
} from "./names.ts";
import type { LocalRecord, LogStart, RowName } from "./records.ts";
import { FieldReader, readList, readText, required, writeVarintField } from "./tagged-fields.ts";

/*
 * Fields of local records about rows of other sites.
 *
 * | tag | in kind | value                                                                |
 * | --- | ------- | -------------------------------------------------------------------- |
 * | 1   | 14      | rows: each what (u8: 1 version, 2 null version, 3 tombstone, 4 mark  |
 * |     |         | of a removed version, 5 conflict), bucket and key (texts behind      |
 * |     |         | their lengths), HLC and origin that made it (16), with 4 the version |
 * |     |         | removed (16)                                                         |
 * | 3   | 15      | site whose rows are taken over: 8 bytes                              |
 * | 5   | 15      | lease: text                                                          |
 * | 7   | 15      | position of the next row: text                                       |
 * | 9   | 15, 16  | heads: each origin (8), sequence (varint), HLC (8), chain hash (32), |
 * |     |         | count of the vector (varint), and each origin (8), sequence (varint) |
 * | 11  | 15      | rows taken over so far: varint                                       |
 * | 12  | 15      | merged into a site that was whole: no value, present means true      |
 * | 14  | 15, 16  | positions of rows whose bytes could not be had yet: each a text      |
 * |     |         | behind its length                                                    |
 */
const TAG = {
  ...{ rows: 1, site: 3, lease: 5, position: 7, heads: 9, count: 11, merges: 12, owed: 14 },
} as const;

const WHAT_NUMBERS = {
  version: 1,
  null: 2,
  tombstone: 3,
  voided: 4,
  conflict: 5,
} as const satisfies Record<RowName["what"], number>;
const WHATS: ReadonlyArray<RowName["what"] | undefined> = [
  undefined,
  "version",
  "null",
  "tombstone",
  "voided",
  "conflict",
];

/** Local records that these fields are of. */
export type RowRecord = Extract<LocalRecord, { kind: "rows-removed" | "bootstrap" | "floors" }>;

const scratch = new ByteWriter();

/** Writes the fields of a record, behind its kind. */
export function writeRowRecord(writer: ByteWriter, record: RowRecord): void {
  switch (record.kind) {
    case "rows-removed":
      writeRows(writer, record.rows);
      return;
    case "bootstrap":
      writer.u8(TAG.site).u8(8).hex(record.site);
      writer.u8(TAG.lease).text(record.lease);
      writer.u8(TAG.position).text(record.position);
      writeHeads(writer, record.heads);
      writeVarintField(writer, TAG.count, record.rows);
      if (record.merges === true) writer.u8(TAG.merges).u8(0);
      writeOwed(writer, record.owed);
      return;
    case "floors":
      writeHeads(writer, record.heads);
      writeOwed(writer, record.owed);
      return;
  }
}

function writeRows(writer: ByteWriter, rows: readonly RowName[]): void {
  if (rows.length === 0) return;
  scratch.reset();
  for (const { what, bucket, key, stamp, target } of rows) {
    scratch.u8(WHAT_NUMBERS[what]).text(bucket).text(key).hex(stamp);
    if (what === "voided") scratch.hex(required(target, "version"));
  }
  writer.u8(TAG.rows).sized(scratch.view());
}

function writeHeads(writer: ByteWriter, heads: readonly LogStart[]): void {
  if (heads.length === 0) return;
  scratch.reset();
  for (const { origin, seq, hlc, chain, vector } of heads) {
    scratch.hex(origin).varint(seq).bigU64(hlc).bytes(chain).varint(vector.size);
    for (const [other, position] of sortedVector(vector)) scratch.hex(other).varint(position);
  }
  writer.u8(TAG.heads).sized(scratch.view());
}

function writeOwed(writer: ByteWriter, owed: readonly string[] = []): void {
  if (owed.length === 0) return;
  scratch.reset();
  for (const position of owed) scratch.text(position);
  writer.u8(TAG.owed).sized(scratch.view());
}

function sortedVector(vector: LogStart["vector"]): Array<readonly [OriginId, Seq]> {
  return [...vector].sort(([left], [right]) => (left < right ? -1 : 1));
}

/**
 * Reads the fields of a record of this kind, up to the end of `bytes`. Throws LayoutError when they
 * do not fit, and StorageFault ("unsupported") for an unknown critical field.
 */
export function readRowRecord(kind: RowRecord["kind"], reader: ByteReader, end: number): RowRecord {
  const fields = new FieldReader(reader, end);
  const found = new RowFields();
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) readRowField(fields, tag, found);
  switch (kind) {
    case "rows-removed":
      return { kind, rows: found.rows };
    case "floors":
      return { kind, heads: found.heads, ...owedOf(found) };
    case "bootstrap":
      return {
        kind,
        site: required(found.site, "site"),
        lease: required(found.lease, "lease"),
        position: required(found.position, "position"),
        heads: found.heads,
        rows: required(found.count, "count"),
        ...(found.merges === undefined ? {} : { merges: found.merges }),
        ...owedOf(found),
      };
  }
}

function owedOf({ owed }: RowFields): { readonly owed?: readonly string[] } {
  return owed.length === 0 ? {} : { owed };
}

class RowFields {
  rows: readonly RowName[] = [];
  site: SiteId | undefined;
  lease: string | undefined;
  position: string | undefined;
  heads: readonly LogStart[] = [];
  count: number | undefined;
  merges: true | undefined;
  owed: readonly string[] = [];
}

function readRowField(fields: FieldReader, tag: number, found: RowFields): void {
  switch (tag) {
    case TAG.rows:
      found.rows = readList(fields, () => readRowName(fields.reader));
      return;
    case TAG.site:
      found.site = required(parseSiteId(fields.reader.hex(8)), "site");
      return;
    case TAG.lease:
      found.lease = fields.text();
      return;
    case TAG.position:
      found.position = fields.text();
      return;
    case TAG.heads:
      found.heads = readList(fields, () => readHead(fields.reader));
      return;
    case TAG.count:
      found.count = fields.reader.varint();
      return;
    case TAG.merges:
      found.merges = true;
      return;
    case TAG.owed:
      found.owed = readList(fields, () => readText(fields.reader));
      return;
    default:
      fields.passUnknown(tag);
  }
}

function readRowName(reader: ByteReader): RowName {
  const what = WHATS[reader.u8()];
  if (what === undefined) throw new LayoutError("unknown kind of row");
  const bucket = required(parseBucketName(readText(reader)), "bucket");
  const key = required(parseObjectKey(readText(reader)), "key");
  const stamp = readVersion(reader);
  if (what !== "voided") return { what, bucket, key, stamp };
  return { what, bucket, key, stamp, target: readVersion(reader) };
}

function readVersion(reader: ByteReader): VersionId {
  return required(parseVersionId(reader.hex(16)), "version");
}

function readHead(reader: ByteReader): LogStart {
  const origin = readOrigin(reader);
  const seq = readSeq(reader);
  const hlc: Hlc = required(parseHlc(reader.bigU64()), "HLC");
  const chain = Buffer.from(reader.bytes(32));
  const vector = new Map<OriginId, Seq>();
  let last = "";
  for (let left = reader.varint(); left > 0; left--) {
    const other = readOrigin(reader);
    if (other <= last) throw new LayoutError("origins do not ascend");
    last = other;
    vector.set(other, readSeq(reader));
  }
  return { origin, seq, hlc, chain, vector };
}

function readOrigin(reader: ByteReader): OriginId {
  return required(parseOriginId(reader.hex(8)), "origin");
}

function readSeq(reader: ByteReader): Seq {
  return required(parseSeq(reader.varint()), "sequence");
}

import { type ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import { parseHlc } from "./hlc.ts";
import {
  type OriginId,
  parseOriginId,
  parseSeq,
  parseSiteId,
  type Seq,
  type SiteId,
} from "./names.ts";
import type { OriginRecord, OriginRecordKind, OriginState, SignedHead } from "./origin-records.ts";
import type { LocalRecord } from "./records.ts";
import { FieldReader, readList, readText, required, writeVarintField } from "./tagged-fields.ts";

/*
 * Fields of local records about other origins.
 *
 * | tag | in kind | value                                                                |
 * | --- | ------- | -------------------------------------------------------------------- |
 * | 1   | 8       | states of logs: each origin (8), sequence (varint), chain hash (32), |
 * |     |         | HLC (8), count of entries (varint), each origin (8), sequence (varint) |
 * | 3   | 9 - 11  | operations: each origin (8), sequence (varint)                       |
 * | 5   | 9       | reasons in the order of 3: each text behind its length               |
 * | 7   | 12      | signed heads: each origin (8), site (8), sequence (varint), chain    |
 * |     |         | hash (32), signature behind its length                               |
 * | 9   | 13      | site (8)                                                             |
 * | 11  | 13      | last heard of, Unix milliseconds: varint                             |
 * | 13  | 13      | applied: each origin (8), sequence (varint)                          |
 * | 15  | 11      | vectors in the order of 3: each count of entries (varint), each      |
 * |     |         | origin (8), sequence (varint)                                        |
 */
const TAG = {
  states: 1,
  operations: 3,
  reasons: 5,
  signedHeads: 7,
  site: 9,
  time: 11,
  applied: 13,
  vectors: 15,
} as const;

const CHAIN_BYTES = 32;
const scratch = new ByteWriter();

type VectorEntries = ReadonlyMap<OriginId, Seq>;
type ParkedList = Extract<OriginRecord, { kind: "operations-parked" }>["operations"];
type UnparkedList = Extract<OriginRecord, { kind: "operations-unparked" }>["operations"];
type OriginDot = { readonly origin: OriginId; readonly seq: Seq };

/** Fields as they are met. */
class OriginFields {
  states: readonly OriginState[] = [];
  operations: readonly OriginDot[] = [];
  reasons: readonly string[] = [];
  signedHeads: readonly SignedHead[] = [];
  site: SiteId | undefined;
  heardMs: number | undefined;
  applied: VectorEntries = new Map();
  vectors: readonly VectorEntries[] = [];
}

const KINDS: ReadonlySet<string> = new Set<OriginRecordKind>([
  "origin-heads",
  "operations-parked",
  "operations-void",
  "operations-unparked",
  "heads-signed",
  "peer-applied",
]);

/** Whether these fields are those of a kind of local record. */
export function isOriginKind(kind: string): kind is OriginRecordKind {
  return KINDS.has(kind);
}

/** Whether a local record is one about other origins. */
export function isOriginRecord(record: {
  readonly kind: string;
}): record is Extract<LocalRecord, { kind: OriginRecordKind }> {
  return KINDS.has(record.kind);
}

/** Writes the fields of a record, behind its kind; empty lists are left out. */
export function writeOriginRecord(writer: ByteWriter, record: OriginRecord): void {
  switch (record.kind) {
    case "origin-heads":
      writeList(writer, TAG.states, record.heads, writeState);
      return;
    case "operations-parked":
      writeList(writer, TAG.operations, record.operations, writeDot);
      writeList(writer, TAG.reasons, record.operations, ({ reason }) => scratch.text(reason));
      return;
    case "operations-void":
      writeList(writer, TAG.operations, record.operations, writeDot);
      return;
    case "operations-unparked":
      writeList(writer, TAG.operations, record.operations, writeDot);
      writeList(writer, TAG.vectors, record.operations, ({ vector }) => writeVector(vector));
      return;
    case "heads-signed":
      writeList(writer, TAG.signedHeads, record.heads, writeSignedHead);
      return;
    case "peer-applied":
      writer.u8(TAG.site).u8(8).hex(record.site);
      writeVarintField(writer, TAG.time, record.heardMs);
      writeList(writer, TAG.applied, sortedEntries(record.applied), writeDot);
      return;
  }
}

function writeList<Item>(
  writer: ByteWriter,
  tag: number,
  items: readonly Item[],
  write: (item: Item) => void,
): void {
  if (items.length === 0) return;
  scratch.reset();
  for (const item of items) write(item);
  writer.u8(tag).sized(scratch.view());
}

function writeDot({ origin, seq }: OriginDot): void {
  scratch.hex(origin).varint(seq);
}

function writeState({ origin, seq, chain, hlc, vector }: OriginState): void {
  scratch.hex(origin).varint(seq).bytes(chain).bigU64(hlc);
  writeVector(vector);
}

function writeVector(vector: VectorEntries): void {
  scratch.varint(vector.size);
  for (const entry of sortedEntries(vector)) writeDot(entry);
}

function writeSignedHead({ origin, site, seq, chain, signature }: SignedHead): void {
  scratch.hex(origin).hex(site).varint(seq).bytes(chain).sized(signature);
}

/** Entries in the one order in which they are written: ascending origins. */
function sortedEntries(vector: VectorEntries): OriginDot[] {
  return [...vector]
    .map(([origin, seq]) => ({ origin, seq }))
    .sort((left, right) => (left.origin < right.origin ? -1 : 1));
}

/**
 * Reads the fields of a record of this kind, up to `end` in the reader's input. Throws LayoutError
 * when they do not fit, and StorageFault ("unsupported") for an unknown critical field.
 */
export function readOriginRecord(
  kind: OriginRecordKind,
  reader: ByteReader,
  end: number,
): OriginRecord {
  const fields = new FieldReader(reader, end);
  const found = new OriginFields();
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) readOriginField(fields, tag, found);
  switch (kind) {
    case "origin-heads":
      return { kind, heads: found.states };
    case "operations-parked":
      return { kind, operations: buildParked(found) };
    case "operations-void":
      return { kind, operations: found.operations };
    case "operations-unparked":
      return { kind, operations: buildUnparked(found) };
    case "heads-signed":
      return { kind, heads: found.signedHeads };
    case "peer-applied": {
      const site = required(found.site, "site");
      return { kind, site, heardMs: required(found.heardMs, "time"), applied: found.applied };
    }
  }
}

function readOriginField(fields: FieldReader, tag: number, found: OriginFields): void {
  switch (tag) {
    case TAG.states:
      found.states = readList(fields, readState);
      return;
    case TAG.operations:
      found.operations = readList(fields, readDot);
      return;
    case TAG.reasons:
      found.reasons = readList(fields, ({ reader }) => readText(reader));
      return;
    case TAG.signedHeads:
      found.signedHeads = readList(fields, readSignedHead);
      return;
    case TAG.site:
      found.site = required(parseSiteId(fields.reader.hex(8)), "site");
      return;
    case TAG.time:
      found.heardMs = fields.reader.varint();
      return;
    case TAG.applied:
      found.applied = toVector(readList(fields, readDot));
      return;
    case TAG.vectors:
      found.vectors = readList(fields, readVector);
      return;
    default:
      fields.passUnknown(tag);
  }
}

/** Puts the parked operations together with their reasons; both lists have one length. */
function buildParked({ operations, reasons }: OriginFields): ParkedList {
  if (operations.length !== reasons.length) {
    throw new LayoutError("parked operations have other reasons");
  }
  return operations.map((dot, at) => ({ ...dot, reason: required(reasons[at], "reason") }));
}

function buildUnparked({ operations, vectors }: OriginFields): UnparkedList {
  if (operations.length !== vectors.length) {
    throw new LayoutError("unparked operations have other vectors");
  }
  return operations.map((dot, at) => ({ ...dot, vector: required(vectors[at], "vector") }));
}

function readDot({ reader }: FieldReader): OriginDot {
  const origin = required(parseOriginId(reader.hex(8)), "origin");
  return { origin, seq: required(parseSeq(reader.varint()), "sequence") };
}

function readState(fields: FieldReader): OriginState {
  const { reader } = fields;
  const dot = readDot(fields);
  const chain = Buffer.from(reader.bytes(CHAIN_BYTES));
  const hlc = required(parseHlc(reader.bigU64()), "HLC");
  return { ...dot, chain, hlc, vector: readVector(fields) };
}

function readVector(fields: FieldReader): VectorEntries {
  const entries: OriginDot[] = [];
  for (let left = fields.reader.varint(); left > 0; left--) entries.push(readDot(fields));
  return toVector(entries);
}

function readSignedHead({ reader }: FieldReader): SignedHead {
  const origin = required(parseOriginId(reader.hex(8)), "origin");
  const site = required(parseSiteId(reader.hex(8)), "site");
  const seq = required(parseSeq(reader.varint()), "sequence");
  const chain = Buffer.from(reader.bytes(CHAIN_BYTES));
  return { origin, site, seq, chain, signature: Buffer.from(reader.sized()) };
}

function toVector(entries: readonly OriginDot[]): VectorEntries {
  let last = "";
  for (const { origin } of entries) {
    if (origin <= last) throw new LayoutError("origins do not ascend");
    last = origin;
  }
  return new Map(entries.map(({ origin, seq }) => [origin, seq]));
}

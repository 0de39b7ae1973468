import { ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import { StorageFault } from "./faults.ts";
import { type Hlc, parseHlc } from "./hlc.ts";
import { type OriginId, parseOriginId, parseSeq, type Seq } from "./names.ts";
import { BodyFields, buildBody, readBodyField, writeBodyFields } from "./operation-body-codec.ts";
import { BODY_TAGS } from "./operation-tags.ts";
import type { Operation, OperationBody, OperationKind, Vector } from "./records.ts";
import { FieldReader, readText, required } from "./tagged-fields.ts";

/*
 * Operation: a stable envelope around tagged fields.
 *
 * | offset | bytes | meaning                                                          |
 * | ------ | ----- | ---------------------------------------------------------------- |
 * | 0      | 8     | origin                                                           |
 * | 8      | 8     | sequence in the origin's log, from 1                             |
 * | 16     | 8     | HLC                                                              |
 * | 24     | 1     | kind                                                             |
 * | 25     | 32    | hash chain of the origin's log before this operation             |
 * | 57     | 4     | bytes of the fields                                              |
 * | 61     | n     | fields: 1 vector, 3 group, from 5 on those of the kind           |
 *
 * Vector: full (u8, 0 or 1), then for each origin, ascending: origin (8), sequence (varint). It is
 * left out when it is neither full nor has entries. Group: id (text behind its length), count
 * (varint).
 *
 * Kinds of operations, for ever: none is changed, none is used again.
 *
 * | kind | name           |
 * | ---- | -------------- |
 * | 1    | object-put     |
 * | 2    | object-delete  |
 * | 3    | bucket-create  |
 * | 4    | bucket-delete  |
 * | 5    | bucket-setting |
 * | 6    | access-key-put |
 * | 7    | version-delete |
 * | 8    | object-meta    |
 * | 9    | site-put       |
 * | 10   | conflict-resolve |
 */
const ENVELOPE_BYTES = 61;
const CHAIN_OFFSET = 25;
const CHAIN_BYTES = 32;
const TAG_VECTOR = 1;
const TAG_GROUP = 3;

const KIND_NUMBERS = {
  "object-put": 1,
  "object-delete": 2,
  "bucket-create": 3,
  "bucket-delete": 4,
  "bucket-setting": 5,
  "access-key-put": 6,
  "version-delete": 7,
  "object-meta": 8,
  "site-put": 9,
  "conflict-resolve": 10,
} as const satisfies Record<OperationKind, number>;

/** Where the parts of the envelope stand, for readers that do not decode the rest. */
export const OPERATION_LAYOUT = {
  seq: 8,
  hlc: 16,
  kind: 24,
  chain: 25,
  fieldsBytes: 57,
  fields: ENVELOPE_BYTES,
  objectPut: KIND_NUMBERS["object-put"],
  objectDelete: KIND_NUMBERS["object-delete"],
  /** Tag of the vector among the fields. */
  vector: TAG_VECTOR,
} as const;

const KINDS: ReadonlyArray<OperationKind | undefined> = [
  undefined,
  "object-put",
  "object-delete",
  "bucket-create",
  "bucket-delete",
  "bucket-setting",
  "access-key-put",
  "version-delete",
  "object-meta",
  "site-put",
  "conflict-resolve",
];

/** What the envelope alone tells. */
export type OperationHeader = {
  readonly origin: OriginId;
  readonly seq: Seq;
  readonly hlc: Hlc;
  readonly kind: OperationKind;
};

const fieldScratch = new ByteWriter();
const knownScratch = new ByteWriter();
const chainScratch = new ByteWriter(1024);

/** Writes the one canonical encoding. Texts must be well formed (no lone surrogates). */
export function encodeOperation(writer: ByteWriter, operation: Operation): void {
  writer.hex(operation.dot.origin).u64(operation.dot.seq).bigU64(operation.hlc);
  writer.u8(KIND_NUMBERS[operation.body.kind]).bytes(operation.chainBefore).u32(0);
  const start = writer.length;
  if (operation.unknownFields.length === 0) {
    writeKnownFields(writer, operation);
  } else {
    knownScratch.reset();
    writeKnownFields(knownScratch, operation);
    mergeFields(writer, knownScratch.view(), operation.unknownFields);
  }
  writer.patchU32(start - 4, writer.length - start);
}

function writeKnownFields(writer: ByteWriter, operation: Operation): void {
  const { vector, group } = operation;
  if (vector.full || vector.entries.size > 0) writeVector(writer, vector);
  if (group !== undefined) {
    fieldScratch.reset();
    fieldScratch.text(group.id).varint(group.count);
    writer.u8(TAG_GROUP).sized(fieldScratch.view());
  }
  writeBodyFields(writer, operation.body);
}

function writeVector(writer: ByteWriter, vector: Operation["vector"]): void {
  fieldScratch.reset();
  fieldScratch.u8(vector.full ? 1 : 0);
  const entries = [...vector.entries];
  if (entries.length > 1) entries.sort((left, right) => (left[0] < right[0] ? -1 : 1));
  for (const [origin, seq] of entries) fieldScratch.hex(origin).varint(seq);
  writer.u8(TAG_VECTOR).sized(fieldScratch.view());
}

/** The field with which an operation says that its origin had applied just these of others. */
export function encodeVectorField(entries: Vector): Buffer {
  const writer = new ByteWriter(64);
  writeVector(writer, { full: true, entries });
  return Buffer.from(writer.view());
}

/** Known tags are odd and kept ones even, so the two never meet in one tag. */
function mergeFields(
  writer: ByteWriter,
  known: Uint8Array,
  unknown: Operation["unknownFields"],
): void {
  const fields = new FieldReader(new ByteReader(known), known.length);
  let next = 0;
  for (let tag = fields.next(); ; tag = fields.next()) {
    for (let kept = unknown[next]; kept !== undefined; kept = unknown[++next]) {
      if (tag !== 0 && kept.tag > tag) break;
      writer.varint(kept.tag).sized(kept.bytes);
    }
    if (tag === 0) return;
    writer.varint(tag).sized(fields.view());
  }
}

/**
 * Reads the envelope without the fields; cheap. Throws LayoutError when the bytes are too short and
 * StorageFault ("unsupported") for a kind this program does not know.
 */
export function operationHeader(bytes: Uint8Array): OperationHeader {
  if (bytes.length < ENVELOPE_BYTES) throw new LayoutError("operation ends early");
  return readHeader(new ByteReader(bytes));
}

function readHeader(reader: ByteReader): OperationHeader {
  const origin = required(parseOriginId(reader.hex(8)), "origin");
  const seq = required(parseSeq(reader.u64()), "sequence");
  const hlc = required(parseHlc(reader.bigU64()), "HLC");
  const number = reader.u8();
  const kind = KINDS[number];
  if (kind === undefined) {
    throw new StorageFault("unsupported", `unknown kind of operation: ${number}`, {
      hint: "A newer release of Atoll wrote it: run that release or a later one.",
    });
  }
  return { origin, seq, hlc, kind };
}

/**
 * Reads an operation that fills `bytes`. Throws LayoutError when they do not fit the layout and
 * StorageFault ("unsupported") for an unknown kind or critical field. The result shares no memory
 * with the input. (An unknown optional field inside the object has no room in ObjectRecord: relay
 * the bytes, never a new encoding.)
 */
export function decodeOperation(bytes: Uint8Array): Operation {
  const reader = new ByteReader(bytes);
  const { origin, seq, hlc, kind } = readHeader(reader);
  const chainBefore = Buffer.from(reader.bytes(CHAIN_BYTES));
  if (reader.u32() !== reader.remaining) throw new LayoutError("operation has another length");
  const fields = new FieldReader(reader, bytes.length);
  const allowed: ReadonlySet<number> = BODY_TAGS[kind];
  const found = new BodyFields();
  const unknownFields: { tag: number; bytes: Uint8Array }[] = [];
  let vector: Operation["vector"] = { full: false, entries: new Map() };
  let group: Operation["group"];
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    if (allowed.has(tag)) readBodyField(fields, tag, found);
    else if (tag === TAG_VECTOR) vector = readVector(fields);
    else if (tag === TAG_GROUP) group = readGroup(fields);
    else if (tag % 2 === 0) unknownFields.push({ tag, bytes: fields.copy() });
    else fields.passUnknown(tag);
  }
  const body = buildBody(kind, found);
  checkPlace(body, hlc);
  return { dot: { origin, seq }, hlc, chainBefore, vector, group, body, unknownFields };
}

/** A delete that is said again was there before: one that is not would beat what is yet to come. */
function checkPlace(body: OperationBody, hlc: Hlc): void {
  if (body.kind !== "object-delete" || !body.nullSlot || body.standsAt === undefined) return;
  if (body.standsAt > hlc) throw new LayoutError("a delete that stands behind itself");
}

function readVector(fields: FieldReader): Operation["vector"] {
  const { reader } = fields;
  const full = reader.u8();
  if (full > 1 || (full === 0 && !fields.more())) throw new LayoutError("vector is not canonical");
  const entries = new Map<OriginId, Seq>();
  let last = "";
  while (fields.more()) {
    const origin = required(parseOriginId(reader.hex(8)), "origin");
    if (origin <= last) throw new LayoutError("origins do not ascend");
    last = origin;
    entries.set(origin, required(parseSeq(reader.varint()), "sequence"));
  }
  const vector: Vector = entries;
  return { full: full === 1, entries: vector };
}

function readGroup(fields: FieldReader): NonNullable<Operation["group"]> {
  const id = readText(fields.reader);
  return { id, count: fields.reader.varint() };
}

/**
 * The hash chain of an origin's log after an operation.
 *
 * @param hash SHA-256.
 */
export function chainAfter(
  hash: (bytes: Uint8Array) => Buffer,
  chainBefore: Uint8Array,
  operationBytes: Uint8Array,
): Buffer {
  chainScratch.reset();
  chainScratch.bytes(chainBefore).bytes(operationBytes);
  return hash(chainScratch.view());
}

/**
 * The same for one that continues the chain which it states. Bytes that are too short to be an
 * operation get a chain as well, which nothing continues.
 */
export function operationChain(
  hash: (bytes: Uint8Array) => Buffer,
  operationBytes: Uint8Array,
): Buffer {
  const chainBefore = operationBytes.subarray(CHAIN_OFFSET, CHAIN_OFFSET + CHAIN_BYTES);
  return chainAfter(hash, chainBefore, operationBytes);
}

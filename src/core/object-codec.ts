import { ATTRIBUTE_TAGS, type Pairs, readPairs, writeAttributeFields } from "./attribute-codec.ts";
import { ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import {
  readChecksum,
  readChecksums,
  readEtag,
  writeChecksums,
  writeChecksumsField,
  writeEtagField,
} from "./checksum-codec.ts";
import { parseContentHash } from "./names.ts";
import { type ObjectLock, readLock, writeLock } from "./object-lock-state.ts";
import type {
  BodyRef,
  EncryptionEnvelope,
  ManifestRef,
  ObjectRecord,
  PartSummary,
  StoredChecksum,
} from "./records.ts";
import { FieldReader, required, writeVarintField } from "./tagged-fields.ts";

/*
 * Object, as tagged fields. What every request needs comes first.
 *
 * | tag | value                                                                      |
 * | --- | -------------------------------------------------------------------------- |
 * | 1   | size in bytes: varint                                                      |
 * | 3   | last modified, Unix milliseconds: varint                                   |
 * | 5   | ETag                                                                       |
 * | 7   | inline body's bytes: varint                                                |
 * | 9   | manifests, instead of 7: each hash (32) and bytes (varint)                 |
 * | 11  | system headers                                                             |
 * | 13  | user metadata                                                              |
 * | 15  | tags                                                                       |
 * | 17  | storage class                                                              |
 * | 19  | checksums, one behind the other                                            |
 * | 21  | parts: each number (varint), size (varint), count of checksums (varint),   |
 * |     | checksums                                                                  |
 * | 23  | encryption envelope: bytes                                                 |
 * | 25  | lock: legal hold (u8, 0 or 1), mode (u8: 0 none, 1 governance,             |
 * |     | 2 compliance), unless 0 until when, Unix milliseconds: varint              |
 */
export const OBJECT_TAGS = {
  size: 1,
  lastModified: 3,
  etag: 5,
  inline: 7,
  manifests: 9,
  ...ATTRIBUTE_TAGS,
  checksums: 19,
  parts: 21,
  encryption: 23,
  lock: 25,
} as const;
const TAG = OBJECT_TAGS;

const scratch = new ByteWriter();

/** What of an object stands in front of its tagged fields, in a shorter form, and not in them. */
export type ObjectFront = {
  readonly size: number | undefined;
  readonly lastModifiedMs: number | undefined;
  readonly etag: string | undefined;
  readonly body: BodyRef | undefined;
  readonly checksums: readonly StoredChecksum[] | undefined;
};

const NO_FRONT: ObjectFront = {
  size: undefined,
  lastModifiedMs: undefined,
  etag: undefined,
  body: undefined,
  checksums: undefined,
};

/** Writes an object as tagged fields. Texts must be well formed (no lone surrogates). */
export function encodeObject(writer: ByteWriter, record: ObjectRecord): void {
  encodeObjectRest(writer, record, NO_FRONT);
}

/** Writes those fields of an object that do not stand in front of them. */
export function encodeObjectRest(
  writer: ByteWriter,
  record: ObjectRecord,
  front: ObjectFront,
): void {
  if (front.size === undefined) writeVarintField(writer, TAG.size, record.size);
  if (front.lastModifiedMs === undefined) {
    writeVarintField(writer, TAG.lastModified, record.lastModifiedMs);
  }
  if (front.etag === undefined) writeEtagField(writer, TAG.etag, record.etag);
  if (front.body === undefined) writeBody(writer, record.body);
  writeAttributeFields(writer, record.attributes);
  if (front.checksums === undefined) {
    writeChecksumsField(writer, TAG.checksums, record.checksums);
  }
  if (record.parts.length > 0) {
    scratch.reset();
    for (const part of record.parts) {
      scratch.varint(part.partNumber).varint(part.size).varint(part.checksums.length);
      writeChecksums(scratch, part.checksums);
    }
    writer.u8(TAG.parts).sized(scratch.view());
  }
  if (record.encryption !== undefined) writer.u8(TAG.encryption).sized(record.encryption);
  if (record.lock !== undefined) writeLockField(writer, TAG.lock, record.lock);
}

/** Writes a lock as a field. */
export function writeLockField(writer: ByteWriter, tag: number, lock: ObjectLock): void {
  scratch.reset();
  writeLock(scratch, lock);
  writer.u8(tag).sized(scratch.view());
}

function writeBody(writer: ByteWriter, body: BodyRef): void {
  if (body.kind === "inline") {
    writeVarintField(writer, TAG.inline, body.bytes);
    return;
  }
  scratch.reset();
  for (const manifest of body.manifests) scratch.hex(manifest.hash).varint(manifest.bytes);
  writer.u8(TAG.manifests).sized(scratch.view());
}

/** Fields as they are met; what is missing is noticed at the end. */
class ObjectFields {
  size: number | undefined;
  lastModifiedMs: number | undefined;
  etag: string | undefined;
  body: BodyRef | undefined;
  checksums: readonly StoredChecksum[];
  system: Pairs = [];
  user: Pairs = [];
  tags: Pairs = [];
  storageClass: string | undefined;
  parts: readonly PartSummary[] = [];
  encryption: EncryptionEnvelope | undefined;
  lock: ObjectLock | undefined;

  constructor(front: ObjectFront) {
    this.size = front.size;
    this.lastModifiedMs = front.lastModifiedMs;
    this.etag = front.etag;
    this.body = front.body;
    this.checksums = front.checksums ?? [];
  }
}

/**
 * Reads an object. Throws LayoutError when the bytes do not fit the layout and StorageFault
 * ("unsupported") for a critical field this program does not know; unknown optional ones are
 * passed over. The result shares no memory with the input.
 */
export function decodeObject(bytes: Uint8Array): ObjectRecord {
  return decodeObjectRest(bytes, NO_FRONT);
}

/** Reads what `encodeObjectRest` wrote behind the same front; throws as `decodeObject` does. */
export function decodeObjectRest(bytes: Uint8Array, front: ObjectFront): ObjectRecord {
  const fields = new FieldReader(new ByteReader(bytes), bytes.length);
  const found = new ObjectFields(front);
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) readField(fields, tag, found);
  return {
    size: required(found.size, "size"),
    etag: required(found.etag, "ETag"),
    lastModifiedMs: required(found.lastModifiedMs, "last modified"),
    attributes: {
      system: found.system,
      user: found.user,
      storageClass: found.storageClass,
      tags: found.tags,
    },
    checksums: found.checksums,
    parts: found.parts,
    encryption: found.encryption,
    lock: found.lock,
    body: required(found.body, "body"),
  };
}

function readField(fields: FieldReader, tag: number, found: ObjectFields): void {
  switch (tag) {
    case TAG.size:
      found.size = fields.reader.varint();
      return;
    case TAG.lastModified:
      found.lastModifiedMs = fields.reader.varint();
      return;
    case TAG.etag:
      found.etag = readEtag(fields);
      return;
    case TAG.inline:
      found.body = { kind: "inline", bytes: fields.reader.varint() };
      return;
    case TAG.manifests:
      if (found.body !== undefined) throw new LayoutError("an object has two bodies");
      found.body = { kind: "manifests", manifests: readManifests(fields) };
      return;
    case TAG.system:
      found.system = readPairs(fields);
      return;
    case TAG.user:
      found.user = readPairs(fields);
      return;
    case TAG.tags:
      found.tags = readPairs(fields);
      return;
    case TAG.storageClass:
      found.storageClass = fields.text();
      return;
    case TAG.checksums:
      found.checksums = readChecksums(fields);
      return;
    case TAG.parts:
      found.parts = readParts(fields);
      return;
    case TAG.encryption:
      found.encryption = fields.copy();
      return;
    case TAG.lock:
      found.lock = readLock(fields);
      return;
    default:
      fields.passUnknown(tag);
  }
}

function readManifests(fields: FieldReader): ManifestRef[] {
  const manifests: ManifestRef[] = [];
  while (fields.more()) manifests.push(readManifestRef(fields.reader));
  return manifests;
}

/** Reads a manifest's hash (32 bytes) and the bytes (varint) of the body it lists. */
export function readManifestRef(reader: ByteReader): ManifestRef {
  const hash = required(parseContentHash(reader.hex(32)), "manifest hash");
  return { hash, bytes: reader.varint() };
}

function readParts(fields: FieldReader): PartSummary[] {
  if (!fields.more()) throw new LayoutError("an empty list is left out");
  const parts: PartSummary[] = [];
  while (fields.more()) {
    const partNumber = fields.reader.varint();
    const size = fields.reader.varint();
    const checksums: StoredChecksum[] = [];
    for (let left = fields.reader.varint(); left > 0; left--) {
      checksums.push(readChecksum(fields.reader));
    }
    parts.push({ partNumber, size, checksums });
  }
  return parts;
}

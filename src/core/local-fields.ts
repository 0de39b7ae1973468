import { decodeAttributes, writeAttributeFields } from "./attribute-codec.ts";
import { ByteWriter, LayoutError } from "./bytes.ts";
import {
  ALGORITHM_NUMBERS,
  ALGORITHMS,
  COMPOSITE,
  readChecksums,
  readEtag,
  writeChecksumsField,
  writeEtagField,
} from "./checksum-codec.ts";
import {
  type BucketName,
  type ObjectKey,
  parseBucketName,
  parseContentHash,
  parseObjectKey,
  parseOriginId,
  parseSeq,
  parseUploadId,
  parseVersionId,
  type UploadId,
  type VersionId,
} from "./names.ts";
import { readManifestRef } from "./object-codec.ts";
import { type ObjectLock, readLock } from "./object-lock-state.ts";
import type {
  ChunkPlace,
  EncryptionEnvelope,
  LocalRecord,
  ManifestRef,
  ObjectAttributes,
  StoredChecksum,
  UploadRecord,
} from "./records.ts";
import { type FieldReader, readList, required } from "./tagged-fields.ts";

/*
 * Fields of local records.
 *
 * | tag | in kind | value                                                                |
 * | --- | ------- | -------------------------------------------------------------------- |
 * | 1   | 1 - 3   | upload id: 16 bytes                                                  |
 * | 3   | 1 - 3   | bucket: text                                                         |
 * | 5   | 1 - 3   | key: text                                                            |
 * | 7   | 1 - 3   | created, last modified or completed, Unix milliseconds: varint       |
 * | 9   | 1       | initiator: text                                                      |
 * | 11  | 1       | attributes, as fields of their own                                   |
 * | 13  | 1       | encryption envelope: bytes                                           |
 * | 15  | 1       | checksum wanted (u8): algorithm, bit 4 composite                     |
 * | 17  | 2       | part number: varint                                                  |
 * | 19  | 2       | size in bytes: varint                                                |
 * | 21  | 2, 3    | ETag                                                                 |
 * | 23  | 2, 3    | checksums, one behind the other                                      |
 * | 25  | 2       | manifest: hash (32), bytes (varint)                                  |
 * | 27  | 3       | result of a completed upload: fields 1, 3, 5, 7, 21, 23, 44          |
 * | 29  | 4       | chunks: each hash (32), segment, offset, bytes (varints), count of   |
 * |     |         | slices (varint), CRC-32 of each slice (u32)                          |
 * | 31  | 5       | segments: varints                                                    |
 * | 33  | 5       | trim points: each origin (8), sequence (varint), chain hash (32)     |
 * | 35  | 6       | upload ids: 16 bytes each                                            |
 * | 37  | 7       | segment before this one (varint)                                     |
 * | 39  | 7       | offset at which its batches end (varint)                             |
 * | 41  | 1       | lock that was asked for, as in an object                             |
 * | 44  | 3       | version that the upload became, unless the null version: 16 bytes    |
 */
export const LOCAL_TAGS = {
  uploadId: 1,
  bucket: 3,
  key: 5,
  time: 7,
  initiator: 9,
  attributes: 11,
  encryption: 13,
  checksum: 15,
  partNumber: 17,
  size: 19,
  etag: 21,
  checksums: 23,
  manifest: 25,
  completed: 27,
  chunks: 29,
  segments: 31,
  trimPoints: 33,
  uploadIds: 35,
  segment: 37,
  offset: 39,
  lock: 41,
  version: 44,
} as const;
const TAG = LOCAL_TAGS;

export type PlacedChunks = Extract<LocalRecord, { kind: "chunks-placed" }>["chunks"];
export type TrimPoints = Extract<LocalRecord, { kind: "segments-dropped" }>["trimPoints"];

const scratch = new ByteWriter();

/** Fields as they are met; what is missing is noticed when the record is built. */
export class LocalFields {
  uploadId: UploadId | undefined;
  bucket: BucketName | undefined;
  key: ObjectKey | undefined;
  timeMs: number | undefined;
  initiator: string | undefined;
  attributes: ObjectAttributes | undefined;
  encryption: EncryptionEnvelope | undefined;
  lock: ObjectLock | undefined;
  checksum: UploadRecord["checksum"];
  partNumber: number | undefined;
  size: number | undefined;
  etag: string | undefined;
  checksums: readonly StoredChecksum[] = [];
  manifest: ManifestRef | undefined;
  completed: Buffer | undefined;
  chunks: PlacedChunks = [];
  segments: readonly number[] = [];
  trimPoints: TrimPoints = [];
  uploadIds: readonly UploadId[] = [];
  segment: number | undefined;
  offset: number | undefined;
  version: VersionId | undefined;
}

/** Writes the 16 bytes of an upload id. */
export function writeUploadIdField(writer: ByteWriter, uploadId: UploadId): void {
  writer.u8(TAG.uploadId).u8(16).hex(uploadId);
}

/** Writes attributes as a record of their own, inside one field. */
export function writeAttributesField(writer: ByteWriter, attributes: ObjectAttributes): void {
  scratch.reset();
  writeAttributeFields(scratch, attributes);
  writer.u8(TAG.attributes).sized(scratch.view());
}

/** Writes which checksum an upload was created with. */
export function writeWantedChecksum(
  writer: ByteWriter,
  checksum: NonNullable<UploadRecord["checksum"]>,
): void {
  const form = ALGORITHM_NUMBERS[checksum.algorithm];
  writer
    .u8(TAG.checksum)
    .u8(1)
    .u8(checksum.type === "COMPOSITE" ? form | COMPOSITE : form);
}

/** Writes what a part or a completed upload answered: ETag and checksums. */
export function writeResultFields(
  writer: ByteWriter,
  result: { readonly etag: string; readonly checksums: readonly StoredChecksum[] },
): void {
  writeEtagField(writer, TAG.etag, result.etag);
  writeChecksumsField(writer, TAG.checksums, result.checksums);
}

/** Writes the manifest of a part. */
export function writeManifestField(writer: ByteWriter, manifest: ManifestRef): void {
  scratch.reset();
  scratch.hex(manifest.hash).varint(manifest.bytes);
  writer.u8(TAG.manifest).sized(scratch.view());
}

/** Writes where chunks lie; an empty list is left out. */
export function writeChunksField(writer: ByteWriter, chunks: PlacedChunks): void {
  if (chunks.length === 0) return;
  scratch.reset();
  for (const { hash, place } of chunks) {
    scratch.hex(hash).varint(place.segment).varint(place.offset).varint(place.bytes);
    scratch.varint(place.sliceCrcs.length);
    for (const crc of place.sliceCrcs) scratch.u32(crc);
  }
  writer.u8(TAG.chunks).sized(scratch.view());
}

/** Writes segments and trim points; empty lists are left out. */
export function writeSegmentsFields(
  writer: ByteWriter,
  record: Extract<LocalRecord, { kind: "segments-dropped" }>,
): void {
  if (record.segments.length > 0) {
    scratch.reset();
    for (const segment of record.segments) scratch.varint(segment);
    writer.u8(TAG.segments).sized(scratch.view());
  }
  if (record.trimPoints.length > 0) {
    scratch.reset();
    for (const { origin, seq, chain } of record.trimPoints) {
      scratch.hex(origin).varint(seq).bytes(chain);
    }
    writer.u8(TAG.trimPoints).sized(scratch.view());
  }
}

/** Writes upload ids; an empty list is left out. */
export function writeUploadIdsField(writer: ByteWriter, uploadIds: readonly UploadId[]): void {
  if (uploadIds.length === 0) return;
  scratch.reset();
  for (const uploadId of uploadIds) scratch.hex(uploadId);
  writer.u8(TAG.uploadIds).sized(scratch.view());
}

/** Reads one field of a local record; unknown optional ones are passed over. */
export function readLocalField(fields: FieldReader, tag: number, found: LocalFields): void {
  switch (tag) {
    case TAG.uploadId:
      found.uploadId = readUploadId(fields);
      return;
    case TAG.bucket:
      found.bucket = parseBucketName(fields.text());
      return;
    case TAG.key:
      found.key = parseObjectKey(fields.text());
      return;
    case TAG.time:
      found.timeMs = fields.reader.varint();
      return;
    case TAG.initiator:
      found.initiator = fields.text();
      return;
    case TAG.attributes:
      found.attributes = decodeAttributes(fields.view());
      return;
    case TAG.encryption:
      found.encryption = fields.copy();
      return;
    case TAG.lock:
      found.lock = readLock(fields);
      return;
    case TAG.checksum:
      found.checksum = readWantedChecksum(fields);
      return;
    default:
      readLaterField(fields, tag, found);
  }
}

function readLaterField(fields: FieldReader, tag: number, found: LocalFields): void {
  switch (tag) {
    case TAG.partNumber:
      found.partNumber = fields.reader.varint();
      return;
    case TAG.size:
      found.size = fields.reader.varint();
      return;
    case TAG.segment:
      found.segment = fields.reader.varint();
      return;
    case TAG.offset:
      found.offset = fields.reader.varint();
      return;
    case TAG.etag:
      found.etag = readEtag(fields);
      return;
    case TAG.checksums:
      found.checksums = readChecksums(fields);
      return;
    case TAG.manifest:
      found.manifest = readManifestRef(fields.reader);
      return;
    case TAG.completed:
      found.completed = fields.view();
      return;
    case TAG.chunks:
      found.chunks = readChunks(fields);
      return;
    case TAG.segments:
      found.segments = readList(fields, () => fields.reader.varint());
      return;
    case TAG.trimPoints:
      found.trimPoints = readTrimPoints(fields);
      return;
    case TAG.uploadIds:
      found.uploadIds = readList(fields, readUploadId);
      return;
    case TAG.version:
      found.version = required(parseVersionId(fields.reader.hex(16)), "version");
      return;
    default:
      fields.passUnknown(tag);
  }
}

function readUploadId(fields: FieldReader): UploadId {
  return required(parseUploadId(fields.reader.hex(16)), "upload id");
}

function readWantedChecksum(fields: FieldReader): NonNullable<UploadRecord["checksum"]> {
  const form = fields.reader.u8();
  const algorithm = ALGORITHMS[form & 0x0f];
  if (algorithm === undefined || form > (COMPOSITE | 0x0f)) {
    throw new LayoutError("unknown form of checksum");
  }
  return { algorithm, type: (form & COMPOSITE) === 0 ? "FULL_OBJECT" : "COMPOSITE" };
}

function readChunks(fields: FieldReader): PlacedChunks {
  const { reader } = fields;
  return readList(fields, () => {
    const hash = required(parseContentHash(reader.hex(32)), "chunk hash");
    const segment = reader.varint();
    const offset = reader.varint();
    const bytes = reader.varint();
    const sliceCrcs: number[] = [];
    for (let left = reader.varint(); left > 0; left--) sliceCrcs.push(reader.u32());
    const place: ChunkPlace = { segment, offset, bytes, sliceCrcs };
    return { hash, place };
  });
}

function readTrimPoints(fields: FieldReader): TrimPoints {
  const { reader } = fields;
  return readList(fields, () => {
    const origin = required(parseOriginId(reader.hex(8)), "origin");
    const seq = required(parseSeq(reader.varint()), "sequence");
    return { origin, seq, chain: Buffer.from(reader.bytes(32)) };
  });
}

import { unreachable } from "./assert.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { readConflictsRecord, writeConflictsRecord } from "./conflict-record.ts";
import { StorageFault } from "./faults.ts";
import {
  LocalFields,
  readLocalField,
  LOCAL_TAGS as TAG,
  writeAttributesField,
  writeChunksField,
  writeManifestField,
  writeResultFields,
  writeSegmentsFields,
  writeUploadIdField,
  writeUploadIdsField,
  writeWantedChecksum,
} from "./local-fields.ts";
import { type RowRecord, readRowRecord, writeRowRecord } from "./local-rows.ts";
import { writeLockField } from "./object-codec.ts";
import {
  isOriginKind,
  isOriginRecord,
  readOriginRecord,
  writeOriginRecord,
} from "./origin-fields.ts";
import type { OriginRecordKind } from "./origin-records.ts";
import type {
  CompletedUpload,
  LocalRecord,
  LocalRecordKind,
  PartRecord,
  UploadRecord,
} from "./records.ts";
import { readRemoteRecord, writeRemoteRecord } from "./remote-record.ts";
import { FieldReader, required, writeVarintField } from "./tagged-fields.ts";

/*
 * Local record:
 *
 * | offset | bytes | meaning                            |
 * | ------ | ----- | ---------------------------------- |
 * | 0      | 1     | kind                               |
 * | 1      | n     | tagged fields                      |
 *
 * Kinds of local records, for ever: none is changed, none is used again.
 *
 * | kind | name             |
 * | ---- | ---------------- |
 * | 1    | upload-create    |
 * | 2    | part-put         |
 * | 3    | upload-end       |
 * | 4    | chunks-placed    |
 * | 5    | segments-dropped |
 * | 6    | results-expired  |
 * | 7    | log-continues    |
 * | 8    | origin-heads     |
 * | 9    | operations-parked |
 * | 10   | operations-void  |
 * | 11   | operations-unparked |
 * | 12   | heads-signed     |
 * | 13   | peer-applied     |
 * | 14   | rows-removed     |
 * | 15   | bootstrap        |
 * | 16   | floors           |
 * | 20   | conflicts-judged |
 * | 21   | deletes-judged   |
 * | 22   | manifests-remote |
 */

const KIND_NUMBERS = {
  "upload-create": 1,
  "part-put": 2,
  "upload-end": 3,
  "chunks-placed": 4,
  "segments-dropped": 5,
  "results-expired": 6,
  "log-continues": 7,
  "origin-heads": 8,
  "operations-parked": 9,
  "operations-void": 10,
  "operations-unparked": 11,
  "heads-signed": 12,
  "peer-applied": 13,
  "rows-removed": 14,
  bootstrap: 15,
  floors: 16,
  "conflicts-judged": 20,
  "deletes-judged": 21,
  "manifests-remote": 22,
} as const satisfies Record<LocalRecordKind, number>;

type OtherKind = "conflicts-judged" | "deletes-judged" | "manifests-remote";

const KINDS: ReadonlyMap<number, LocalRecordKind> = new Map(
  entriesOf(KIND_NUMBERS).map(([kind, number]) => [number, kind]),
);

function entriesOf(numbers: typeof KIND_NUMBERS): ReadonlyArray<[LocalRecordKind, number]> {
  return Object.entries(numbers) as Array<[LocalRecordKind, number]>;
}

const scratch = new ByteWriter();

/** Writes the one canonical encoding. Texts must be well formed (no lone surrogates). */
export function encodeLocal(writer: ByteWriter, record: LocalRecord): void {
  writer.u8(KIND_NUMBERS[record.kind]);
  if (isOriginRecord(record)) {
    writeOriginRecord(writer, record);
    return;
  }
  switch (record.kind) {
    case "upload-create":
      writeUpload(writer, record.upload);
      return;
    case "part-put":
      writePart(writer, record.part);
      return;
    case "upload-end":
      writeUploadIdField(writer, record.uploadId);
      writer.u8(TAG.bucket).text(record.bucket).u8(TAG.key).text(record.key);
      if (record.completed !== undefined) {
        scratch.reset();
        writeCompleted(scratch, record.completed);
        writer.u8(TAG.completed).sized(scratch.view());
      }
      return;
    case "chunks-placed":
      writeChunksField(writer, record.chunks);
      return;
    case "segments-dropped":
      writeSegmentsFields(writer, record);
      return;
    case "results-expired":
      writeUploadIdsField(writer, record.uploadIds);
      return;
    case "log-continues":
      writeVarintField(writer, TAG.segment, record.segment);
      writeVarintField(writer, TAG.offset, record.offset);
      return;
    case "rows-removed":
    case "bootstrap":
    case "floors":
      writeRowRecord(writer, record);
      return;
    case "conflicts-judged":
    case "deletes-judged":
      writeConflictsRecord(writer, record);
      return;
    case "manifests-remote":
      writeRemoteRecord(writer, record);
      return;
  }
  unreachable(record);
}

function writeUpload(writer: ByteWriter, upload: UploadRecord): void {
  writeUploadIdField(writer, upload.uploadId);
  writer.u8(TAG.bucket).text(upload.bucket).u8(TAG.key).text(upload.key);
  writeVarintField(writer, TAG.time, upload.createdMs);
  writer.u8(TAG.initiator).text(upload.initiator);
  writeAttributesField(writer, upload.attributes);
  if (upload.encryption !== undefined) writer.u8(TAG.encryption).sized(upload.encryption);
  if (upload.checksum !== undefined) writeWantedChecksum(writer, upload.checksum);
  if (upload.lock !== undefined) writeLockField(writer, TAG.lock, upload.lock);
}

function writePart(writer: ByteWriter, part: PartRecord): void {
  writeUploadIdField(writer, part.uploadId);
  writer.u8(TAG.bucket).text(part.bucket).u8(TAG.key).text(part.key);
  writeVarintField(writer, TAG.time, part.lastModifiedMs);
  writeVarintField(writer, TAG.partNumber, part.partNumber);
  writeVarintField(writer, TAG.size, part.size);
  writeResultFields(writer, part);
  writeManifestField(writer, part.manifest);
}

function writeCompleted(writer: ByteWriter, completed: CompletedUpload): void {
  writeUploadIdField(writer, completed.uploadId);
  writer.u8(TAG.bucket).text(completed.bucket).u8(TAG.key).text(completed.key);
  writeVarintField(writer, TAG.time, completed.completedMs);
  writeResultFields(writer, completed);
  if (completed.version !== undefined) writer.u8(TAG.version).u8(16).hex(completed.version);
}

/**
 * Reads a local record that fills `bytes`. Throws LayoutError when they do not fit the layout and
 * StorageFault ("unsupported") for an unknown kind or critical field; unknown optional fields are
 * passed over. The result shares no memory with the input.
 */
export function decodeLocal(bytes: Uint8Array): LocalRecord {
  const reader = new ByteReader(bytes);
  const number = reader.u8();
  const kind = KINDS.get(number);
  if (kind === undefined) {
    throw new StorageFault("unsupported", `unknown kind of local record: ${number}`, {
      hint: "A newer release of Atoll wrote it: run that release or a later one.",
    });
  }
  if (kind === "rows-removed" || kind === "bootstrap" || kind === "floors") {
    return readRowRecord(kind, reader, bytes.length);
  }
  if (kind === "conflicts-judged" || kind === "deletes-judged") {
    return readConflictsRecord(kind, reader, bytes.length);
  }
  if (kind === "manifests-remote") return readRemoteRecord(reader, bytes.length);
  if (isOriginKind(kind)) return readOriginRecord(kind, reader, bytes.length);
  return buildRecord(kind, readFields(reader, bytes.length));
}

function readFields(reader: ByteReader, end: number): LocalFields {
  const fields = new FieldReader(reader, end);
  const found = new LocalFields();
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) readLocalField(fields, tag, found);
  return found;
}

function buildRecord(
  kind: Exclude<LocalRecordKind, RowRecord["kind"] | OriginRecordKind | OtherKind>,
  found: LocalFields,
): LocalRecord {
  switch (kind) {
    case "upload-create":
      return { kind, upload: buildUpload(found) };
    case "part-put":
      return { kind, part: buildPart(found) };
    case "upload-end": {
      const completed = found.completed;
      return {
        kind,
        ...buildUploadName(found),
        completed:
          completed === undefined
            ? undefined
            : buildCompleted(readFields(new ByteReader(completed), completed.length)),
      };
    }
    case "chunks-placed":
      return { kind, chunks: found.chunks };
    case "segments-dropped":
      return { kind, segments: found.segments, trimPoints: found.trimPoints };
    case "results-expired":
      return { kind, uploadIds: found.uploadIds };
    case "log-continues":
      return {
        kind,
        segment: required(found.segment, "segment"),
        offset: required(found.offset, "offset"),
      };
  }
  return unreachable(kind);
}

function buildUploadName(found: LocalFields): Pick<UploadRecord, "uploadId" | "bucket" | "key"> {
  return {
    uploadId: required(found.uploadId, "upload id"),
    bucket: required(found.bucket, "bucket"),
    key: required(found.key, "key"),
  };
}

function buildUpload(found: LocalFields): UploadRecord {
  return {
    ...buildUploadName(found),
    createdMs: required(found.timeMs, "time"),
    initiator: required(found.initiator, "initiator"),
    attributes: required(found.attributes, "attributes"),
    encryption: found.encryption,
    lock: found.lock,
    checksum: found.checksum,
  };
}

function buildPart(found: LocalFields): PartRecord {
  return {
    ...buildUploadName(found),
    partNumber: required(found.partNumber, "part number"),
    size: required(found.size, "size"),
    etag: required(found.etag, "ETag"),
    lastModifiedMs: required(found.timeMs, "time"),
    checksums: found.checksums,
    manifest: required(found.manifest, "manifest"),
  };
}

function buildCompleted(found: LocalFields): CompletedUpload {
  return {
    ...buildUploadName(found),
    completedMs: required(found.timeMs, "time"),
    etag: required(found.etag, "ETag"),
    checksums: found.checksums,
    version: found.version,
  };
}

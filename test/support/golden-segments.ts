import { createHash } from "node:crypto";
import { blake3 } from "@napi-rs/blake-hash";
import { ByteWriter } from "../../src/core/bytes.ts";
import { parseHlc } from "../../src/core/hlc.ts";
import { encodeLocal } from "../../src/core/local-codec.ts";
import { encodeManifest } from "../../src/core/manifest-codec.ts";
import {
  type ContentHash,
  parseAccessKeyId,
  parseBucketName,
  parseClusterId,
  parseContentHash,
  parseObjectKey,
  parseOriginId,
  parseSegmentId,
  parseSeq,
  parseSiteId,
  parseUploadId,
  parseVersionId,
} from "../../src/core/names.ts";
import { chainAfter, decodeOperation, encodeOperation } from "../../src/core/operation-codec.ts";
import type {
  LocalRecord,
  ManifestChunk,
  ObjectRecord,
  Operation,
  OperationBody,
} from "../../src/core/records.ts";
import { required } from "../../src/core/tagged-fields.ts";
import {
  batchLayout,
  batchRecords,
  writeBatchHeader,
  writeBatchTrailer,
} from "../../src/storage/segment/batch.ts";
import {
  CHUNK_HEADER_BYTES,
  chunkRecordBytes,
  sliceCrcsOf,
  writeChunkHeader,
  writeChunkTrailer,
} from "../../src/storage/segment/chunk.ts";
import { encodeFooter, FooterBuilder } from "../../src/storage/segment/footer.ts";
import { encodeSegmentHeader } from "../../src/storage/segment/header.ts";
import { bodyOwner, encodeRecord, type SegmentRecord } from "../../src/storage/segment/record.ts";
import { crc32 } from "./crc.ts";

/*
 * What the golden files hold. Nothing here may change once a release has written its format: a new
 * field or kind gets new files.
 */

const ORIGIN = required(parseOriginId("0a1b2c3d4e5f6071"), "origin");
const OTHER_ORIGIN = required(parseOriginId("f0e1d2c3b4a59687"), "origin");
const BUCKET = required(parseBucketName("photos"), "bucket");
const KEY = required(parseObjectKey("2026/11/käse 🧀.jpg"), "key");
const UPLOAD = required(parseUploadId("019f35d5a000000000112233445566aa"), "upload");
const VERSION = required(parseVersionId("019f35d5a00000000a1b2c3d4e5f6071"), "version");
const HASHES = ["11", "22"].map((pair) => required(parseContentHash(pair.repeat(32)), "hash"));
const [FIRST_HASH, SECOND_HASH] = [required(HASHES[0], "hash"), required(HASHES[1], "hash")];
const TIME_MS = 1_795_224_000_000;
const HLC_BASE = BigInt(TIME_MS) << 16n;

const SMALL_BODY = Buffer.from("the bytes of a small object");
const MD5 = "9e107d9d372bb6826bd81d3542a419d6";
const CRC64 = { algorithm: "CRC64NVME", type: "FULL_OBJECT", value: "AAECAwQFBgc=" } as const;
const MANIFEST: ManifestChunk[] = [
  { hash: FIRST_HASH, bytes: 4_194_304 },
  { hash: SECOND_HASH, bytes: 805_696 },
];

const SMALL_OBJECT: ObjectRecord = {
  size: SMALL_BODY.length,
  etag: MD5,
  lastModifiedMs: TIME_MS,
  attributes: {
    system: [
      ["cache-control", "no-cache"],
      ["content-type", "image/jpeg"],
    ],
    user: [["camera", "Größe 5"]],
    storageClass: undefined,
    tags: [],
  },
  checksums: [CRC64],
  parts: [],
  encryption: undefined,
  body: { kind: "inline", bytes: SMALL_BODY.length },
};

const LARGE_OBJECT: ObjectRecord = {
  size: 10_000_000,
  etag: `${MD5}-2`,
  lastModifiedMs: TIME_MS + 1,
  attributes: {
    system: [],
    user: [],
    storageClass: "STANDARD_IA",
    tags: [["project", "atoll"]],
  },
  checksums: [{ algorithm: "SHA256", type: "COMPOSITE", value: `${"A".repeat(43)}=-2` }],
  parts: [1, 2].map((partNumber) => ({
    partNumber,
    size: 5_000_000,
    checksums: [{ algorithm: "SHA256", type: "COMPOSITE", value: `${"A".repeat(43)}=` }],
  })),
  encryption: Buffer.from("an envelope"),
  body: {
    kind: "manifests",
    manifests: [
      { hash: FIRST_HASH, bytes: 5_000_000 },
      { hash: SECOND_HASH, bytes: 5_000_000 },
    ],
  },
};

const BODIES: readonly OperationBody[] = [
  { kind: "bucket-create", bucket: BUCKET, createdMs: TIME_MS, owner: "AKIAEXAMPLE" },
  { kind: "object-put", bucket: BUCKET, key: KEY, nullSlot: true, object: SMALL_OBJECT },
  { kind: "object-put", bucket: BUCKET, key: KEY, nullSlot: false, object: LARGE_OBJECT },
  {
    ...{ kind: "object-delete", bucket: BUCKET, key: KEY },
    ...{ nullSlot: true, nullMarker: false, deletedMs: TIME_MS + 2 },
  },
  { kind: "bucket-setting", bucket: BUCKET, name: "versioning", value: Buffer.from("Enabled") },
  { kind: "bucket-setting", bucket: BUCKET, name: "policy", value: undefined },
  { kind: "bucket-delete", bucket: BUCKET, deletedMs: TIME_MS + 3 },
  {
    kind: "access-key-put",
    accessKey: {
      id: required(parseAccessKeyId("AKIAEXAMPLE"), "access key"),
      state: "active",
      name: "for the camera",
      sealedSecret: Buffer.from("a sealed secret"),
      policies: [["readonly", '{"Version":"2012-10-17"}']],
      createdMs: TIME_MS,
    },
  },
];

/** The object that the operations are about. */
export const GOLDEN_NAME = { bucket: BUCKET, key: KEY } as const;

/** One operation of every kind, chained, with every optional part somewhere. */
export const GOLDEN_OPERATIONS: readonly Operation[] = chained(BODIES);

/** One local record of every kind, and an upload ended either way. */
export const GOLDEN_LOCALS: readonly LocalRecord[] = [
  {
    kind: "upload-create",
    upload: {
      uploadId: UPLOAD,
      bucket: BUCKET,
      key: KEY,
      createdMs: TIME_MS,
      initiator: "AKIAEXAMPLE",
      attributes: SMALL_OBJECT.attributes,
      encryption: undefined,
      checksum: { algorithm: "SHA256", type: "COMPOSITE" },
    },
  },
  {
    kind: "part-put",
    part: {
      uploadId: UPLOAD,
      bucket: BUCKET,
      key: KEY,
      partNumber: 2,
      size: 5_000_000,
      etag: MD5,
      lastModifiedMs: TIME_MS,
      checksums: [CRC64],
      manifest: { hash: FIRST_HASH, bytes: 5_000_000 },
    },
  },
  {
    kind: "upload-end",
    uploadId: UPLOAD,
    bucket: BUCKET,
    key: KEY,
    completed: {
      uploadId: UPLOAD,
      bucket: BUCKET,
      key: KEY,
      completedMs: TIME_MS,
      etag: `${MD5}-2`,
      checksums: [CRC64],
      version: undefined,
    },
  },
  { kind: "upload-end", uploadId: UPLOAD, bucket: BUCKET, key: KEY, completed: undefined },
  {
    kind: "chunks-placed",
    chunks: [
      {
        hash: FIRST_HASH,
        place: { segment: 2, offset: 4160, bytes: 1_048_577, sliceCrcs: [0xdeadbeef, 7] },
      },
    ],
  },
  {
    kind: "segments-dropped",
    segments: [1, 300],
    trimPoints: [
      { origin: ORIGIN, seq: required(parseSeq(9000), "sequence"), chain: Buffer.alloc(32, 5) },
    ],
  },
  { kind: "results-expired", uploadIds: [UPLOAD] },
  { kind: "log-continues", segment: 1, offset: 1_073_745_920 },
];

export const GOLDEN_MANIFEST: readonly ManifestChunk[] = MANIFEST;
/** Payloads of the chunks in the bulk segment. */
export const GOLDEN_PAYLOADS: readonly Buffer[] = [
  Buffer.from("a short chunk"),
  Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * 7) % 251)),
];

function hashOf(payload: Buffer): ContentHash {
  return required(parseContentHash(blake3(payload).toString("hex")), "hash");
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function chained(bodies: readonly OperationBody[]): Operation[] {
  let chainBefore: Buffer = Buffer.alloc(32);
  return bodies.map((body, at) => {
    const operation: Operation = {
      dot: { origin: ORIGIN, seq: required(parseSeq(at + 1), "sequence") },
      hlc: required(parseHlc(HLC_BASE + BigInt(at)), "HLC"),
      chainBefore,
      vector: {
        full: at === 0,
        entries: new Map(at < 2 ? [[OTHER_ORIGIN, required(parseSeq(41 + at), "sequence")]] : []),
      },
      group: at === 3 ? { id: "rename-7", count: 2 } : undefined,
      body,
      unknownFields: at === 2 ? [{ tag: 8, bytes: Buffer.from("from a newer release") }] : [],
    };
    chainBefore = chainAfter(sha256, chainBefore, operationBytes(operation));
    return operation;
  });
}

function operationBytes(operation: Operation): Buffer {
  const writer = new ByteWriter();
  encodeOperation(writer, operation);
  return writer.finish();
}

function localBytes(record: LocalRecord): Buffer {
  const writer = new ByteWriter();
  encodeLocal(writer, record);
  return writer.finish();
}

function recordOf(kind: SegmentRecord["kind"], payload: Buffer): SegmentRecord {
  return { kind, owner: Buffer.alloc(0), payload };
}

function recordBytes(records: readonly SegmentRecord[]): Buffer {
  const writer = new ByteWriter();
  for (const record of records) encodeRecord(writer, record, crc32);
  return writer.finish();
}

const OPS = GOLDEN_OPERATIONS.map((operation) => recordOf("op", operationBytes(operation)));
const LOCALS = GOLDEN_LOCALS.map((record) => recordOf("local", localBytes(record)));
const MANIFESTS = [recordOf("manifest", encodeManifest(MANIFEST))];
const ROWS = OPS.slice(1, 2).map((record) => recordOf("row", Buffer.from(record.payload)));
const BODY: SegmentRecord = {
  kind: "body",
  owner: bodyOwner(BUCKET, KEY, VERSION),
  payload: SMALL_BODY,
};

function headerOf(lane: "commit" | "bulk", segmentId: number): Buffer {
  const header = {
    lane,
    clusterId: required(parseClusterId("00112233445566778899aabbccddeeff"), "cluster"),
    siteId: required(parseSiteId("8899aabbccddeeff"), "site"),
    origin: ORIGIN,
    segmentId: required(parseSegmentId(segmentId), "segment"),
    hlc: required(parseHlc(HLC_BASE), "HLC"),
  };
  return encodeSegmentHeader(header, crc32);
}

type BatchContent = {
  readonly offset: number;
  readonly batchNumber: number;
  readonly records: readonly SegmentRecord[];
  readonly bodies: readonly SegmentRecord[];
  readonly firstSeq: number;
  readonly operationCount: number;
};

const COMMIT_SEGMENT = 7;
const BULK_SEGMENT = 8;

function batchBytes(content: BatchContent, footer: FooterBuilder): Buffer {
  const ops = recordBytes(content.records);
  const bodies = recordBytes(content.bodies);
  const sizes = { opsBytes: ops.length, bodiesBytes: bodies.length };
  const layout = batchLayout(sizes);
  const bytes = Buffer.alloc(layout.batchBytes);
  bytes.set(ops, layout.opsOffset);
  bytes.set(bodies, layout.bodiesOffset);
  const { offset, batchNumber, firstSeq, operationCount } = content;
  const recordCount = content.records.length + content.bodies.length;
  const place = { segmentId: COMMIT_SEGMENT, offset };
  const counts = {
    batchBytes: layout.batchBytes,
    recordCount,
    batchNumber,
    firstSeq,
    operationCount,
  };
  writeBatchHeader(bytes, { ...sizes, ...place, ...counts }, crc32);
  writeBatchTrailer(bytes, layout, batchNumber, crc32);
  const lastSeq = operationCount === 0 ? 0 : firstSeq + operationCount - 1;
  footer.addBatch({
    offset,
    opsBytes: ops.length,
    batchBytes: bytes.length,
    operations: operationCount,
    firstSeq,
    lastSeq,
  });
  for (const record of batchRecords(ops, crc32)) {
    if (record.kind !== "op") continue;
    const { body, hlc } = decodeOperation(record.payload);
    footer.observeHlc(hlc);
    const recordOffset = offset + layout.opsOffset + record.offset;
    if ("key" in body) footer.addKey(body.bucket, body.key, recordOffset);
  }
  return bytes;
}

function builderOf(segmentId: number): FooterBuilder {
  return new FooterBuilder({ segmentId, origin: ORIGIN, crc: crc32 });
}

async function footerPages(footer: FooterBuilder, offset: number): Promise<Buffer> {
  return encodeFooter(await footer.build(() => Promise.resolve()), offset, crc32);
}

async function commitSegment(): Promise<Buffer> {
  const header = headerOf("commit", COMMIT_SEGMENT);
  const footer = builderOf(COMMIT_SEGMENT);
  const first = batchBytes(
    {
      offset: header.length,
      batchNumber: 0,
      records: [...LOCALS.slice(-1), ...OPS.slice(0, 2)],
      bodies: [BODY],
      firstSeq: 1,
      operationCount: 2,
    },
    footer,
  );
  const second = batchBytes(
    {
      offset: header.length + first.length,
      batchNumber: 1,
      records: [...MANIFESTS, ...OPS.slice(2), ...LOCALS.slice(0, -1), ...ROWS],
      bodies: [],
      firstSeq: 3,
      operationCount: OPS.length - 2,
    },
    footer,
  );
  const last = OPS.at(-1)?.payload ?? Buffer.alloc(0);
  footer.observeChain(chainAfter(sha256, GOLDEN_OPERATIONS.at(-1)?.chainBefore ?? last, last));
  const batches = Buffer.concat([header, first, second]);
  return Buffer.concat([batches, await footerPages(footer, batches.length)]);
}

function chunkBytes(payload: Buffer, offset: number): Buffer {
  const bytes = Buffer.alloc(chunkRecordBytes(payload.length));
  const header = { payloadBytes: payload.length, segmentId: BULK_SEGMENT, offset };
  writeChunkHeader(bytes, header, crc32);
  bytes.set(payload, CHUNK_HEADER_BYTES);
  const trailer = { sliceCrcs: sliceCrcsOf(payload, crc32), hash: hashOf(payload) };
  writeChunkTrailer(bytes, CHUNK_HEADER_BYTES + payload.length, trailer, crc32);
  return bytes;
}

async function bulkSegment(): Promise<Buffer> {
  const pages = [headerOf("bulk", BULK_SEGMENT)];
  const footer = builderOf(BULK_SEGMENT);
  let offset = 4096;
  for (const payload of GOLDEN_PAYLOADS) {
    const chunk = chunkBytes(payload, offset);
    footer.addChunk({ hash: hashOf(payload), offset, bytes: payload.length });
    pages.push(chunk);
    offset += chunk.length;
  }
  return Buffer.concat([...pages, await footerPages(footer, offset)]);
}

/** Every golden file of this format, by name. */
export async function goldenFiles(): Promise<ReadonlyMap<string, Buffer>> {
  const [short = Buffer.alloc(0)] = GOLDEN_PAYLOADS;
  return new Map([
    ["ops.bin", recordBytes(OPS)],
    ["locals.bin", recordBytes(LOCALS)],
    ["manifest.bin", recordBytes(MANIFESTS)],
    ["row.bin", recordBytes(ROWS)],
    ["body.bin", recordBytes([BODY])],
    ["chunk.bin", chunkBytes(short, 4096)],
    ["commit-segment.bin", await commitSegment()],
    ["bulk-segment.bin", await bulkSegment()],
  ]);
}

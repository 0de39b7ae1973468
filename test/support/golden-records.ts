import { createHash } from "node:crypto";
import { ByteWriter } from "../../src/core/bytes.ts";
import { parseHlc } from "../../src/core/hlc.ts";
import {
  parseAccessKeyId,
  parseBucketName,
  parseContentHash,
  parseObjectKey,
  parseOriginId,
  parseSeq,
  parseUploadId,
  parseVersionId,
} from "../../src/core/names.ts";
import { chainAfter, encodeOperation } from "../../src/core/operation-codec.ts";
import type {
  LocalRecord,
  ManifestChunk,
  ObjectRecord,
  Operation,
  OperationBody,
} from "../../src/core/records.ts";
import { required } from "../../src/core/tagged-fields.ts";

/*
 * What the golden files hold. Nothing here may change once a release has written its format: a new
 * field or kind gets new files.
 */

export const ORIGIN = required(parseOriginId("0a1b2c3d4e5f6071"), "origin");
const OTHER_ORIGIN = required(parseOriginId("f0e1d2c3b4a59687"), "origin");
export const BUCKET = required(parseBucketName("photos"), "bucket");
export const KEY = required(parseObjectKey("2026/11/käse 🧀.jpg"), "key");
const UPLOAD = required(parseUploadId("019f35d5a000000000112233445566aa"), "upload");
export const VERSION = required(parseVersionId("019f35d5a00000000a1b2c3d4e5f6071"), "version");
const HASHES = ["11", "22"].map((pair) => required(parseContentHash(pair.repeat(32)), "hash"));
const [FIRST_HASH, SECOND_HASH] = [required(HASHES[0], "hash"), required(HASHES[1], "hash")];
const TIME_MS = 1_795_224_000_000;
export const HLC_BASE = BigInt(TIME_MS) << 16n;

export const SMALL_BODY = Buffer.from("the bytes of a small object");
const MD5 = "9e107d9d372bb6826bd81d3542a419d6";
const CRC64 = { algorithm: "CRC64NVME", type: "FULL_OBJECT", value: "AAECAwQFBgc=" } as const;
export const GOLDEN_MANIFEST: readonly ManifestChunk[] = [
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

export function sha256(bytes: Uint8Array): Buffer {
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

export function operationBytes(operation: Operation): Buffer {
  const writer = new ByteWriter();
  encodeOperation(writer, operation);
  return writer.finish();
}

import { createHash } from "node:crypto";
import { ByteWriter } from "../../src/core/bytes.ts";
import { parseHlc } from "../../src/core/hlc.ts";
import { encodeLocal } from "../../src/core/local-codec.ts";
import {
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
  parseUploadId,
  parseVersionId,
} from "../../src/core/names.ts";
import { chainAfter, encodeOperation } from "../../src/core/operation-codec.ts";
import type {
  LocalRecord,
  ObjectChange,
  ObjectRecord,
  Operation,
  OperationBody,
} from "../../src/core/records.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { encodeRecord } from "../../src/storage/segment/record.ts";
import { crc32 } from "./crc.ts";

/*
 * What the release with versions added to format 1. Nothing here may change once it is out.
 */

const ORIGIN = required(parseOriginId("0a1b2c3d4e5f6071"), "origin");
const NAME = {
  bucket: required(parseBucketName("photos"), "bucket"),
  key: required(parseObjectKey("2026/11/käse 🧀.jpg"), "key"),
};
const VERSION = required(parseVersionId("019f35d5a00000000a1b2c3d4e5f6071"), "version");
const TIME_MS = 1_795_224_000_000;

const LOCKED: ObjectRecord = {
  size: 0,
  etag: "d41d8cd98f00b204e9800998ecf8427e",
  lastModifiedMs: TIME_MS,
  attributes: { system: [], user: [], storageClass: undefined, tags: [] },
  checksums: [],
  parts: [],
  encryption: undefined,
  lock: { retention: { mode: "COMPLIANCE", untilMs: TIME_MS + 1 }, legalHold: true },
  body: { kind: "inline", bytes: 0 },
};

const CHANGES: readonly ObjectChange[] = [
  { kind: "tags", tags: [["project", "atoll"]] },
  { kind: "tags", tags: [] },
  { kind: "retention", retention: { mode: "GOVERNANCE", untilMs: TIME_MS + 2 } },
  { kind: "retention", retention: undefined },
  { kind: "legal-hold", on: true },
  { kind: "legal-hold", on: false },
  { kind: "encryption", envelope: Buffer.from("an envelope") },
  { kind: "acl", acl: "public-read" },
];

const BODIES: readonly OperationBody[] = [
  { kind: "object-put", ...NAME, nullSlot: false, object: LOCKED },
  {
    ...{ kind: "object-delete", ...NAME, nullSlot: true, nullMarker: true },
    deletedMs: TIME_MS + 3,
  },
  { kind: "version-delete", ...NAME, version: VERSION },
  ...CHANGES.map((change, index) => {
    const nullSlot = index === 0;
    return { kind: "object-meta", ...NAME, version: VERSION, nullSlot, change } as const;
  }),
];

/** An operation of every kind that versions brought, with every change there is. */
export const GOLDEN_VERSION_OPERATIONS: readonly Operation[] = chained();

/** An upload whose object will be locked. */
export const GOLDEN_LOCKED_UPLOAD: LocalRecord = {
  kind: "upload-create",
  upload: {
    uploadId: required(parseUploadId("019f35d5a000000000112233445566aa"), "upload"),
    ...NAME,
    createdMs: TIME_MS,
    initiator: "AKIAEXAMPLE",
    attributes: LOCKED.attributes,
    encryption: undefined,
    lock: { retention: undefined, legalHold: true },
    checksum: undefined,
  },
};

function chained(): Operation[] {
  let chainBefore: Buffer = Buffer.alloc(32);
  return BODIES.map((body, at) => {
    const operation: Operation = {
      dot: { origin: ORIGIN, seq: required(parseSeq(at + 1), "sequence") },
      hlc: required(parseHlc((BigInt(TIME_MS) << 16n) + BigInt(at)), "HLC"),
      chainBefore,
      vector: { full: at === 0, entries: new Map() },
      group: undefined,
      body,
      unknownFields: [],
    };
    const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
    chainBefore = chainAfter(sha256, chainBefore, bytesOf(operation));
    return operation;
  });
}

function bytesOf(operation: Operation): Buffer {
  const writer = new ByteWriter();
  encodeOperation(writer, operation);
  return writer.finish();
}

/** The golden files of versions, by name. */
export function goldenVersionFiles(): ReadonlyMap<string, Buffer> {
  const operations = new ByteWriter();
  for (const operation of GOLDEN_VERSION_OPERATIONS) {
    const record = { kind: "op", owner: Buffer.alloc(0), payload: bytesOf(operation) } as const;
    encodeRecord(operations, record, crc32);
  }
  const local = new ByteWriter();
  encodeLocal(local, GOLDEN_LOCKED_UPLOAD);
  const locals = new ByteWriter();
  const owner = Buffer.alloc(0);
  encodeRecord(locals, { kind: "local", owner, payload: local.finish() }, crc32);
  return new Map([
    ["version-ops.bin", operations.finish()],
    ["version-locals.bin", locals.finish()],
  ]);
}

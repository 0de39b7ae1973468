import { ByteWriter } from "../../src/core/bytes.ts";
import { parseHlc } from "../../src/core/hlc.ts";
import { encodeLocal } from "../../src/core/local-codec.ts";
import {
  makeVersionId,
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
} from "../../src/core/names.ts";
import { encodeOperation } from "../../src/core/operation-codec.ts";
import type { LocalRecord, Operation, OperationBody, WriteStamp } from "../../src/core/records.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { encodeRecord } from "../../src/storage/segment/record.ts";
import { crc32 } from "./crc.ts";

/*
 * What deciding between sites added to format 1. Nothing here may change once it is out.
 */

const ORIGIN = required(parseOriginId("0a1b2c3d4e5f6071"), "origin");
const OTHER = required(parseOriginId("f0e1d2c3b4a59687"), "origin");
const NAME = {
  bucket: required(parseBucketName("photos"), "bucket"),
  key: required(parseObjectKey("fjörd/é.jpg"), "key"),
};

function stampAt(counter: number): WriteStamp {
  return {
    hlc: required(parseHlc((1_795_224_000_000n << 16n) + BigInt(counter)), "HLC"),
    origin: OTHER,
    seq: required(parseSeq(300 + counter), "sequence"),
  };
}

const PRIOR = stampAt(1);
const VERSION = makeVersionId(PRIOR.hlc, OTHER);
const BODIES: readonly OperationBody[] = [
  {
    ...{ kind: "object-put", ...NAME, nullSlot: true, prior: PRIOR, conflict: true },
    object: {
      ...{ size: 3, etag: "a".repeat(32), lastModifiedMs: 1_795_224_000_001 },
      attributes: { system: [], user: [], storageClass: undefined, tags: [] },
      ...{ checksums: [], parts: [], encryption: undefined, lock: undefined },
      body: { kind: "inline", bytes: 3 },
    },
  },
  {
    ...{ kind: "object-delete", ...NAME, nullSlot: true, nullMarker: false },
    ...{ deletedMs: 1_795_224_000_002, prior: PRIOR },
  },
  {
    ...{ kind: "object-delete", ...NAME, nullSlot: false, nullMarker: false },
    ...{ deletedMs: 1_795_224_000_003, standsAt: PRIOR.hlc },
  },
  { kind: "conflict-resolve", ...NAME, write: PRIOR },
];

/** Operations that name writes, each once. */
export const GOLDEN_CONFLICT_OPERATIONS: readonly Operation[] = BODIES.map((body, at) => ({
  dot: { origin: ORIGIN, seq: required(parseSeq(at + 1), "sequence") },
  hlc: stampAt(at + 2).hlc,
  chainBefore: Buffer.alloc(32, at),
  vector: { full: at === 0, entries: new Map([[OTHER, PRIOR.seq]]) },
  group: undefined,
  body,
  unknownFields: [],
}));

/** Every verdict there is. */
export const GOLDEN_CONFLICT_LOCALS: readonly LocalRecord[] = [
  {
    kind: "conflicts-judged",
    ...NAME,
    verdicts: [
      { verdict: "expected", write: stampAt(1) },
      { verdict: "settled", write: stampAt(2) },
      { verdict: "ended", write: stampAt(3) },
    ],
  },
  { kind: "deletes-judged", ...NAME, version: VERSION, what: "kept", deletes: [] },
  { kind: "deletes-judged", ...NAME, version: VERSION, what: "ended", deletes: [] },
  { kind: "deletes-judged", ...NAME, version: VERSION, what: "void", deletes: [stampAt(4)] },
];

/** The golden files of conflicts, by name. */
export function goldenConflictFiles(): ReadonlyMap<string, Buffer> {
  const operations = new ByteWriter();
  for (const operation of GOLDEN_CONFLICT_OPERATIONS) {
    const payload = encoded((writer) => encodeOperation(writer, operation));
    encodeRecord(operations, { kind: "op", owner: Buffer.alloc(0), payload }, crc32);
  }
  const locals = new ByteWriter();
  for (const record of GOLDEN_CONFLICT_LOCALS) {
    const payload = encoded((writer) => encodeLocal(writer, record));
    encodeRecord(locals, { kind: "local", owner: Buffer.alloc(0), payload }, crc32);
  }
  return new Map([
    ["conflict-ops.bin", operations.finish()],
    ["conflict-locals.bin", locals.finish()],
  ]);
}

function encoded(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  return writer.finish();
}

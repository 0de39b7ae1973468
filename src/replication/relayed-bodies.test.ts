import { beforeAll, expect, test } from "vitest";
import { createInlineHash } from "../../test/sim/sim-hash.ts";
import { putOf } from "../../test/support/memory-replica.ts";
import { ByteWriter } from "../core/bytes.ts";
import { HLC_ZERO } from "../core/hlc.ts";
import { parseOriginId, parseSeq, SEQ_ZERO } from "../core/names.ts";
import { encodeOperation, OPERATION_LAYOUT } from "../core/operation-codec.ts";
import type { ObjectRecord, OperationBody } from "../core/records.ts";
import { required } from "../core/tagged-fields.ts";
import type { Hash } from "../ports/hash.ts";
import { mayBeBodyOf } from "./relayed-bodies.ts";

let hash: Hash;
beforeAll(async () => {
  hash = await createInlineHash();
});

const BYTES = Buffer.from("right bytes");
const OTHER = Buffer.from("other bytes");

function encodedOf(body: OperationBody): Buffer {
  const origin = required(parseOriginId("a".repeat(16)), "origin");
  const writer = new ByteWriter();
  encodeOperation(writer, {
    ...{ dot: { origin, seq: parseSeq(1) ?? SEQ_ZERO }, hlc: HLC_ZERO, body },
    ...{ chainBefore: Buffer.alloc(32), vector: { full: false, entries: new Map() } },
    ...{ group: undefined, unknownFields: [] },
  });
  return writer.finish();
}

/** A put of the right bytes whose record says something else as well. */
function putWith(changes: Partial<ObjectRecord>): Buffer {
  const body = putOf("key", BYTES);
  if (body.kind !== "object-put") throw new Error("a put is one");
  return encodedOf({ ...body, object: { ...body.object, ...changes } });
}

function judge(encoded: Buffer, inline: Uint8Array | undefined): boolean {
  return mayBeBodyOf(hash, { encoded, inline });
}

test("the body whose MD5 is the ETag is right, and no other one of its length", () => {
  expect(judge(putWith({}), BYTES)).toBe(true);
  expect(judge(putWith({}), OTHER)).toBe(false);
  expect(judge(putWith({}), undefined)).toBe(true);
});

test.each([
  ["in parts", { parts: [{ partNumber: 1, size: BYTES.length, checksums: [] }] }],
  ["appended to", { etag: `${"0".repeat(32)}-2` }],
  ["encrypted", { etag: "0".repeat(32), encryption: Buffer.from("an envelope") }],
])("of an object that was written %s the length has to be right", (_how, changes) => {
  expect(judge(putWith(changes), OTHER)).toBe(true);
  expect(judge(putWith(changes), OTHER.subarray(1))).toBe(false);
});

test("a body with an operation that has none, or has it in chunks, is not right", () => {
  const body = putOf("key", BYTES);
  if (body.kind !== "object-put") throw new Error("a put is one");
  const { bucket, key, nullSlot } = body;
  expect(
    judge(
      encodedOf({ kind: "object-delete", bucket, key, nullSlot, nullMarker: false, deletedMs: 0 }),
      BYTES,
    ),
  ).toBe(false);
  expect(judge(putWith({ body: { kind: "manifests", manifests: [] } }), BYTES)).toBe(false);
});

test("what cannot be read is left to the log, which refuses it and nothing else", () => {
  const newer = putWith({});
  newer[OPERATION_LAYOUT.kind] = 250;
  expect(judge(newer, OTHER)).toBe(true);
  expect(judge(putWith({}).subarray(0, 60), OTHER)).toBe(true);
});

import { assert } from "../core/assert.ts";
import { StorageFault } from "../core/faults.ts";
import { decodeLocal } from "../core/local-codec.ts";
import { makeVersionId, parseSegmentId } from "../core/names.ts";
import { decodeOperation, operationHeader } from "../core/operation-codec.ts";
import type { Dot, Operation } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import { BATCH_HEADER_BYTES, batchRecords, decodeBatchHeader } from "./segment/batch.ts";
import { bodyOwner, bodyRecordBytes, decodeRecord } from "./segment/record.ts";
import type { Segments } from "./segment/segments.ts";

/** An operation as it stands in a batch; the memory of one batch serves all of them. */
export type LoggedOperation = {
  readonly operation: Operation;
  readonly encoded: Uint8Array;
  /** Its inline body; undefined when it has none, came without, or what is here is damaged. */
  readonly inline: Uint8Array | undefined;
  /** Why it is in the log without its bytes. */
  readonly missing: "parked" | "void" | undefined;
  /** Offset in the segment of its body, when the bytes there do not verify. */
  readonly damagedAt?: number;
};

export type BatchPlace = { readonly segment: number; readonly offset: number };

export type LogBatchDeps = { readonly segments: Segments; readonly hash: Pick<Hash, "crc32"> };

/**
 * Reads the operations of one batch with their inline bodies, in order, each verified. A damaged
 * body does not keep the caller from the others.
 *
 * @throws StorageFault "corrupt" when the batch or an operation in it is damaged, or its segment is
 * gone.
 */
export async function readLogBatch(
  { segments, hash }: LogBatchDeps,
  place: BatchPlace,
): Promise<readonly LoggedOperation[]> {
  const { records, bodies } = await readAreas({ segments, hash }, place, "all");
  const walk = { area: bodies, at: place.offset + BATCH_HEADER_BYTES + records.length, offset: 0 };
  return operationsOf(records, hash.crc32, walk);
}

/**
 * The same without the bodies, which are not even read.
 *
 * @throws StorageFault "corrupt" as above.
 */
export async function readLogOperations(
  { segments, hash }: LogBatchDeps,
  place: BatchPlace,
): Promise<readonly LoggedOperation[]> {
  const { records } = await readAreas({ segments, hash }, place, "operations");
  return operationsOf(records, hash.crc32, undefined);
}

/**
 * The bytes of the operations, which are not decoded, without their bodies; the memory of the batch
 * serves all of them.
 *
 * @throws StorageFault "corrupt" as above.
 */
export async function readLogEncoded(
  { segments, hash }: LogBatchDeps,
  place: BatchPlace,
): Promise<ReadonlyArray<{ readonly dot: Dot; readonly encoded: Uint8Array }>> {
  const { records } = await readAreas({ segments, hash }, place, "operations");
  const operations: Array<{ dot: Dot; encoded: Uint8Array }> = [];
  for (const { kind, payload } of batchRecords(records, hash.crc32)) {
    if (kind !== "op") continue;
    const { origin, seq } = operationHeader(payload);
    operations.push({ dot: { origin, seq }, encoded: payload });
  }
  return operations;
}

/** The bodies of a batch; those before `offset` have been passed. */
type BodyWalk = { readonly area: Buffer; readonly at: number; offset: number };
type Body = Pick<LoggedOperation, "inline" | "damagedAt">;

const NO_BODY: Body = { inline: undefined };

function operationsOf(
  records: Uint8Array,
  crc32: Hash["crc32"],
  walk: BodyWalk | undefined,
): LoggedOperation[] {
  const missing = new Map<string, "parked" | "void">();
  const operations: LoggedOperation[] = [];
  for (const { kind, payload } of batchRecords(records, crc32)) {
    if (kind === "local") noteMissing(payload, missing);
    if (kind !== "op" && kind !== "row") continue;
    const operation = decodeOperation(payload);
    const why = missing.get(`${operation.dot.origin} ${operation.dot.seq}`);
    // Rows of other sites have bodies between those of operations.
    const body =
      why === undefined && walk !== undefined ? nextBody(operation, walk, crc32) : NO_BODY;
    if (kind === "op") operations.push({ operation, encoded: payload, missing: why, ...body });
  }
  return operations;
}

async function readAreas(
  { segments, hash }: LogBatchDeps,
  { segment, offset }: BatchPlace,
  what: "all" | "operations",
): Promise<{ records: Buffer; bodies: Buffer }> {
  const segmentId = parseSegmentId(segment);
  assert(segmentId !== undefined, "a run of operations names its segment");
  return segments.use(segment, async (file) => {
    const head = Buffer.allocUnsafeSlow(BATCH_HEADER_BYTES);
    const read = await file.read(head, offset);
    const decoded = decodeBatchHeader(head.subarray(0, read), { segmentId, offset }, hash.crc32);
    if (decoded.outcome !== "batch") throw damaged({ segment, offset }, "it has no header");
    const { opsBytes, bodiesBytes } = decoded.header;
    const bytes = Buffer.allocUnsafeSlow(opsBytes + (what === "all" ? bodiesBytes : 0));
    const count = await file.read(bytes, offset + BATCH_HEADER_BYTES);
    if (count !== bytes.length) throw damaged({ segment, offset }, "it ends early");
    return { records: bytes.subarray(0, opsBytes), bodies: bytes.subarray(opsBytes) };
  });
}

/** Bytes of the record of an operation's inline body; 0 when it has none. */
export function inlineRecordBytes({ body, hlc, dot }: Operation): number {
  if (body.kind !== "object-put" || body.object.body.kind !== "inline") return 0;
  const owner = bodyOwner(body.bucket, body.key, makeVersionId(hlc, dot.origin));
  return bodyRecordBytes(owner.length, body.object.body.bytes);
}

/** Bodies are in the order of the operations they belong to, so a damaged one hides no other. */
function nextBody({ body, hlc, dot }: Operation, walk: BodyWalk, crc32: Hash["crc32"]): Body {
  if (body.kind !== "object-put" || body.object.body.kind !== "inline") return NO_BODY;
  const owner = bodyOwner(body.bucket, body.key, makeVersionId(hlc, dot.origin));
  const bytes = bodyRecordBytes(owner.length, body.object.body.bytes);
  const start = walk.offset;
  walk.offset += bytes;
  const found = decodeRecord(walk.area.subarray(start, walk.offset), 0, crc32);
  const isIt = found.outcome === "record" && found.kind === "body" && found.owner.equals(owner);
  return isIt ? { inline: found.payload } : { inline: undefined, damagedAt: walk.at + start };
}

/** Operations without their bytes are named by a record in front of them. */
function noteMissing(payload: Uint8Array, missing: Map<string, "parked" | "void">): void {
  const record = decodeLocal(payload);
  const why = record.kind === "operations-parked" ? "parked" : "void";
  if (record.kind !== "operations-parked" && record.kind !== "operations-void") return;
  for (const { origin, seq } of record.operations) missing.set(`${origin} ${seq}`, why);
}

function damaged({ segment, offset }: BatchPlace, reason: string): StorageFault {
  return new StorageFault("corrupt", `the batch in segment ${segment} at ${offset}: ${reason}`, {
    hint: "Check this site; other sites may still have what is damaged here.",
  });
}

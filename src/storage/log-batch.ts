import { assert } from "../core/assert.ts";
import { StorageFault } from "../core/faults.ts";
import { decodeLocal } from "../core/local-codec.ts";
import { makeVersionId, parseSegmentId } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { Operation } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import { BATCH_HEADER_BYTES, batchRecords, decodeBatchHeader } from "./segment/batch.ts";
import { bodyOwner, decodeRecord } from "./segment/record.ts";
import type { Segments } from "./segment/segments.ts";

/** An operation as it stands in a batch; the memory of one batch serves all of them. */
export type LoggedOperation = {
  readonly operation: Operation;
  readonly encoded: Uint8Array;
  /** Its inline body; undefined when it has none, or came without. */
  readonly inline: Uint8Array | undefined;
  /** Why it stands here without its bytes. */
  readonly missing: "parked" | "void" | undefined;
};

export type BatchPlace = { readonly segment: number; readonly offset: number };

export type LogBatchDeps = { readonly segments: Segments; readonly hash: Pick<Hash, "crc32"> };

/**
 * Reads the operations of one batch with their inline bodies, each verified, in their order.
 *
 * @throws StorageFault "corrupt" when the batch or anything in it is damaged, or its segment gone.
 */
export async function readLogBatch(
  { segments, hash }: LogBatchDeps,
  place: BatchPlace,
): Promise<readonly LoggedOperation[]> {
  const { records, bodies: area } = await readAreas({ segments, hash }, place, "all");
  const bodies = bodiesOf(area, hash.crc32, place);
  return operationsOf(records, hash.crc32, (operation) => inlineOf(operation, bodies, place));
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
  return operationsOf(records, hash.crc32, () => undefined);
}

function operationsOf(
  records: Uint8Array,
  crc32: Hash["crc32"],
  inlineOf: (operation: Operation) => Uint8Array | undefined,
): LoggedOperation[] {
  const missing = new Map<string, "parked" | "void">();
  const operations: LoggedOperation[] = [];
  for (const { kind, payload } of batchRecords(records, crc32)) {
    if (kind === "local") noteMissing(payload, missing);
    if (kind !== "op") continue;
    const operation = decodeOperation(payload);
    const why = missing.get(`${operation.dot.origin} ${operation.dot.seq}`);
    const inline = why === undefined ? inlineOf(operation) : undefined;
    operations.push({ operation, encoded: payload, inline, missing: why });
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

/** The bodies of a batch by their owner: rows of other sites have bodies beside operations' own. */
function bodiesOf(area: Buffer, crc32: Hash["crc32"], place: BatchPlace): Map<string, Buffer> {
  const bodies = new Map<string, Buffer>();
  for (let offset = 0; ; ) {
    const found = decodeRecord(area, offset, crc32);
    if (found.outcome === "end") return bodies;
    if (found.outcome !== "record") throw damaged(place, "a body is no whole record");
    bodies.set(found.owner.toString("latin1"), found.payload);
    offset = found.nextOffset;
  }
}

function inlineOf(
  { body, hlc, dot }: Operation,
  bodies: ReadonlyMap<string, Buffer>,
  place: BatchPlace,
): Buffer | undefined {
  if (body.kind !== "object-put" || body.object.body.kind !== "inline") return undefined;
  const owner = bodyOwner(body.bucket, body.key, makeVersionId(hlc, dot.origin));
  const inline = bodies.get(owner.toString("latin1"));
  if (inline === undefined) throw damaged(place, "an operation has lost its body");
  return inline;
}

/** Operations that stand in the log without their bytes are named in front of them. */
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

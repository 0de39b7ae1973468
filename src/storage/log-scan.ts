import { assert } from "../core/assert.ts";
import { LIMITS } from "../core/limits.ts";
import { parseSegmentId } from "../core/names.ts";
import type { ReadFile } from "../ports/disk.ts";
import type { Hash } from "../ports/hash.ts";
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  decodeBatchHeader,
  verifyBatch,
} from "./segment/batch.ts";

/** A batch met in a scan: its header, and its records (the bodies are not kept). */
export type ScannedBatch = { readonly header: BatchHeader; readonly records: Buffer };

/** How a scan ended: at the end of what was to be read, or at something that is no whole batch. */
export type ScanEnd = { readonly offset: number; readonly whole: boolean; readonly reason: string };

export type ScanRequest = {
  readonly file: ReadFile;
  readonly segment: number;
  readonly from: number;
  /** Where the batches end: the footer of a sealed segment, the size of an open one. */
  readonly to: number;
  /** Whether bodies are read and the checksum of the whole batch is verified. */
  readonly verifyBodies: boolean;
  readonly crc32: Hash["crc32"];
};

const HEAD_READ_BYTES = 64 * 1024;
/** A batch is never larger than this: a few operations of the largest object above the usual. */
const BATCH_BYTES_SANE = 256 * 1024 * 1024;

/** Hands over the batches of a segment in order and tells how it ended. Damage is an outcome. */
export async function scanBatches(
  request: ScanRequest,
  visit: (batch: ScannedBatch) => Promise<void> | undefined,
): Promise<ScanEnd> {
  let offset = request.from;
  let next = readAhead(request, offset);
  while (next !== undefined) {
    const found = await next;
    if ("reason" in found) return { offset, whole: false, reason: found.reason };
    const end = offset + found.header.batchBytes;
    // The next batch is read while this one is looked at.
    next = readAhead(request, end);
    await visit(found);
    offset = end;
  }
  return { offset, whole: offset === request.to, reason: "the end" };
}

function readAhead(request: ScanRequest, offset: number): ReturnType<typeof readBatch> | undefined {
  if (offset >= request.to) return undefined;
  // One read takes the header and, of most batches, all records.
  const reading = readBatch(request, offset, HEAD_READ_BYTES);
  // Whoever waits for it hears of a failure; a scan that ends before that does not care.
  reading.catch(nothing);
  return reading;
}

function nothing(): void {
  // See where it is used.
}

async function readBatch(
  { file, segment, to, verifyBodies, crc32 }: ScanRequest,
  offset: number,
  headBytes: number,
): Promise<ScannedBatch | { reason: string }> {
  const head = Buffer.allocUnsafeSlow(Math.min(headBytes, to - offset));
  const read = await file.read(head, offset);
  const segmentId = parseSegmentId(segment);
  assert(segmentId !== undefined, "a segment has an id");
  const expected = { segmentId, offset };
  const decoded = decodeBatchHeader(head.subarray(0, read), expected, crc32);
  if (decoded.outcome !== "batch") {
    return { reason: decoded.outcome === "zeros" ? "zeros" : decoded.reason };
  }
  const { header } = decoded;
  if (offset + header.batchBytes > to || header.batchBytes > BATCH_BYTES_SANE) {
    return { reason: "a batch ends early" };
  }
  const recordsEnd = BATCH_HEADER_BYTES + header.opsBytes;
  const needed = verifyBodies ? header.batchBytes : recordsEnd;
  const batch = needed <= read ? head.subarray(0, needed) : Buffer.allocUnsafeSlow(needed);
  if (needed > read) {
    head.copy(batch, 0, 0, read);
    const count = await file.read(batch.subarray(read), offset + read);
    if (count !== needed - read) return { reason: "a batch ends early" };
  }
  if (verifyBodies && !verifyBatch(batch, header, crc32)) {
    return { reason: "a batch's checksum differs" };
  }
  return { header, records: batch.subarray(BATCH_HEADER_BYTES, recordsEnd) };
}

/**
 * Looks for a whole batch behind a place where there should be one. Only a torn end of the log may
 * be cut; when something valid follows, the place is damage.
 */
export async function hasBatchBehind(request: ScanRequest, offset: number): Promise<boolean> {
  for (let at = offset + LIMITS.pageBytes; at < request.to; at += LIMITS.pageBytes) {
    // Most places hold no batch, so no more than a header is read of them.
    const found = await readBatch({ ...request, verifyBodies: true }, at, BATCH_HEADER_BYTES);
    if (!("reason" in found)) return true;
  }
  return false;
}

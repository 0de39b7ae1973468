import { asBuffer } from "../core/bytes.ts";
import type { Hash } from "../ports/hash.ts";
import type { OpenBatch } from "./batch.ts";
import type { CommitLane } from "./commit-lane.ts";
import {
  BATCH_HEADER_BYTES,
  batchLayout,
  writeBatchHeader,
  writeBatchTrailer,
} from "./segment/batch.ts";
import { writeRecord } from "./segment/record.ts";

/**
 * Puts a batch together in page-aligned memory: header, records, bodies, trailer, padding. Tells
 * every body where it lies, and the footer of the segment what is in it.
 */
export function layOutBatch(
  batch: OpenBatch,
  lane: CommitLane,
  crc32: Hash["crc32"],
): { buffer: Uint8Array; bytes: number } {
  const records = batch.records.view();
  const layout = batchLayout({ opsBytes: records.length, bodiesBytes: batch.bodiesBytes });
  // As a Buffer once: each record would make one for itself.
  const buffer = asBuffer(lane.buffer(layout.batchBytes));
  const { segment, offset, number } = batch.position;
  writeBatchHeader(
    buffer,
    {
      batchBytes: layout.batchBytes,
      opsBytes: records.length,
      bodiesBytes: batch.bodiesBytes,
      recordCount: batch.recordCount,
      segmentId: segment,
      batchNumber: number,
      offset,
      firstSeq: batch.firstSeq,
      operationCount: batch.operationCount,
    },
    crc32,
  );
  buffer.set(records, layout.opsOffset);
  let at = layout.bodiesOffset;
  for (const body of batch.bodies) {
    body.place.offset = offset + at;
    const record = { kind: "body", owner: body.owner, payload: body.bytes } as const;
    at = writeRecord(buffer, at, record, crc32);
  }
  writeBatchTrailer(buffer, layout, number, crc32);
  describe(batch, lane, { opsBytes: records.length, batchBytes: layout.batchBytes });
  return { buffer, bytes: layout.batchBytes };
}

function describe(
  batch: OpenBatch,
  { footer }: CommitLane,
  sizes: { opsBytes: number; batchBytes: number },
): void {
  const { offset } = batch.position;
  const operations = batch.operationCount;
  const lastSeq = operations === 0 ? 0 : batch.firstSeq + operations - 1;
  footer.addBatch({ offset, ...sizes, operations, firstSeq: batch.firstSeq, lastSeq });
  for (const { bucket, key, recordOffset } of batch.keys) {
    footer.addKey(bucket, key, offset + BATCH_HEADER_BYTES + recordOffset);
  }
  if (batch.lastHlc > 0n) {
    footer.observeHlc(batch.firstHlc);
    footer.observeHlc(batch.lastHlc);
  }
  if (operations > 0) footer.observeChain(batch.chain);
}

import {
  type BlockPlace,
  blocksOf,
  PLAIN_BLOCK_BYTES,
  STORED_BLOCK_BYTES,
  storedBytesOf,
} from "../../core/block-cipher.ts";
import type { SealedPiece } from "../../core/encryption-envelope.ts";
import type { ObjectRecord } from "../../core/records.ts";
import type { ByteRange } from "../../storage/store.ts";

/** One stored block that a range needs, and which bytes of its plaintext. */
export type WantedBlock = {
  readonly place: BlockPlace;
  readonly storedBytes: number;
  readonly from: number;
  readonly to: number;
};

/** What an object was encrypted in: its pieces, its parts, or the one piece it came in. */
export function sealedParts(
  record: Pick<ObjectRecord, "size" | "parts">,
  pieces: readonly SealedPiece[] | undefined,
): readonly SealedPiece[] {
  if (pieces !== undefined) return pieces;
  return record.parts.length > 0 ? record.parts : [{ partNumber: 0, size: record.size }];
}

/** The blocks that hold a range of the plaintext, in order. None for an empty range. */
export function* blocksInRange(
  parts: readonly SealedPiece[],
  range: ByteRange,
): Generator<WantedBlock> {
  let start = 0;
  for (const { partNumber, size } of parts) {
    const from = Math.max(range.start - start, 0);
    const to = Math.min(range.end - start, size);
    start += size;
    if (from >= to) continue;
    const count = blocksOf(size);
    for (let index = blockAt(from); index <= blockAt(to - 1); index++) {
      const blockStart = index * PLAIN_BLOCK_BYTES;
      const plainBytes = Math.min(PLAIN_BLOCK_BYTES, size - blockStart);
      yield {
        place: { partNumber, index, isLast: index === count - 1 },
        storedBytes: storedBytesOf(plainBytes),
        from: Math.max(from - blockStart, 0),
        to: Math.min(to - blockStart, plainBytes),
      };
    }
  }
}

/** Where those blocks lie among the stored bytes: without gaps, as parts follow each other. */
export function storedRange(parts: readonly SealedPiece[], range: ByteRange): ByteRange {
  let plain = 0;
  let stored = 0;
  let start: number | undefined;
  let end = 0;
  for (const { size } of parts) {
    const from = Math.max(range.start - plain, 0);
    const to = Math.min(range.end - plain, size);
    if (from < to) {
      start ??= stored + blockAt(from) * STORED_BLOCK_BYTES;
      const afterLast = (blockAt(to - 1) + 1) * STORED_BLOCK_BYTES;
      end = stored + Math.min(afterLast, storedBytesOf(size));
    }
    plain += size;
    stored += storedBytesOf(size);
  }
  return { start: start ?? 0, end };
}

function blockAt(offset: number): number {
  return Math.floor(offset / PLAIN_BLOCK_BYTES);
}

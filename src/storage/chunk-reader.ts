import { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import type { ContentHash } from "../core/names.ts";
import type { ChunkPlace } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { Segments } from "./segment/segments.ts";

export type ChunkReaderDeps = {
  readonly segments: Segments;
  readonly hash: Pick<Hash, "crc32">;
  readonly index: RowReader;
  /** Told of a place whose bytes do not verify. */
  readonly damaged: (segment: number, offset: number) => void;
};

/**
 * Reads at most `bytes` bytes of a chunk from an offset; every slice they come from is verified.
 * Undefined when the chunk is not here, or damaged.
 */
export async function readChunk(
  deps: ChunkReaderDeps,
  hash: ContentHash,
  offset: number,
  bytes: number,
): Promise<Buffer | undefined> {
  const place = deps.index.get(TABLES.chunk, hash)?.place;
  if (place === undefined) return undefined;
  const end = Math.min(place.bytes, offset + bytes);
  if (offset >= end) return Buffer.alloc(0);
  const first = Math.floor(offset / LIMITS.sliceBytes) * LIMITS.sliceBytes;
  const last = Math.min(place.bytes, Math.ceil(end / LIMITS.sliceBytes) * LIMITS.sliceBytes);
  const whole = Buffer.allocUnsafeSlow(last - first);
  for (let start = first; start < end; start += LIMITS.sliceBytes) {
    const into = whole.subarray(start - first, start - first + LIMITS.sliceBytes);
    if (!(await readSlice(deps, place, { start, into }))) return undefined;
  }
  return whole.subarray(offset - first, end - first);
}

/** Whether the slice is there and right. */
async function readSlice(
  { segments, hash, damaged }: ChunkReaderDeps,
  place: ChunkPlace,
  { start, into }: { readonly start: number; readonly into: Buffer },
): Promise<boolean> {
  const at = place.offset + start;
  try {
    const count = await segments.read(place.segment, into, at);
    const crc = place.sliceCrcs[start / LIMITS.sliceBytes];
    if (count === into.length && hash.crc32(into) === crc) return true;
  } catch (failure) {
    if (!(failure instanceof StorageFault) || failure.kind !== "corrupt") throw failure;
  }
  damaged(place.segment, at);
  return false;
}

import { alignUp } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import { type OriginId, parseSegmentId } from "../core/names.ts";
import { chainAfter, decodeOperation } from "../core/operation-codec.ts";
import type { Disk, ReadFile, WriteFile } from "../ports/disk.ts";
import type { Hash } from "../ports/hash.ts";
import { type ScannedBatch, type ScanRequest, scanBatches } from "./log-scan.ts";
import { BATCH_HEADER_BYTES, batchRecords } from "./segment/batch.ts";
import {
  CHUNK_HEADER_BYTES,
  chunkRecordBytes,
  chunkTrailerBytes,
  decodeChunkHeader,
  decodeChunkTrailer,
} from "./segment/chunk.ts";
import { encodeFooter, FooterBuilder } from "./segment/footer.ts";
import type { SegmentFacts, Segments } from "./segment/segments.ts";

export type SealingDeps = {
  readonly disk: Disk;
  readonly hash: Hash;
  readonly segments: Segments;
  readonly origin: OriginId;
  /** Lets other work run between two steps. */
  readonly yieldTurn: () => Promise<void>;
};

/** An empty footer for a segment, to be filled in order of offset. */
export function newFooter(deps: SealingDeps, facts: SegmentFacts): FooterBuilder {
  const segmentId = parseSegmentId(facts.id);
  if (segmentId === undefined) throw new StorageFault("corrupt", "not a segment number");
  return new FooterBuilder({ segmentId, origin: deps.origin, crc: deps.hash.crc32 });
}

/** Writes the footer behind what is in the segment and closes it. From then on it never changes. */
export async function sealSegment(
  deps: SealingDeps,
  segment: { facts: SegmentFacts; file: WriteFile; footer: FooterBuilder },
): Promise<void> {
  const { facts, file, footer } = segment;
  try {
    const built = await footer.build(deps.yieldTurn);
    const offset = alignUp(facts.sizeBytes, LIMITS.pageBytes);
    const pages = encodeFooter(built, offset, deps.hash.crc32);
    const memory = deps.disk.allocateAligned(pages.length);
    memory.set(pages);
    await file.write(memory, offset);
    await file.sync();
    facts.sizeBytes = offset + pages.length;
    facts.sealed = true;
  } finally {
    await file.close();
  }
}

/**
 * Seals a segment that an earlier process left open, reading back what its footer must tell. A
 * commit segment is sealed only when its batches end where the log says (`batchesEnd`): nothing
 * behind a damaged batch is ever covered up.
 *
 * @returns false when it was left as it is.
 */
export async function sealLeftover(
  deps: SealingDeps,
  facts: SegmentFacts,
  batchesEnd: number,
): Promise<boolean> {
  const footer = newFooter(deps, facts);
  const whole = await deps.segments.use(facts.id, (file) =>
    facts.lane === "commit"
      ? describeBatches(deps, { facts, file, footer, batchesEnd })
      : describeChunks(deps, { facts, file, footer }),
  );
  if (!whole) return false;
  const mode = deps.segments.writeMode;
  const file = await deps.disk.openWrite(deps.segments.path(facts.id), mode);
  await sealSegment(deps, { facts, file, footer });
  return true;
}

async function describeBatches(
  deps: SealingDeps,
  { facts, file, footer, batchesEnd }: Leftover & { readonly batchesEnd: number },
): Promise<boolean> {
  const request: ScanRequest = {
    file,
    segment: facts.id,
    from: LIMITS.pageBytes,
    to: batchesEnd,
    verifyBodies: false,
    crc32: deps.hash.crc32,
  };
  const end = await scanBatches(request, (batch) => {
    describeBatch(deps, footer, batch);
    return deps.yieldTurn();
  });
  return end.whole;
}

type Leftover = {
  readonly facts: SegmentFacts;
  readonly file: ReadFile;
  readonly footer: FooterBuilder;
};

function describeBatch(deps: SealingDeps, footer: FooterBuilder, batch: ScannedBatch): void {
  const { offset, opsBytes, batchBytes, operationCount, firstSeq } = batch.header;
  const lastSeq = operationCount === 0 ? 0 : firstSeq + operationCount - 1;
  footer.addBatch({ offset, opsBytes, batchBytes, operations: operationCount, firstSeq, lastSeq });
  for (const record of batchRecords(batch.records, deps.hash.crc32)) {
    if (record.kind !== "op") continue;
    const bytes = Buffer.from(record.payload);
    const operation = decodeOperation(bytes);
    const { body } = operation;
    footer.observeHlc(operation.hlc);
    if (operation.dot.origin === deps.origin) {
      const sha256 = (input: Uint8Array) => deps.hash.digest("SHA256", input);
      footer.observeChain(chainAfter(sha256, operation.chainBefore, bytes));
    }
    if ("key" in body) {
      footer.addKey(body.bucket, body.key, offset + BATCH_HEADER_BYTES + record.offset);
    }
  }
}

/** Walks the chunks up to the first that is not whole; what was placed lies before it. */
async function describeChunks(
  deps: SealingDeps,
  { facts, file, footer }: Leftover,
): Promise<boolean> {
  const segmentId = parseSegmentId(facts.id);
  if (segmentId === undefined) return false;
  const head = Buffer.alloc(CHUNK_HEADER_BYTES);
  let offset: number = LIMITS.pageBytes;
  while (offset < facts.sizeBytes) {
    const count = await file.read(head, offset);
    const expected = { segmentId, offset };
    const decoded = decodeChunkHeader(head.subarray(0, count), expected, deps.hash.crc32);
    if (decoded.outcome !== "chunk") break;
    const bytes = decoded.header.payloadBytes;
    const tail = Buffer.alloc(chunkTrailerBytes(bytes));
    await file.read(tail, offset + CHUNK_HEADER_BYTES + bytes);
    const trailer = decodeChunkTrailer(tail, bytes, deps.hash.crc32);
    if (trailer.outcome !== "trailer") break;
    footer.addChunk({ hash: trailer.hash, offset, bytes });
    offset += chunkRecordBytes(bytes);
    await deps.yieldTurn();
  }
  return true;
}

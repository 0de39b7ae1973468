import { describe, expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { crc32OfSmall } from "../core/crc32.ts";
import { LIMITS } from "../core/limits.ts";
import type { ReadFile } from "../ports/disk.ts";
import { hasBatchBehind, type ScanEnd, type ScanRequest, scanBatches } from "./log-scan.ts";
import { batchLayout, writeBatchHeader, writeBatchTrailer } from "./segment/batch.ts";

const SEGMENT = 7;
const FROM = LIMITS.pageBytes;

type Areas = { readonly opsBytes: number; readonly bodiesBytes: number };

/** A segment of batches of these sizes; every byte of records tells the number of its batch. */
function segmentOf(batches: readonly Areas[]): Buffer {
  const parts = [Buffer.alloc(FROM)];
  let offset = FROM;
  for (const [number, areas] of batches.entries()) {
    const layout = batchLayout(areas);
    const { batchBytes } = layout;
    const bytes = Buffer.alloc(batchBytes, number + 1);
    const place = { segmentId: SEGMENT, batchNumber: number, offset };
    const counts = { recordCount: 1, firstSeq: 1, operationCount: 0 };
    writeBatchHeader(bytes, { ...areas, batchBytes, ...place, ...counts }, crc32OfSmall);
    writeBatchTrailer(bytes, layout, number, crc32OfSmall);
    parts.push(bytes);
    offset += batchBytes;
  }
  return Buffer.concat(parts);
}

let slowMs = 0;

/** What a clock tells of each read: nothing, that it was fast, or that it was slow. */
const CLOCKS = {
  "as a server reads": undefined,
  "from the page cache": () => 0,
  "from a slow disk": () => slowMs++,
} as const;
const WAYS = [true, false].flatMap((verifyBodies) =>
  (Object.keys(CLOCKS) as Array<keyof typeof CLOCKS>).map((clock) => ({ verifyBodies, clock })),
);
type Way = (typeof WAYS)[number];

function requestOf(bytes: Buffer, { verifyBodies, clock }: Way): ScanRequest {
  const readSync = (into: Uint8Array, at: number): number => {
    const part = bytes.subarray(at, at + into.length);
    into.set(part);
    return part.length;
  };
  const file: ReadFile = {
    readSync,
    read: async (into, at) => readSync(into, at),
    sizeBytes: async () => bytes.length,
    close: async () => undefined,
  };
  const range = { from: FROM, to: bytes.length };
  const monotonicMs = CLOCKS[clock];
  const pace = monotonicMs === undefined ? {} : { monotonicMs };
  return { file, segment: SEGMENT, ...range, verifyBodies, crc32: crc32OfSmall, ...pace };
}

async function scan(request: ScanRequest): Promise<{ found: string[]; end: ScanEnd }> {
  const found: string[] = [];
  const end = await scanBatches(request, async ({ header, records }) => {
    // Whoever visits may take a turn: its records must still be what they were.
    await new Promise((resolve) => setImmediate(resolve));
    const isOwn = records.every((byte) => byte === (header.batchNumber + 1) % 256);
    found.push(`${header.batchNumber}: ${records.length} ${isOwn}`);
  });
  return { found, end };
}

describe.each(WAYS)("a scan $clock, which verifies bodies: $verifyBodies,", (way) => {
  test("meets every batch once and in order, whatever their sizes", async () => {
    const bytes = fc.oneof(fc.nat(300), fc.nat(20_000), fc.nat(300_000));
    const areas = fc.record({ opsBytes: bytes, bodiesBytes: bytes });
    await fc.assert(
      fc.asyncProperty(fc.array(areas, { maxLength: 60 }), async (batches) => {
        const segment = segmentOf(batches);
        const { found, end } = await scan(requestOf(segment, way));
        expect(found).toEqual(batches.map(({ opsBytes }, number) => `${number}: ${opsBytes} true`));
        expect(end).toMatchObject({ offset: segment.length, whole: true });
      }),
      { numRuns: 30 },
    );
  });

  test("ends at the first thing that is no whole batch, and sees what is behind it", async () => {
    const batches = Array.from({ length: 400 }, () => ({ opsBytes: 900, bodiesBytes: 2000 }));
    const segment = segmentOf(batches);
    const damagedAt = FROM + 300 * LIMITS.pageBytes;
    segment.fill(0, damagedAt, damagedAt + LIMITS.pageBytes);
    const request = requestOf(segment, way);
    const { found, end } = await scan(request);
    expect(found).toHaveLength(300);
    expect(end).toEqual({ offset: damagedAt, whole: false, reason: "zeros" });
    expect(await hasBatchBehind(request, damagedAt)).toBe(true);
    const torn = requestOf(segment.subarray(0, damagedAt + 5000), way);
    expect((await scan(torn)).end).toMatchObject({ offset: damagedAt, whole: false });
    expect(await hasBatchBehind(torn, damagedAt)).toBe(false);
  });
});

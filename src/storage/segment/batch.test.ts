import { describe, expect, test } from "vitest";
import { crc32 } from "../../../test/support/crc.ts";
import { fc } from "../../../test/support/properties.ts";
import { ByteWriter } from "../../core/bytes.ts";
import {
  BATCH_HEADER_BYTES,
  BATCH_TRAILER_BYTES,
  type BatchHeader,
  batchLayout,
  batchRecords,
  decodeBatchHeader,
  verifyBatch,
  writeBatchHeader,
  writeBatchTrailer,
} from "./batch.ts";
import { encodeRecord } from "./record.ts";

const PLACE = { segmentId: 3, offset: 8192 };

function opsArea(payloads: readonly string[]): Buffer {
  const writer = new ByteWriter();
  for (const payload of payloads) {
    const record = { kind: "op", owner: Buffer.alloc(0), payload: Buffer.from(payload) } as const;
    encodeRecord(writer, record, crc32);
  }
  return writer.finish();
}

function writtenBatch(ops: Uint8Array, bodies: Uint8Array): { bytes: Buffer; header: BatchHeader } {
  const sizes = { opsBytes: ops.length, bodiesBytes: bodies.length };
  const layout = batchLayout(sizes);
  // Reused memory is never clean.
  const bytes = Buffer.alloc(layout.batchBytes, 0xaa);
  const header = {
    ...sizes,
    ...PLACE,
    batchBytes: layout.batchBytes,
    recordCount: 2,
    batchNumber: 2 ** 33 + 5,
    firstSeq: 41,
    operationCount: 2,
  };
  bytes.set(ops, layout.opsOffset);
  bytes.set(bodies, layout.bodiesOffset);
  writeBatchHeader(bytes, header, crc32);
  writeBatchTrailer(bytes, layout, header.batchNumber, crc32);
  return { bytes, header };
}

describe("batches", () => {
  test("come back as they were written, on whole pages, padded with zeros", () => {
    const areas = fc.uint8Array({ maxLength: 9000, size: "max" });
    fc.assert(
      fc.property(areas, areas, (ops, bodies) => {
        const { bytes, header } = writtenBatch(ops, bodies);
        expect(bytes.length % 4096).toBe(0);
        expect(decodeBatchHeader(bytes, PLACE, crc32)).toEqual({ outcome: "batch", header });
        expect(verifyBatch(bytes, header, crc32)).toBe(true);
        const { trailerOffset } = batchLayout(header);
        const padding = bytes.subarray(trailerOffset + BATCH_TRAILER_BYTES);
        expect(padding.every((byte) => byte === 0)).toBe(true);
        expect(padding.length).toBeLessThan(4096);
      }),
      { numRuns: 40 },
    );
  });

  test("with any bit flipped from header to trailer never pass", () => {
    const { bytes, header } = writtenBatch(opsArea(["one", "two"]), Buffer.from("bodies"));
    const end = batchLayout(header).trailerOffset + BATCH_TRAILER_BYTES;
    for (let bit = 0; bit < end * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const read = decodeBatchHeader(flipped, PLACE, crc32);
      const passes = read.outcome === "batch" && verifyBatch(flipped, read.header, crc32);
      expect(passes, `bit ${bit}`).toBe(false);
    }
  });

  test.each([
    ["offset", { ...PLACE, offset: 4096 }],
    ["segment", { ...PLACE, segmentId: 4 }],
  ])("meant for another %s never pass", (_name, place) => {
    const { bytes } = writtenBatch(opsArea(["one"]), Buffer.alloc(0));
    expect(decodeBatchHeader(bytes, place, crc32).outcome).toBe("damaged");
  });

  test("cut anywhere never pass", () => {
    const { bytes, header } = writtenBatch(opsArea(["one"]), Buffer.alloc(5000));
    expect(verifyBatch(bytes.subarray(0, 4096), header, crc32)).toBe(false);
    expect(decodeBatchHeader(bytes.subarray(0, 63), PLACE, crc32).outcome).toBe("damaged");
  });

  test("that were never written are zeros, not damage", () => {
    const zeros = Buffer.alloc(BATCH_HEADER_BYTES);
    expect(decodeBatchHeader(zeros, PLACE, crc32)).toEqual({ outcome: "zeros" });
  });

  test("are damaged, and nothing worse, when they are noise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (noise) => {
        const { outcome } = decodeBatchHeader(noise, PLACE, crc32);
        expect(["damaged", "zeros"]).toContain(outcome);
      }),
    );
  });

  test("give their records with where each stands", () => {
    const area = opsArea(["one", "three"]);
    const read = [...batchRecords(area, crc32)];
    expect(read.map((record) => record.payload.toString())).toEqual(["one", "three"]);
    expect(read.map((record) => record.offset)).toEqual([0, 19]);
  });

  test("stop with a fault at a damaged record, after the whole ones", () => {
    const area = opsArea(["one", "two"]);
    area[area.length - 1] = 0;
    const read: string[] = [];
    expect(() => {
      for (const record of batchRecords(area, crc32)) read.push(record.payload.toString());
    }).toThrow(expect.objectContaining({ name: "StorageFault", kind: "corrupt" }));
    expect(read).toEqual(["one"]);
  });
});

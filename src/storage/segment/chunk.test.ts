import { describe, expect, test } from "vitest";
import { crc32 } from "../../../test/support/crc.ts";
import { fc } from "../../../test/support/properties.ts";
import { contentHashes } from "../../../test/support/value-arbitraries.ts";
import { LIMITS } from "../../core/limits.ts";
import { parseContentHash } from "../../core/names.ts";
import { required } from "../../core/tagged-fields.ts";
import {
  CHUNK_HEADER_BYTES,
  chunkRecordBytes,
  chunkTrailerBytes,
  decodeChunkHeader,
  decodeChunkTrailer,
  sliceCrcsOf,
  writeChunkHeader,
  writeChunkTrailer,
} from "./chunk.ts";

const PLACE = { segmentId: 9, offset: 4096 };
const HASH = required(parseContentHash("ab".repeat(32)), "hash");
const MIB = LIMITS.sliceBytes;

function writtenHeader(payloadBytes: number): Buffer {
  const bytes = Buffer.alloc(CHUNK_HEADER_BYTES, 0xaa);
  writeChunkHeader(bytes, { ...PLACE, payloadBytes }, crc32);
  return bytes;
}

describe("chunks", () => {
  test("have headers that come back as they were written", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: LIMITS.chunkBytes }), (payloadBytes) => {
        const header = { ...PLACE, payloadBytes };
        expect(decodeChunkHeader(writtenHeader(payloadBytes), PLACE, crc32)).toEqual({
          outcome: "chunk",
          header,
        });
      }),
    );
  });

  test.each([
    [1, 1],
    [MIB, 1],
    [MIB + 1, 2],
    [4 * MIB, 4],
  ])("of %d bytes have %d slices and end on a page boundary", (payloadBytes, slices) => {
    expect(chunkTrailerBytes(payloadBytes)).toBe(40 + 4 * slices);
    const size = chunkRecordBytes(payloadBytes);
    const used = CHUNK_HEADER_BYTES + payloadBytes + 40 + 4 * slices;
    expect(size % 4096).toBe(0);
    expect(size - used).toBeGreaterThanOrEqual(0);
    expect(size - used).toBeLessThan(4096);
  });

  test("have trailers that come back as they were written, padded with zeros", () => {
    const payloads = fc.integer({ min: 1, max: LIMITS.chunkBytes });
    fc.assert(
      fc.property(payloads, contentHashes, fc.nat({ max: 5000 }), (payloadBytes, hash, at) => {
        const count = Math.ceil(payloadBytes / MIB);
        const sliceCrcs = Array.from({ length: count }, (_, slice) => slice * 1000 + 1);
        const page = Buffer.alloc(12288, 0xaa);
        const end = writeChunkTrailer(page, at, { sliceCrcs, hash }, crc32);
        expect(end % 4096).toBe(0);
        const trailer = decodeChunkTrailer(page.subarray(at), payloadBytes, crc32);
        expect(trailer).toEqual({ outcome: "trailer", sliceCrcs, hash });
        const padding = page.subarray(at + chunkTrailerBytes(payloadBytes), end);
        expect(padding.every((byte) => byte === 0)).toBe(true);
      }),
    );
  });

  test("with any bit of header or trailer flipped are damaged", () => {
    const header = writtenHeader(3 * MIB);
    const page = Buffer.alloc(4096);
    writeChunkTrailer(page, 0, { sliceCrcs: [1, 2, 3], hash: HASH }, crc32);
    const trailer = page.subarray(0, chunkTrailerBytes(3 * MIB));
    const flip = (bytes: Buffer, bit: number): Buffer => {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return flipped;
    };
    for (let bit = 0; bit < header.length * 8; bit++) {
      expect(decodeChunkHeader(flip(header, bit), PLACE, crc32).outcome).toBe("damaged");
    }
    for (let bit = 0; bit < trailer.length * 8; bit++) {
      expect(decodeChunkTrailer(flip(trailer, bit), 3 * MIB, crc32).outcome).toBe("damaged");
    }
  });

  test("meant for another place never pass", () => {
    const bytes = writtenHeader(5);
    expect(decodeChunkHeader(bytes, { ...PLACE, offset: 0 }, crc32).outcome).toBe("damaged");
    expect(decodeChunkHeader(bytes, { ...PLACE, segmentId: 1 }, crc32).outcome).toBe("damaged");
  });

  test("larger than any chunk are damaged, whatever their checksum says", () => {
    const bytes = writtenHeader(LIMITS.chunkBytes + 1);
    expect(decodeChunkHeader(bytes, PLACE, crc32).outcome).toBe("damaged");
  });

  test("that were never written are zeros, not damage", () => {
    const zeros = Buffer.alloc(CHUNK_HEADER_BYTES);
    expect(decodeChunkHeader(zeros, PLACE, crc32)).toEqual({ outcome: "zeros" });
  });

  test("have one checksum for each slice, the last one shorter", () => {
    const payload = Buffer.alloc(MIB + 3, 7);
    expect(sliceCrcsOf(payload, crc32)).toEqual([
      crc32(payload.subarray(0, MIB)),
      crc32(payload.subarray(MIB)),
    ]);
  });

  test("are damaged, and nothing worse, when they are noise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (noise) => {
        expect(decodeChunkHeader(noise, PLACE, crc32).outcome).toBe("damaged");
        expect(decodeChunkTrailer(noise, 2 * MIB, crc32).outcome).toBe("damaged");
      }),
    );
  });
});

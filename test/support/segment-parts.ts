import { crc32 } from "@node-rs/crc32";
import {
  batchLayout,
  batchRecords,
  decodeBatchHeader,
  verifyBatch,
} from "../../src/storage/segment/batch.ts";
import {
  CHUNK_HEADER_BYTES,
  chunkRecordBytes,
  chunkTrailerBytes,
  decodeChunkHeader,
  decodeChunkTrailer,
  sliceCrcsOf,
} from "../../src/storage/segment/chunk.ts";
import {
  decodeFooter,
  decodeFooterTrailer,
  type Footer,
  type FooterTrailer,
} from "../../src/storage/segment/footer-reader.ts";
import { decodeSegmentHeader, type SegmentHeader } from "../../src/storage/segment/header.ts";

/** A stretch of a segment that checksums cover, and the check that must notice damage to it. */
export type SegmentPart = {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly isWhole: (file: Buffer) => boolean;
};

/** Everything between a sealed segment's first and last byte that means something. */
export function partsOf(file: Buffer): SegmentPart[] {
  const header = headerOf(file);
  const trailer = trailerOf(file, header);
  const parts: SegmentPart[] = [
    {
      name: "segment header",
      start: 0,
      end: 4096,
      isWhole: (damaged) => decodeSegmentHeader(damaged, crc32).outcome === "header",
    },
  ];
  const read = header.lane === "commit" ? batchParts : chunkParts;
  for (let at = 4096; at < trailer.footerOffset; ) {
    const { bytes, parts: found } = read(file, header.segmentId, at);
    parts.push(...found);
    at += bytes;
  }
  const end = trailer.footerOffset + trailer.footerBytes;
  parts.push({
    name: "footer",
    start: trailer.footerOffset,
    end,
    isWhole: (damaged) => {
      const bytes = damaged.subarray(trailer.footerOffset, end);
      return decodeFooter(bytes, trailer, crc32).outcome === "footer";
    },
  });
  const expected = { segmentId: header.segmentId, fileBytes: file.length };
  parts.push({
    name: "footer trailer",
    start: end,
    end: file.length,
    isWhole: (damaged) =>
      decodeFooterTrailer(damaged.subarray(-64), expected, crc32).outcome === "trailer",
  });
  return parts;
}

function headerOf(file: Buffer): SegmentHeader {
  const found = decodeSegmentHeader(file, crc32);
  if (found.outcome !== "header") throw new Error(`segment header: ${found.outcome}`);
  return found.header;
}

function trailerOf(file: Buffer, header: SegmentHeader): FooterTrailer {
  const expected = { segmentId: header.segmentId, fileBytes: file.length };
  const found = decodeFooterTrailer(file.subarray(-64), expected, crc32);
  if (found.outcome !== "trailer") throw new Error(`footer trailer: ${found.outcome}`);
  return found.trailer;
}

/** The footer of a sealed segment. */
export function footerOf(file: Buffer): Footer {
  const trailer = trailerOf(file, headerOf(file));
  const { footerOffset, footerBytes } = trailer;
  const found = decodeFooter(
    file.subarray(footerOffset, footerOffset + footerBytes),
    trailer,
    crc32,
  );
  if (found.outcome !== "footer") throw new Error(found.reason);
  return found.footer;
}

type Found = { readonly bytes: number; readonly parts: SegmentPart[] };

function batchParts(file: Buffer, segmentId: number, offset: number): Found {
  const place = { segmentId, offset };
  const found = decodeBatchHeader(file.subarray(offset), place, crc32);
  if (found.outcome !== "batch") throw new Error(`batch: ${found.outcome}`);
  const { header } = found;
  const layout = batchLayout(header);
  const areas = [
    ["ops", layout.opsOffset, layout.bodiesOffset],
    ["bodies", layout.bodiesOffset, layout.trailerOffset],
  ] as const;
  const batch: SegmentPart = {
    name: `batch ${header.batchNumber}`,
    start: offset,
    end: offset + layout.trailerOffset + 16,
    isWhole: (damaged) => {
      const bytes = damaged.subarray(offset);
      const again = decodeBatchHeader(bytes, place, crc32);
      return again.outcome === "batch" && verifyBatch(bytes, again.header, crc32);
    },
  };
  const parts = areas.map(
    ([area, start, end]): SegmentPart => ({
      name: `records of the ${area} area of batch ${header.batchNumber}`,
      start: offset + start,
      end: offset + end,
      isWhole: (damaged) => recordsAreWhole(damaged.subarray(offset + start, offset + end)),
    }),
  );
  return { bytes: header.batchBytes, parts: [batch, ...parts] };
}

function recordsAreWhole(area: Buffer): boolean {
  try {
    return [...batchRecords(area, crc32)].length >= 0;
  } catch {
    return false;
  }
}

function chunkParts(file: Buffer, segmentId: number, offset: number): Found {
  const place = { segmentId, offset };
  const found = decodeChunkHeader(file.subarray(offset), place, crc32);
  if (found.outcome !== "chunk") throw new Error(`chunk: ${found.outcome}`);
  const { payloadBytes } = found.header;
  const chunk: SegmentPart = {
    name: `chunk at ${offset}`,
    start: offset,
    end: offset + CHUNK_HEADER_BYTES + payloadBytes + chunkTrailerBytes(payloadBytes),
    isWhole: (damaged) => {
      const bytes = damaged.subarray(offset);
      if (decodeChunkHeader(bytes, place, crc32).outcome !== "chunk") return false;
      const payload = bytes.subarray(CHUNK_HEADER_BYTES, CHUNK_HEADER_BYTES + payloadBytes);
      const behind = bytes.subarray(CHUNK_HEADER_BYTES + payloadBytes);
      const trailer = decodeChunkTrailer(behind, payloadBytes, crc32);
      if (trailer.outcome !== "trailer") return false;
      return sliceCrcsOf(payload, crc32).every((crc, slice) => crc === trailer.sliceCrcs[slice]);
    },
  };
  return { bytes: chunkRecordBytes(payloadBytes), parts: [chunk] };
}

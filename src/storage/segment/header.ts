import { asBuffer, ByteReader, ByteWriter } from "../../core/bytes.ts";
import { type Hlc, parseHlc } from "../../core/hlc.ts";
import { LIMITS } from "../../core/limits.ts";
import {
  type ClusterId,
  type OriginId,
  parseClusterId,
  parseOriginId,
  parseSegmentId,
  parseSiteId,
  type SegmentId,
  type SiteId,
} from "../../core/names.ts";
import { type Crc, FORMAT_VERSION, MAGIC, readMagic } from "./format.ts";

/*
 * Segment header, one page. Magic, format version and CRC stand here in every version.
 *
 * | offset | bytes | meaning                                            |
 * | ------ | ----- | -------------------------------------------------- |
 * | 0      | 8     | magic "ATOLSEGM"                                   |
 * | 8      | 2     | format version, 1                                  |
 * | 10     | 1     | lane: 1 commit, 2 bulk                             |
 * | 11     | 1     | flags, zero                                        |
 * | 12     | 16    | cluster id                                         |
 * | 28     | 8     | site id                                            |
 * | 36     | 8     | origin                                             |
 * | 44     | 4     | segment id                                         |
 * | 48     | 8     | HLC of creation                                    |
 * | 56     | 4036  | zeros                                              |
 * | 4092   | 4     | CRC-32 of all before                               |
 */
const SEGMENT_HEADER_BYTES = LIMITS.pageBytes;
const CRC_OFFSET = SEGMENT_HEADER_BYTES - 4;

export type Lane = "commit" | "bulk";
const LANE_NUMBERS = { commit: 1, bulk: 2 } as const satisfies Record<Lane, number>;

export type SegmentHeader = {
  readonly lane: Lane;
  readonly clusterId: ClusterId;
  readonly siteId: SiteId;
  readonly origin: OriginId;
  readonly segmentId: SegmentId;
  /** HLC of creation. */
  readonly hlc: Hlc;
};

export type SegmentHeaderOutcome =
  | { readonly outcome: "header"; readonly header: SegmentHeader }
  | { readonly outcome: "damaged"; readonly reason: string }
  /** Whole, but of a format this program does not know. */
  | { readonly outcome: "unsupported"; readonly version: number };

/** The first page of a segment: SEGMENT_HEADER_BYTES bytes. */
export function encodeSegmentHeader(header: SegmentHeader, crc: Crc): Buffer {
  const writer = new ByteWriter(SEGMENT_HEADER_BYTES);
  writer.bytes(MAGIC.segment).u16(FORMAT_VERSION).u8(LANE_NUMBERS[header.lane]).u8(0);
  writer.hex(header.clusterId).hex(header.siteId).hex(header.origin);
  writer.u32(header.segmentId).bigU64(header.hlc);
  writer.zeros(CRC_OFFSET - writer.length);
  return writer.u32(crc(writer.view())).finish();
}

/** Reads the first page of a segment; only its first SEGMENT_HEADER_BYTES bytes are looked at. */
export function decodeSegmentHeader(bytes: Uint8Array, crc: Crc): SegmentHeaderOutcome {
  if (bytes.length < SEGMENT_HEADER_BYTES) return damaged("the header ends early");
  const reader = new ByteReader(bytes);
  if (!readMagic(reader, MAGIC.segment)) return damaged("not a segment");
  const stored = asBuffer(bytes).readUInt32LE(CRC_OFFSET);
  if (crc(bytes.subarray(0, CRC_OFFSET)) !== stored) {
    return damaged("the header's checksum differs");
  }
  const version = reader.u16();
  if (version !== FORMAT_VERSION) return { outcome: "unsupported", version };
  const lane = reader.u8();
  const flags = reader.u8();
  if ((lane !== LANE_NUMBERS.commit && lane !== LANE_NUMBERS.bulk) || flags !== 0) {
    return { outcome: "unsupported", version };
  }
  const header = {
    lane: lane === LANE_NUMBERS.commit ? "commit" : "bulk",
    clusterId: parseClusterId(reader.hex(16)),
    siteId: parseSiteId(reader.hex(8)),
    origin: parseOriginId(reader.hex(8)),
    segmentId: parseSegmentId(reader.u32()),
    hlc: parseHlc(reader.bigU64()),
  } as const;
  return isComplete(header) ? { outcome: "header", header } : damaged("an id is not valid");
}

function isComplete(
  header: {
    readonly [Name in keyof SegmentHeader]: SegmentHeader[Name] | undefined;
  },
): header is SegmentHeader {
  return Object.values(header).every((value) => value !== undefined);
}

function damaged(reason: string): SegmentHeaderOutcome {
  return { outcome: "damaged", reason };
}

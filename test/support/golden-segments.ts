import { blake3 } from "@napi-rs/blake-hash";
import { ByteWriter } from "../../src/core/bytes.ts";
import { parseHlc } from "../../src/core/hlc.ts";
import { encodeLocal } from "../../src/core/local-codec.ts";
import { encodeManifest } from "../../src/core/manifest-codec.ts";
import {
  type ContentHash,
  parseClusterId,
  parseContentHash,
  parseSegmentId,
  parseSiteId,
} from "../../src/core/names.ts";
import { chainAfter, decodeOperation } from "../../src/core/operation-codec.ts";
import type { LocalRecord } from "../../src/core/records.ts";
import { required } from "../../src/core/tagged-fields.ts";
import {
  batchLayout,
  batchRecords,
  writeBatchHeader,
  writeBatchTrailer,
} from "../../src/storage/segment/batch.ts";
import {
  CHUNK_HEADER_BYTES,
  chunkRecordBytes,
  sliceCrcsOf,
  writeChunkHeader,
  writeChunkTrailer,
} from "../../src/storage/segment/chunk.ts";
import { encodeFooter, FooterBuilder } from "../../src/storage/segment/footer.ts";
import { encodeSegmentHeader } from "../../src/storage/segment/header.ts";
import { bodyOwner, encodeRecord, type SegmentRecord } from "../../src/storage/segment/record.ts";
import { crc32 } from "./crc.ts";
import {
  BUCKET,
  GOLDEN_LOCALS,
  GOLDEN_MANIFEST,
  GOLDEN_OPERATIONS,
  HLC_BASE,
  KEY,
  ORIGIN,
  operationBytes,
  SMALL_BODY,
  sha256,
  VERSION,
} from "./golden-records.ts";

/** Payloads of the chunks in the bulk segment. */
export const GOLDEN_PAYLOADS: readonly Buffer[] = [
  Buffer.from("a short chunk"),
  Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * 7) % 251)),
];

function hashOf(payload: Buffer): ContentHash {
  return required(parseContentHash(blake3(payload).toString("hex")), "hash");
}

function localBytes(record: LocalRecord): Buffer {
  const writer = new ByteWriter();
  encodeLocal(writer, record);
  return writer.finish();
}

function recordOf(kind: SegmentRecord["kind"], payload: Buffer): SegmentRecord {
  return { kind, owner: Buffer.alloc(0), payload };
}

function recordBytes(records: readonly SegmentRecord[]): Buffer {
  const writer = new ByteWriter();
  for (const record of records) encodeRecord(writer, record, crc32);
  return writer.finish();
}

const OPS = GOLDEN_OPERATIONS.map((operation) => recordOf("op", operationBytes(operation)));
const LOCALS = GOLDEN_LOCALS.map((record) => recordOf("local", localBytes(record)));
const MANIFESTS = [recordOf("manifest", encodeManifest(GOLDEN_MANIFEST))];
const ROWS = OPS.slice(1, 2).map((record) => recordOf("row", Buffer.from(record.payload)));
const BODY: SegmentRecord = {
  kind: "body",
  owner: bodyOwner(BUCKET, KEY, VERSION),
  payload: SMALL_BODY,
};

function headerOf(lane: "commit" | "bulk", segmentId: number): Buffer {
  const header = {
    lane,
    clusterId: required(parseClusterId("00112233445566778899aabbccddeeff"), "cluster"),
    siteId: required(parseSiteId("8899aabbccddeeff"), "site"),
    origin: ORIGIN,
    segmentId: required(parseSegmentId(segmentId), "segment"),
    hlc: required(parseHlc(HLC_BASE), "HLC"),
  };
  return encodeSegmentHeader(header, crc32);
}

type BatchContent = {
  readonly offset: number;
  readonly batchNumber: number;
  readonly records: readonly SegmentRecord[];
  readonly bodies: readonly SegmentRecord[];
  readonly firstSeq: number;
  readonly operationCount: number;
};

const COMMIT_SEGMENT = 7;
const BULK_SEGMENT = 8;

function batchBytes(content: BatchContent, footer: FooterBuilder): Buffer {
  const ops = recordBytes(content.records);
  const bodies = recordBytes(content.bodies);
  const sizes = { opsBytes: ops.length, bodiesBytes: bodies.length };
  const layout = batchLayout(sizes);
  const bytes = Buffer.alloc(layout.batchBytes);
  bytes.set(ops, layout.opsOffset);
  bytes.set(bodies, layout.bodiesOffset);
  const { offset, batchNumber, firstSeq, operationCount } = content;
  const recordCount = content.records.length + content.bodies.length;
  const place = { segmentId: COMMIT_SEGMENT, offset };
  const counts = {
    batchBytes: layout.batchBytes,
    recordCount,
    batchNumber,
    firstSeq,
    operationCount,
  };
  writeBatchHeader(bytes, { ...sizes, ...place, ...counts }, crc32);
  writeBatchTrailer(bytes, layout, batchNumber, crc32);
  const lastSeq = operationCount === 0 ? 0 : firstSeq + operationCount - 1;
  footer.addBatch({
    offset,
    opsBytes: ops.length,
    batchBytes: bytes.length,
    operations: operationCount,
    firstSeq,
    lastSeq,
  });
  for (const record of batchRecords(ops, crc32)) {
    if (record.kind !== "op") continue;
    const { body, hlc } = decodeOperation(record.payload);
    footer.observeHlc(hlc);
    const recordOffset = offset + layout.opsOffset + record.offset;
    if ("key" in body) footer.addKey(body.bucket, body.key, recordOffset);
  }
  return bytes;
}

function builderOf(segmentId: number): FooterBuilder {
  return new FooterBuilder({ segmentId, origin: ORIGIN, crc: crc32 });
}

async function footerPages(footer: FooterBuilder, offset: number): Promise<Buffer> {
  return encodeFooter(await footer.build(() => Promise.resolve()), offset, crc32);
}

async function commitSegment(): Promise<Buffer> {
  const header = headerOf("commit", COMMIT_SEGMENT);
  const footer = builderOf(COMMIT_SEGMENT);
  const first = batchBytes(
    {
      offset: header.length,
      batchNumber: 0,
      records: [...LOCALS.slice(-1), ...OPS.slice(0, 2)],
      bodies: [BODY],
      firstSeq: 1,
      operationCount: 2,
    },
    footer,
  );
  const second = batchBytes(
    {
      offset: header.length + first.length,
      batchNumber: 1,
      records: [...MANIFESTS, ...OPS.slice(2), ...LOCALS.slice(0, -1), ...ROWS],
      bodies: [],
      firstSeq: 3,
      operationCount: OPS.length - 2,
    },
    footer,
  );
  const last = OPS.at(-1)?.payload ?? Buffer.alloc(0);
  footer.observeChain(chainAfter(sha256, GOLDEN_OPERATIONS.at(-1)?.chainBefore ?? last, last));
  const batches = Buffer.concat([header, first, second]);
  return Buffer.concat([batches, await footerPages(footer, batches.length)]);
}

function chunkBytes(payload: Buffer, offset: number): Buffer {
  const bytes = Buffer.alloc(chunkRecordBytes(payload.length));
  const header = { payloadBytes: payload.length, segmentId: BULK_SEGMENT, offset };
  writeChunkHeader(bytes, header, crc32);
  bytes.set(payload, CHUNK_HEADER_BYTES);
  const trailer = { sliceCrcs: sliceCrcsOf(payload, crc32), hash: hashOf(payload) };
  writeChunkTrailer(bytes, CHUNK_HEADER_BYTES + payload.length, trailer, crc32);
  return bytes;
}

async function bulkSegment(): Promise<Buffer> {
  const pages = [headerOf("bulk", BULK_SEGMENT)];
  const footer = builderOf(BULK_SEGMENT);
  let offset = 4096;
  for (const payload of GOLDEN_PAYLOADS) {
    const chunk = chunkBytes(payload, offset);
    footer.addChunk({ hash: hashOf(payload), offset, bytes: payload.length });
    pages.push(chunk);
    offset += chunk.length;
  }
  return Buffer.concat([...pages, await footerPages(footer, offset)]);
}

/** Every golden file of this format, by name. */
export async function goldenFiles(): Promise<ReadonlyMap<string, Buffer>> {
  const [short = Buffer.alloc(0)] = GOLDEN_PAYLOADS;
  return new Map([
    ["ops.bin", recordBytes(OPS)],
    ["locals.bin", recordBytes(LOCALS)],
    ["manifest.bin", recordBytes(MANIFESTS)],
    ["row.bin", recordBytes(ROWS)],
    ["body.bin", recordBytes([BODY])],
    ["chunk.bin", chunkBytes(short, 4096)],
    ["commit-segment.bin", await commitSegment()],
    ["bulk-segment.bin", await bulkSegment()],
  ]);
}

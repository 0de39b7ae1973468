import { ByteWriter } from "../../src/core/bytes.ts";
import { parseHlc } from "../../src/core/hlc.ts";
import { encodeLocal } from "../../src/core/local-codec.ts";
import {
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
  parseSiteId,
  parseVersionId,
} from "../../src/core/names.ts";
import type { LocalRecord, LogStart } from "../../src/core/records.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { encodeRecord } from "../../src/storage/segment/record.ts";
import { crc32 } from "./crc.ts";

/*
 * Records about rows of other sites, in format 1. Nothing here may change once it is out.
 */

const ORIGIN = required(parseOriginId("0a1b2c3d4e5f6071"), "origin");
const OTHER = required(parseOriginId("f0e1d2c3b4a59687"), "origin");
const NAME = {
  bucket: required(parseBucketName("photos"), "bucket"),
  key: required(parseObjectKey("ä/cat.jpg"), "key"),
};
const STAMP = required(parseVersionId(`0123456789abcdef${ORIGIN}`), "version");
const TARGET = required(parseVersionId(`00000000000000ff${OTHER}`), "version");

const HEADS: readonly LogStart[] = [
  {
    origin: ORIGIN,
    seq: required(parseSeq(300), "sequence"),
    hlc: required(parseHlc(1_795_224_000_000n << 16n), "HLC"),
    chain: Buffer.alloc(32, 0x5a),
    vector: new Map([[OTHER, required(parseSeq(7), "sequence")]]),
  },
  {
    origin: OTHER,
    seq: required(parseSeq(7), "sequence"),
    hlc: required(parseHlc(1n), "HLC"),
    chain: Buffer.alloc(32, 0xa5),
    vector: new Map(),
  },
];

/** One of each kind, with every part that it can have. */
export const GOLDEN_ROW_LOCALS: readonly LocalRecord[] = [
  {
    kind: "rows-removed",
    rows: [
      { what: "version", ...NAME, stamp: STAMP },
      { what: "null", ...NAME, stamp: STAMP },
      { what: "tombstone", ...NAME, stamp: STAMP },
      { what: "voided", ...NAME, stamp: STAMP, target: TARGET },
      { what: "conflict", ...NAME, stamp: STAMP },
    ],
  },
  {
    kind: "bootstrap",
    site: required(parseSiteId("8899aabbccddeeff"), "site"),
    ...{ lease: "0123456789abcdef", position: "Dphotos\0ä/cat.jpg\0", rows: 4711, heads: HEADS },
  },
  { kind: "floors", heads: HEADS },
  { kind: "floors", heads: HEADS, owed: ["Dphotos\0ä/cat.jpg\0", "Dphotos\0b\0"] },
];

/** The golden file of these, by name. */
export function goldenRowFiles(): ReadonlyMap<string, Buffer> {
  const locals = new ByteWriter();
  for (const record of GOLDEN_ROW_LOCALS) {
    const writer = new ByteWriter();
    encodeLocal(writer, record);
    const owner = Buffer.alloc(0);
    encodeRecord(locals, { kind: "local", owner, payload: writer.finish() }, crc32);
  }
  return new Map([["row-locals.bin", locals.finish()]]);
}

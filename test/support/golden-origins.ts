import { ByteWriter } from "../../src/core/bytes.ts";
import { parseHlc } from "../../src/core/hlc.ts";
import { encodeLocal } from "../../src/core/local-codec.ts";
import { parseOriginId, parseSeq, parseSiteId } from "../../src/core/names.ts";
import type { OriginRecord } from "../../src/core/origin-records.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { encodeRecord } from "../../src/storage/segment/record.ts";
import { crc32 } from "./crc.ts";

/*
 * What the release with several sites added to format 1 about logs of other origins. Nothing here
 * may change once it is out.
 */

const [EARLY, LATE] = ["0a1b2c3d4e5f6071", "f0e1d2c3b4a59687"].map((text) =>
  required(parseOriginId(text), "origin"),
);
const FIRST = { origin: required(EARLY, "origin"), seq: required(parseSeq(7), "sequence") };
const SECOND = { origin: required(LATE, "origin"), seq: required(parseSeq(70_000), "sequence") };
const SITE = required(parseSiteId("8899aabbccddeeff"), "site");
const HLC = required(parseHlc((1_795_224_000_000n << 16n) + 3n), "HLC");
const CHAIN = Buffer.alloc(32, 0xc4);
const VECTOR = new Map([
  [FIRST.origin, FIRST.seq],
  [SECOND.origin, SECOND.seq],
]);

/** One of each kind, with everything that it can say. */
export const GOLDEN_ORIGIN_LOCALS: readonly OriginRecord[] = [
  {
    kind: "origin-heads",
    heads: [
      { ...FIRST, chain: CHAIN, hlc: HLC, vector: VECTOR },
      { ...SECOND, chain: CHAIN, hlc: HLC, vector: new Map() },
    ],
  },
  {
    kind: "operations-parked",
    operations: [
      { ...FIRST, reason: "no peer has its bytes" },
      { ...SECOND, reason: "" },
    ],
  },
  { kind: "operations-void", operations: [FIRST, SECOND] },
  {
    kind: "operations-unparked",
    operations: [
      { ...FIRST, vector: VECTOR },
      { ...SECOND, vector: new Map() },
    ],
  },
  {
    kind: "heads-signed",
    heads: [{ ...FIRST, site: SITE, chain: CHAIN, signature: Buffer.alloc(64, 0x51) }],
  },
  { kind: "peer-applied", site: SITE, heardMs: 1_795_224_000_000, applied: VECTOR },
];

/** The golden file of these, by name. */
export function goldenOriginFiles(): ReadonlyMap<string, Buffer> {
  const locals = new ByteWriter();
  for (const record of GOLDEN_ORIGIN_LOCALS) {
    const writer = new ByteWriter();
    encodeLocal(writer, record);
    const owner = Buffer.alloc(0);
    encodeRecord(locals, { kind: "local", owner, payload: writer.finish() }, crc32);
  }
  return new Map([["origin-locals.bin", locals.finish()]]);
}

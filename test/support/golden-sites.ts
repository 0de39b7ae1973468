import { ByteWriter } from "../../src/core/bytes.ts";
import { parseHlc } from "../../src/core/hlc.ts";
import { parseOriginId, parseSeq, parseSiteId } from "../../src/core/names.ts";
import { encodeOperation } from "../../src/core/operation-codec.ts";
import type { Operation } from "../../src/core/records.ts";
import type { SiteRecord } from "../../src/core/site-record.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { encodeRecord } from "../../src/storage/segment/record.ts";
import { crc32 } from "./crc.ts";

/*
 * What the release with several sites added to format 1. Nothing here may change once it is out.
 */

const ORIGINS = ["0a1b2c3d4e5f6071", "f0e1d2c3b4a59687"].map((text) =>
  required(parseOriginId(text), "origin"),
);
const ORIGIN = required(ORIGINS[0], "origin");

const SITES: readonly SiteRecord[] = [
  {
    id: required(parseSiteId("8899aabbccddeeff"), "site"),
    name: "münchen",
    publicKey: "3b".repeat(32),
    addresses: ["https://muenchen.example.net:9000", "https://10.1.0.7:9000"],
    certificates: ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
    origins: ORIGINS,
    state: "active",
    featureLevel: 1,
    insecure: false,
  },
  {
    id: required(parseSiteId("0011223344556677"), "site"),
    name: "paris",
    publicKey: "c4".repeat(32),
    addresses: ["http://127.0.0.1:9000"],
    certificates: [],
    origins: [ORIGIN],
    state: "removed",
    featureLevel: 300,
    insecure: true,
  },
];

/** A member with everything a record can have, and one that was removed. */
export const GOLDEN_SITE_OPERATIONS: readonly Operation[] = SITES.map((site, at) => ({
  dot: { origin: ORIGIN, seq: required(parseSeq(at + 1), "sequence") },
  hlc: required(parseHlc((1_795_224_000_000n << 16n) + BigInt(at)), "HLC"),
  chainBefore: Buffer.alloc(32),
  vector: { full: at === 0, entries: new Map() },
  group: undefined,
  body: { kind: "site-put", site },
  unknownFields: [],
}));

/** The golden files of sites, by name. */
export function goldenSiteFiles(): ReadonlyMap<string, Buffer> {
  const operations = new ByteWriter();
  for (const operation of GOLDEN_SITE_OPERATIONS) {
    const writer = new ByteWriter();
    encodeOperation(writer, operation);
    const payload = writer.finish();
    encodeRecord(operations, { kind: "op", owner: Buffer.alloc(0), payload }, crc32);
  }
  return new Map([["site-ops.bin", operations.finish()]]);
}

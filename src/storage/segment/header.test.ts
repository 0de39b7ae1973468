import { describe, expect, test } from "vitest";
import { crc32 } from "../../../test/support/crc.ts";
import { fc } from "../../../test/support/properties.ts";
import { hlcs, origins } from "../../../test/support/value-arbitraries.ts";
import { parseHlc } from "../../core/hlc.ts";
import { parseClusterId, parseOriginId, parseSegmentId, parseSiteId } from "../../core/names.ts";
import { required } from "../../core/tagged-fields.ts";
import { decodeSegmentHeader, encodeSegmentHeader, type SegmentHeader } from "./header.ts";

const HEADER: SegmentHeader = {
  lane: "commit",
  clusterId: required(parseClusterId("00112233445566778899aabbccddeeff"), "cluster"),
  siteId: required(parseSiteId("0123456789abcdef"), "site"),
  origin: required(parseOriginId("fedcba9876543210"), "origin"),
  segmentId: required(parseSegmentId(7), "segment"),
  hlc: required(parseHlc(0x019f_0000_0000_0001n), "HLC"),
};

function withCrc(page: Buffer): Buffer {
  page.writeUInt32LE(crc32(page.subarray(0, 4092)), 4092);
  return page;
}

describe("segment headers", () => {
  test("come back as they were written", () => {
    fc.assert(
      fc.property(hlcs, origins, fc.constantFrom("commit", "bulk"), (hlc, origin, lane) => {
        const header = { ...HEADER, hlc, origin, lane };
        const page = encodeSegmentHeader(header, crc32);
        expect(page).toHaveLength(4096);
        expect(decodeSegmentHeader(page, crc32)).toEqual({ outcome: "header", header });
      }),
      { numRuns: 20 },
    );
  });

  test("of another format version are refused with its number", () => {
    const page = encodeSegmentHeader(HEADER, crc32);
    page.writeUInt16LE(2, 8);
    expect(decodeSegmentHeader(page, crc32).outcome).toBe("damaged");
    expect(decodeSegmentHeader(withCrc(page), crc32)).toEqual({
      outcome: "unsupported",
      version: 2,
    });
  });

  test.each([
    ["lane", 10],
    ["flag", 11],
  ])("with an unknown %s are refused", (_name, offset) => {
    const page = encodeSegmentHeader(HEADER, crc32);
    page[offset] = 9;
    expect(decodeSegmentHeader(withCrc(page), crc32).outcome).toBe("unsupported");
  });

  test("are damaged, and nothing worse, when they are noise or cut", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000, size: "max" }), (noise) => {
        expect(decodeSegmentHeader(noise, crc32).outcome).toBe("damaged");
      }),
      { numRuns: 50 },
    );
    const cut = encodeSegmentHeader(HEADER, crc32).subarray(0, 4095);
    expect(decodeSegmentHeader(cut, crc32).outcome).toBe("damaged");
  });

  test("with an id no program writes are damaged", () => {
    const page = encodeSegmentHeader(HEADER, crc32);
    page.writeUInt32LE(0, 44);
    expect(decodeSegmentHeader(withCrc(page), crc32).outcome).toBe("damaged");
  });
});

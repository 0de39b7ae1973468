import { describe, expect, test } from "vitest";
import { crc32 } from "../../../test/support/crc.ts";
import { fc } from "../../../test/support/properties.ts";
import { ByteWriter } from "../../core/bytes.ts";
import { parseBucketName, parseObjectKey, parseVersionId } from "../../core/names.ts";
import { required } from "../../core/tagged-fields.ts";
import { RECORD_KIND_NUMBERS, type RecordKind } from "./format.ts";
import {
  bodyOwner,
  bodyRecordBytes,
  decodeRecord,
  encodeRecord,
  RECORD_HEADER_BYTES,
  type SegmentRecord,
  writeRecord,
} from "./record.ts";

const KINDS = Object.keys(RECORD_KIND_NUMBERS) as RecordKind[];

const records: fc.Arbitrary<SegmentRecord> = fc.record({
  kind: fc.constantFrom(...KINDS),
  owner: fc.uint8Array({ maxLength: 40 }),
  payload: fc.uint8Array({ maxLength: 100 }),
});

function encodedRecord(record: SegmentRecord): Buffer {
  const writer = new ByteWriter();
  encodeRecord(writer, record, crc32);
  return writer.finish();
}

describe("records", () => {
  test("come back one behind the other as they were written", () => {
    fc.assert(
      fc.property(fc.array(records, { maxLength: 5 }), (list) => {
        const area = Buffer.concat(list.map(encodedRecord));
        let offset = 0;
        for (const record of list) {
          const read = decodeRecord(area, offset, crc32);
          if (read.outcome !== "record") throw new Error(read.outcome);
          expect(read.kind).toBe(record.kind);
          expect(read.owner.equals(record.owner)).toBe(true);
          expect(read.payload.equals(record.payload)).toBe(true);
          offset = read.nextOffset;
        }
        expect(decodeRecord(area, offset, crc32)).toEqual({ outcome: "end" });
      }),
    );
  });

  test("are the same bytes whether they are written to memory or behind others", () => {
    fc.assert(
      fc.property(records, fc.nat({ max: 50 }), (record, offset) => {
        const bytes = encodedRecord(record);
        const memory = Buffer.alloc(offset + bytes.length, 0xff);
        const end = writeRecord(memory, offset, record, crc32);
        expect(end).toBe(offset + bodyRecordBytes(record.owner.length, record.payload.length));
        expect(memory.subarray(offset)).toEqual(bytes);
      }),
    );
  });

  test("with any bit flipped are damaged", () => {
    const bytes = encodedRecord({
      kind: "body",
      owner: Buffer.from("whose"),
      payload: Buffer.from("what"),
    });
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(decodeRecord(flipped, 0, crc32).outcome).toBe("damaged");
    }
  });

  test("are damaged, and nothing worse, when they are cut or noise", () => {
    fc.assert(
      fc.property(records, fc.nat(), (record, cut) => {
        const bytes = encodedRecord(record);
        const short = bytes.subarray(0, 1 + (cut % (bytes.length - 1)));
        expect(decodeRecord(short, 0, crc32).outcome).toBe("damaged");
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), (noise) => {
        expect(decodeRecord(noise, 0, crc32).outcome).toBe("damaged");
      }),
    );
  });

  test("of an unknown kind or version are told from damage", () => {
    const bytes = encodedRecord({ kind: "op", owner: Buffer.alloc(0), payload: Buffer.alloc(3) });
    bytes[4] = 77;
    bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
    expect(decodeRecord(bytes, 0, crc32)).toEqual({
      outcome: "unsupported",
      kind: 77,
      version: 1,
    });
  });

  test("of a body name bucket, key and version, in the bytes FORMAT.md says", () => {
    const owner = bodyOwner(
      required(parseBucketName("photos"), "bucket"),
      required(parseObjectKey("ä/cat"), "key"),
      required(parseVersionId("00112233445566778899aabbccddeeff"), "version"),
    );
    const expected = "0670686f746f7306c3a42f63617400112233445566778899aabbccddeeff";
    expect(owner.toString("hex")).toBe(expected);
    expect(RECORD_HEADER_BYTES).toBe(16);
  });
});

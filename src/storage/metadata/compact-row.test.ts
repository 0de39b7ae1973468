import { describe, expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { objectRecords } from "../../../test/support/record-arbitraries.ts";
import { damaged, hlcs, origins } from "../../../test/support/value-arbitraries.ts";
import { ByteReader, ByteWriter, LayoutError } from "../../core/bytes.ts";
import { hlcMs } from "../../core/hlc.ts";
import { parseBucketName, parseObjectKey, parseSeq } from "../../core/names.ts";
import { encodeObject } from "../../core/object-codec.ts";
import { ListingFields, listingOf } from "../../core/object-listing.ts";
import { encodeOperation } from "../../core/operation-codec.ts";
import type { ObjectRecord } from "../../core/records.ts";
import { required } from "../../core/tagged-fields.ts";
import {
  decodeCompactListing,
  decodeCompactRow,
  encodeCompactRow,
  isTimeOfWrite,
  type PlainRow,
  plainRowBytes,
  readCompactListing,
  writePlainRow,
} from "./compact-row.ts";
import type { ObjectRow } from "./object-row.ts";
import { readPlainObject } from "./plain-object.ts";

const BUCKET = required(parseBucketName("bench"), "bucket");
const KEY = required(parseObjectKey("abc/0123456789abcdef"), "key");
const segments = fc.integer({ min: 1, max: 0xffff_ffff });
const md5s = fc.uint8Array({ minLength: 16, maxLength: 16 });
const crc64s = fc.uint8Array({ minLength: 8, maxLength: 8 });

const anyRows: fc.Arbitrary<ObjectRow> = fc.record({
  stamp: fc.record({
    ...{ hlc: hlcs, origin: origins },
    seq: fc.maxSafeNat().map((seq) => required(parseSeq(seq), "sequence")),
  }),
  ...{ home: segments, nullSlot: fc.boolean() },
  place: fc.record({ segment: segments, offset: fc.integer({ min: 0, max: 2 ** 48 - 1 }) }),
  object: objectRecords,
});

/** What most rows are in some of these ways, each or not. */
const rows: fc.Arbitrary<ObjectRow> = fc
  .tuple(anyRows, fc.integer({ min: 0, max: 63 }), md5s, crc64s)
  .map(([row, usual, md5, crc64]) => {
    const { object } = row;
    const value = Buffer.from(crc64).toString("base64");
    const change: Partial<ObjectRecord> = {
      ...((usual & 1) === 0 ? {} : { etag: Buffer.from(md5).toString("hex") }),
      ...((usual & 2) === 0 ? {} : { lastModifiedMs: hlcMs(row.stamp.hlc) }),
      ...((usual & 4) === 0 ? {} : { body: { kind: "inline", bytes: object.size } }),
      ...((usual & 8) === 0
        ? {}
        : { checksums: [{ algorithm: "CRC64NVME", type: "FULL_OBJECT", value }] }),
      ...((usual & 32) === 0
        ? {}
        : {
            parts: [],
            lock: undefined,
            attributes: { ...object.attributes, storageClass: undefined },
          }),
    };
    const place = (usual & 16) === 0 ? row.place : { ...row.place, segment: row.home };
    return { ...row, place, object: { ...object, ...change } };
  });

function encoded(row: ObjectRow): Buffer {
  const writer = new ByteWriter();
  encodeCompactRow(writer, row);
  return writer.finish();
}

const SMALL: ObjectRow = {
  stamp: {
    hlc: 0x0190_0000_0000_0000n as ObjectRow["stamp"]["hlc"],
    origin: "0123456789abcdef" as ObjectRow["stamp"]["origin"],
    seq: required(parseSeq(1_000_000), "sequence"),
  },
  ...{ home: 5, nullSlot: true, place: { segment: 5, offset: 2 ** 29 } },
  object: {
    size: 4096,
    etag: "0123456789abcdef".repeat(2),
    lastModifiedMs: 0x0190_0000_0000,
    attributes: { system: [], user: [], storageClass: undefined, tags: [] },
    checksums: [{ algorithm: "CRC64NVME", type: "FULL_OBJECT", value: "AAECAwQFBgc=" }],
    parts: [],
    encryption: undefined,
    lock: undefined,
    body: { kind: "inline", bytes: 4096 },
  },
};

describe("a compact row", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(rows, (row) => {
        expect(decodeCompactRow(new ByteReader(encoded(row)))).toEqual(row);
      }),
      { numRuns: 1000 },
    );
  });

  test("of a small object takes 52 bytes", () => {
    expect(encoded(SMALL).length).toBe(52);
  });

  test("shows in a listing what it says, also in the middle of other bytes", () => {
    const fields = new ListingFields();
    fc.assert(
      fc.property(rows, (row) => {
        const bytes = Buffer.concat([Buffer.of(1, 2, 3, 4, 5), encoded(row)]);
        const listing = decodeCompactListing(bytes, 5);
        expect(listing).toEqual(listingOf(row.object));
        const longer = new Uint8Array(Buffer.concat([bytes, bytes]));
        const isUsual = readCompactListing(longer, 5, bytes.length, fields);
        if (isUsual) expect(fields).toMatchObject({ size: listing.size });
      }),
      { numRuns: 1000 },
    );
  });

  test("that is damaged is refused, or is another row", () => {
    const fields = new ListingFields();
    fc.assert(
      fc.property(damaged(rows.map(encoded)), (bytes) => {
        for (const read of [
          () => decodeCompactRow(new ByteReader(bytes)),
          () => readCompactListing(bytes, 0, bytes.length, fields),
        ]) {
          try {
            read();
          } catch (failure) {
            expect(failure).toSatisfy(isRefusal);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});

function isRefusal(failure: unknown): boolean {
  if (failure instanceof LayoutError) return true;
  return failure instanceof Error && "kind" in failure && failure.kind === "unsupported";
}

function putOf({ stamp, nullSlot, object }: ObjectRow): { bytes: Buffer; objectAt: number } {
  const writer = new ByteWriter();
  encodeOperation(writer, {
    dot: { origin: stamp.origin, seq: stamp.seq },
    hlc: stamp.hlc,
    chainBefore: Buffer.alloc(32),
    vector: { full: false, entries: new Map() },
    group: undefined,
    unknownFields: [],
    body: { kind: "object-put", bucket: BUCKET, key: KEY, nullSlot, object },
  });
  const whole = writer.finish();
  writer.reset();
  encodeObject(writer, object);
  return { bytes: whole, objectAt: whole.length - writer.length };
}

test("a rebuild cuts from a put the row that decoding it would make", () => {
  const plain = rows.map((row) => ({ ...row, place: { ...row.place, segment: row.home } }));
  let taken = 0;
  fc.assert(
    fc.property(fc.oneof(plain, fc.constant(SMALL)), (row) => {
      const { bytes, objectAt } = putOf(row);
      const object = readPlainObject(bytes, objectAt, bytes.length);
      if (object === undefined || !isTimeOfWrite(bytes, 0, object.timeMs)) return;
      const { nullSlot, place } = row;
      const put: PlainRow = { bytes, from: 0, to: bytes.length, object, nullSlot, place };
      const into = Buffer.alloc(plainRowBytes(put) + 7, 0xee);
      writePlainRow(into, 3, put);
      expect(into.subarray(3, -4).equals(encoded(row))).toBe(true);
      expect(into.subarray(-4).equals(Buffer.alloc(4, 0xee))).toBe(true);
      taken += 1;
    }),
    { numRuns: 2000 },
  );
  expect(taken).toBeGreaterThan(100);
});

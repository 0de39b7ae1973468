import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { objectRecords } from "../../../test/support/record-arbitraries.ts";
import { hlcs, origins } from "../../../test/support/value-arbitraries.ts";
import { ByteWriter } from "../../core/bytes.ts";
import { makeVersionId, parseSeq } from "../../core/names.ts";
import { listingOf } from "../../core/object-listing.ts";
import { required } from "../../core/tagged-fields.ts";
import { encodeObjectRow } from "./object-row.ts";
import { decodeListedObject, decodeListedVersion, encodeRow, TABLES, type Table } from "./rows.ts";

const noCrc = (): number => 0;
const stamps = fc.record({
  ...{ hlc: hlcs, origin: origins },
  seq: fc.constant(required(parseSeq(7), "sequence")),
});
const heads = fc.record({ stamp: stamps, home: fc.constant(1), nullSlot: fc.boolean() });
const place = { segment: 3, offset: 2 ** 40 };

/** As programs before the compact layout wrote it. */
function storedBefore(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer.u8(1).u32(0));
  return writer.finish();
}

function stored<Row>(table: Table<Row>, row: Row): Buffer {
  const writer = new ByteWriter();
  const { start, end } = encodeRow(writer, table, row, noCrc);
  return writer.finish().subarray(start, end);
}

test("a listing shows of a version what its whole row says, in either table", () => {
  fc.assert(
    fc.property(heads, objectRecords, fc.maxSafeNat(), (head, object, deletedMs) => {
      const { hlc, origin } = head.stamp;
      const version = head.nullSlot ? "null" : makeVersionId(hlc, origin);
      const row = { ...head, place, object };
      const shown = { kind: "object", version, listing: listingOf(object) };
      expect(decodeListedObject(stored(TABLES.object, row), noCrc)).toEqual(shown);
      const older = stored(TABLES.version, { kind: "object", row });
      expect(decodeListedVersion(older, noCrc)).toEqual(shown);
      const before = storedBefore((writer) => encodeObjectRow(writer, row));
      expect(decodeListedObject(before, noCrc)).toEqual(shown);
      const olderBefore = storedBefore((writer) => encodeObjectRow(writer.u8(1), row));
      expect(decodeListedVersion(olderBefore, noCrc)).toEqual(shown);
      const marker = stored(TABLES.version, { kind: "marker", row: { ...head, deletedMs } });
      const gone = { kind: "delete-marker", version, deletedMs };
      expect(decodeListedVersion(marker, noCrc)).toEqual(gone);
    }),
  );
});

test("a row that is cut off or of another kind is damage, and never shown", () => {
  fc.assert(
    fc.property(heads, objectRecords, (head, object) => {
      const row = { ...head, place, object };
      const whole = stored(TABLES.version, { kind: "object", row });
      const marker = stored(TABLES.version, { kind: "marker", row: { ...head, deletedMs: 5 } });
      for (const bytes of [whole, marker]) {
        const unknown = Buffer.from(bytes);
        unknown[5] = 99;
        expect(() => decodeListedVersion(unknown, noCrc)).toThrow("damaged index row");
        for (const end of [0, 4, 5, 6, 20, 30]) {
          const cut = bytes.subarray(0, end);
          expect(() => decodeListedVersion(cut, noCrc)).toThrow("damaged index row");
          expect(() => decodeListedObject(cut, noCrc)).toThrow("damaged index row");
        }
      }
      const slot = storedBefore((writer) => encodeObjectRow(writer, row));
      slot.writeUInt16LE(2, 5 + 38);
      expect(() => decodeListedObject(slot, noCrc)).toThrow("damaged index row");
    }),
  );
});

test("a row whose checksum does not hold is damage", () => {
  const head = { stamp: required(fc.sample(stamps, 1)[0], "stamp"), home: 1, nullSlot: false };
  const bytes = stored(TABLES.version, { kind: "marker", row: { ...head, deletedMs: 5 } });
  expect(() => decodeListedVersion(bytes, () => 1)).toThrow("damaged index row");
});

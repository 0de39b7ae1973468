import { describe, expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { objectRecords } from "../../../test/support/record-arbitraries.ts";
import { hlcs, origins } from "../../../test/support/value-arbitraries.ts";
import { ByteWriter } from "../../core/bytes.ts";
import { hlcMs } from "../../core/hlc.ts";
import { parseSeq } from "../../core/names.ts";
import { encodeObject } from "../../core/object-codec.ts";
import { required } from "../../core/tagged-fields.ts";
import type { Aspect, MetaRow } from "./meta-rows.ts";
import { joinMeta } from "./meta-rows.ts";
import { encodeObjectRow } from "./object-row.ts";
import { decodeRow, encodeRow, TABLES, type Table } from "./rows.ts";
import { writeStamp } from "./stamp.ts";
import type { VersionRow } from "./version-rows.ts";

const noCrc = (): number => 0;
const seq = required(parseSeq(7), "sequence");
const stamps = fc.record({ hlc: hlcs, origin: origins, seq: fc.constant(seq) });
const homes = fc.integer({ min: 1, max: 0xffff_ffff });
const places = fc.record({ segment: homes, offset: fc.integer({ min: 0, max: 2 ** 48 - 1 }) });
const objectRows = fc.record({
  ...{ stamp: stamps, home: homes, nullSlot: fc.boolean(), place: places },
  object: objectRecords,
});
const markerRows = fc.record({
  ...{ stamp: stamps, home: homes, nullSlot: fc.boolean() },
  deletedMs: fc.maxSafeNat(),
});

function stored<Row>(table: Table<Row>, row: Row): Row {
  const writer = new ByteWriter();
  const { start, end } = encodeRow(writer, table, row, noCrc);
  return decodeRow(table, writer.finish().subarray(start, end), noCrc);
}

/** A stored value of an older program: format, checksum, payload. */
function oldValue(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer.u8(1).u32(0));
  return writer.finish();
}

describe("a row", () => {
  test("of an object is read as it was written, whichever slot it stands in", () => {
    fc.assert(
      fc.property(objectRows, (row) => {
        expect(stored(TABLES.object, row)).toMatchObject(row);
      }),
    );
  });

  test("of a version or a delete marker is read as it was written", () => {
    fc.assert(
      fc.property(objectRows, markerRows, (object, marker) => {
        const versions: VersionRow[] = [
          { kind: "object", row: object },
          { kind: "marker", row: marker },
        ];
        for (const version of versions) {
          expect(stored(TABLES.version, version)).toMatchObject(version);
        }
      }),
    );
  });

  test("of a tombstone is read as it was written, now and before, and is short", () => {
    fc.assert(
      fc.property(stamps, homes, fc.option(fc.maxSafeNat()), (stamp, home, ms) => {
        const row = { stamp, home, deletedMs: ms ?? hlcMs(stamp.hlc) };
        expect(stored(TABLES.tombstone, row)).toEqual(row);
        const before = oldValue((writer) => {
          writeStamp(writer, stamp);
          writer.u32(home).u64(row.deletedMs);
        });
        expect(decodeRow(TABLES.tombstone, before, noCrc)).toEqual(row);
        const writer = new ByteWriter();
        encodeRow(writer, TABLES.tombstone, row, noCrc);
        if (ms === null) expect(writer.length).toBeLessThan(29);
      }),
    );
  });

  test("of changes is read as it was written", () => {
    const changes: ReadonlyArray<Aspect["change"]> = [
      { kind: "tags", tags: [["a", "b"]] },
      { kind: "retention", retention: { mode: "COMPLIANCE", untilMs: 2 ** 50 } },
      { kind: "retention", retention: undefined },
      { kind: "legal-hold", on: true },
      { kind: "encryption", envelope: Buffer.from("envelope") },
    ];
    fc.assert(
      fc.property(fc.array(fc.tuple(stamps, homes), { minLength: 6 }), (writes) => {
        const [target] = writes[0] ?? [];
        if (target === undefined) return;
        let row: MetaRow = { target: { hlc: target.hlc, origin: target.origin } };
        for (const [index, change] of changes.entries()) {
          const [stamp = target, home = 1] = writes[index + 1] ?? [];
          row = joinMeta(row, { stamp, home, change });
        }
        expect(stored(TABLES.meta, row)).toEqual(row);
      }),
    );
  });

  test("of usage that an older program wrote has nothing of what it did not count", () => {
    const value = oldValue((writer) => {
      for (const count of [3, 400, 1, 2, 5]) writer.varint(count);
    });
    expect(decodeRow(TABLES.usage, value, noCrc)).toEqual({
      ...{ objects: 3, bytes: 400, uploads: 1, tombstones: 2, prefixes: 5 },
      ...{ noncurrent: 0, markers: 0, voided: 0, metas: 0, conflicts: 0, marked: 0 },
    });
  });

  test("of an object is read as it was written before there was a compact layout", () => {
    fc.assert(
      fc.property(objectRows, (row) => {
        const current = oldValue((writer) => encodeObjectRow(writer, row));
        expect(decodeRow(TABLES.object, current, noCrc)).toMatchObject(row);
        const older = oldValue((writer) => encodeObjectRow(writer.u8(1), row));
        expect(decodeRow(TABLES.version, older, noCrc)).toMatchObject({ kind: "object", row });
      }),
    );
  });

  test("in a format that its table does not have is damage", () => {
    for (const format of [0, 2, 3]) {
      const value = oldValue((writer) => writer.varint(3));
      value[0] = format;
      expect(() => decodeRow(TABLES.usage, value, noCrc)).toThrow("damaged index row");
    }
  });

  test("of an object that an older program wrote stands in the null slot", () => {
    fc.assert(
      fc.property(objectRows, ({ stamp, home, place, object }) => {
        const value = oldValue((writer) => {
          writeStamp(writer, stamp);
          writer.u32(home).u32(place.segment).u64(place.offset);
          encodeObject(writer, object);
        });
        const row = decodeRow(TABLES.object, value, noCrc);
        expect(row).toMatchObject({ stamp, home, place, nullSlot: true });
      }),
    );
  });
});

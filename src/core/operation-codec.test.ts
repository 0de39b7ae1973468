import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { bucketOf, keyOf } from "../../test/sim/store-journal.ts";
import { decodedOrRefused, encoded } from "../../test/support/decoding.ts";
import { fc } from "../../test/support/properties.ts";
import { operations } from "../../test/support/record-arbitraries.ts";
import { damaged } from "../../test/support/value-arbitraries.ts";
import { ByteReader } from "./bytes.ts";
import { type Hlc, hlcFromMs } from "./hlc.ts";
import {
  chainAfter,
  decodeOperation,
  encodeOperation,
  encodeVectorField,
  OPERATION_LAYOUT,
  operationHeader,
} from "./operation-codec.ts";
import { FieldReader } from "./tagged-fields.ts";

/** An object and a site: records inside an operation. */
const RECORD_TAGS = [11, 47];
const ENVELOPE_BYTES = 61;

/** Whether the record inside has optional fields of a newer program, for which it has no room. */
function recordLosesFields(bytes: Buffer): boolean {
  const fields = new FieldReader(new ByteReader(bytes, ENVELOPE_BYTES), bytes.length);
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    if (!RECORD_TAGS.includes(tag)) {
      fields.view();
      continue;
    }
    const object = fields.view();
    const inner = new FieldReader(new ByteReader(object), object.length);
    for (let innerTag = inner.next(); innerTag !== 0; innerTag = inner.next()) {
      if (innerTag % 2 === 0) return true;
      inner.view();
    }
  }
  return false;
}

describe("operations", () => {
  test("come back as they were written, with the fields of newer programs", () => {
    fc.assert(
      fc.property(operations, (operation) => {
        expect(decodeOperation(encoded(encodeOperation, operation))).toEqual(operation);
      }),
    );
  });

  test("say what was seen with the field that can be had alone", () => {
    fc.assert(
      fc.property(operations, (operation) => {
        const vector = { ...operation.vector, full: true };
        const bytes = encoded(encodeOperation, { ...operation, vector });
        const field = encodeVectorField(vector.entries);
        const end = OPERATION_LAYOUT.fields + field.length;
        expect(bytes.subarray(OPERATION_LAYOUT.fields, end).equals(field)).toBe(true);
      }),
    );
  });

  test("have one encoding: whatever can be read is written again byte for byte", () => {
    const bytes = damaged(operations.map((operation) => encoded(encodeOperation, operation)));
    let read = 0;
    fc.assert(
      fc.property(bytes, (input) => {
        const operation = decodedOrRefused(() => decodeOperation(input));
        if (operation === "refused" || recordLosesFields(input)) return;
        expect(encoded(encodeOperation, operation)).toEqual(input);
        read++;
      }),
      { numRuns: 3000 },
    );
    expect(read).toBeGreaterThan(100);
  });

  test("are refused, and nothing worse, when they are noise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (input) => {
        decodedOrRefused(() => decodeOperation(input));
        decodedOrRefused(() => operationHeader(input));
      }),
      { numRuns: 2000 },
    );
  });

  test("tell origin, sequence, time and kind without being read", () => {
    fc.assert(
      fc.property(operations, (operation) => {
        const { dot, hlc, body } = operation;
        const header = operationHeader(encoded(encodeOperation, operation));
        expect(header).toEqual({ origin: dot.origin, seq: dot.seq, hlc, kind: body.kind });
      }),
    );
  });

  test("encode their vector the same in any order of its entries", () => {
    fc.assert(
      fc.property(operations, (operation) => {
        const reversed = new Map([...operation.vector.entries].reverse());
        const vector = { ...operation.vector, entries: reversed };
        expect(encoded(encodeOperation, { ...operation, vector })).toEqual(
          encoded(encodeOperation, operation),
        );
      }),
    );
  });

  test("of an unknown kind or critical field are refused as unsupported", () => {
    const [operation] = fc.sample(operations, { numRuns: 1, seed: 1 });
    if (operation === undefined) throw new Error("no sample");
    const unknownKind = encoded(encodeOperation, operation);
    unknownKind[24] = 200;
    expect(() => operationHeader(unknownKind)).toThrow(
      expect.objectContaining({ kind: "unsupported" }),
    );
    const unknownFields = [{ tag: 0x7f, bytes: Buffer.of(1) }];
    const unknownField = encoded(encodeOperation, { ...operation, unknownFields });
    expect(() => decodeOperation(unknownField)).toThrow(
      expect.objectContaining({ kind: "unsupported" }),
    );
  });

  test("that say a delete again for a time that has not come are refused", () => {
    const slot = { nullSlot: true, nullMarker: false, deletedMs: 5, standsAt: hlcFromMs(5) };
    const body = {
      kind: "object-delete",
      bucket: bucketOf("plain"),
      key: keyOf("k"),
      ...slot,
    } as const;
    const [sample] = fc.sample(operations, { numRuns: 1, seed: 1 });
    if (sample === undefined) throw new Error("no sample");
    const bytesAt = (hlc: Hlc) => encoded(encodeOperation, { ...sample, hlc, body });
    expect(decodeOperation(bytesAt(hlcFromMs(5))).body).toEqual(body);
    expect(() => decodeOperation(bytesAt(hlcFromMs(4)))).toThrow("stands behind itself");
    const marker = encoded(encodeOperation, { ...sample, body: { ...body, nullMarker: true } });
    expect(() => decodeOperation(marker)).toThrow("a marker elsewhere");
  });

  test("are chained by SHA-256 over the chain before and their bytes", () => {
    const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();
    const before = Buffer.alloc(32, 7);
    const bytes = Buffer.from("an operation");
    expect(chainAfter(sha256, before, bytes)).toEqual(sha256(Buffer.concat([before, bytes])));
  });
});

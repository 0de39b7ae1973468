import { describe, expect, test } from "vitest";
import { decodedOrRefused, encoded } from "../../test/support/decoding.ts";
import { fc } from "../../test/support/properties.ts";
import { objectRecords } from "../../test/support/record-arbitraries.ts";
import { damaged } from "../../test/support/value-arbitraries.ts";
import { ByteWriter, LayoutError } from "./bytes.ts";
import { decodeObject, encodeObject } from "./object-codec.ts";
import type { ObjectRecord } from "./records.ts";

const PLAIN: ObjectRecord = {
  size: 4096,
  etag: "9e107d9d372bb6826bd81d3542a419d6",
  lastModifiedMs: 1_795_000_000_000,
  attributes: {
    system: [["content-type", "text/plain"]],
    user: [],
    storageClass: undefined,
    tags: [],
  },
  checksums: [{ algorithm: "CRC64NVME", type: "FULL_OBJECT", value: "AAECAwQFBgc=" }],
  parts: [],
  encryption: undefined,
  body: { kind: "inline", bytes: 4096 },
};

function plainWith(changes: Partial<ObjectRecord>): Buffer {
  return encoded(encodeObject, { ...PLAIN, ...changes });
}

describe("objects", () => {
  test("come back as they were written", () => {
    fc.assert(
      fc.property(objectRecords, (record) => {
        expect(decodeObject(encoded(encodeObject, record))).toEqual(record);
      }),
    );
  });

  test("have one encoding: damaged bytes are refused or are another object's", () => {
    const bytes = damaged(objectRecords.map((record) => encoded(encodeObject, record)));
    fc.assert(
      fc.property(bytes, (input) => {
        const record = decodedOrRefused(() => decodeObject(input));
        if (record === "refused") return;
        const again = encoded(encodeObject, record);
        // Optional fields of a newer program have even tags and are passed over.
        if (again.length === input.length) expect(again).toEqual(input);
        else expect(again.length).toBeLessThan(input.length);
      }),
      { numRuns: 2000 },
    );
  });

  test("are refused, and nothing worse, when they are noise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (input) => {
        decodedOrRefused(() => decodeObject(input));
      }),
      { numRuns: 2000 },
    );
  });

  test("of four kilobytes are small and start with what every request needs", () => {
    const bytes = encoded(encodeObject, PLAIN);
    expect(bytes.length).toBeLessThan(100);
    expect(bytes[0]).toBe(1);
  });

  test.each([
    ["9e107d9d372bb6826bd81d3542a419d6", 17],
    ["9e107d9d372bb6826bd81d3542a419d6-12", 18],
    ["9e107d9d372bb6826bd81d3542a419d6-10000", 19],
    ["9E107D9D372BB6826BD81D3542A419D6", 33],
    ["", 1],
  ])("keep the ETag %j in %d bytes", (etag, size) => {
    const without = plainWith({ etag: "" }).length - 1;
    const bytes = plainWith({ etag });
    expect(bytes.length - without).toBe(size);
    expect(decodeObject(bytes).etag).toBe(etag);
  });

  test("of an unknown optional field lose the field and keep the rest", () => {
    const bytes = Buffer.concat([encoded(encodeObject, PLAIN), Buffer.of(0x7e, 2, 1, 2)]);
    expect(decodeObject(bytes)).toEqual(PLAIN);
  });

  test("of an unknown critical field are refused as unsupported", () => {
    const bytes = Buffer.concat([encoded(encodeObject, PLAIN), Buffer.of(0x7f, 0)]);
    expect(() => decodeObject(bytes)).toThrow(expect.objectContaining({ kind: "unsupported" }));
  });

  test("without a body are refused", () => {
    const bytes = new ByteWriter().bytes(Buffer.of(1, 1, 5, 3, 1, 5, 5, 1, 2)).finish();
    expect(() => decodeObject(bytes)).toThrow(new LayoutError("body is missing or not valid"));
  });

  test("share no memory with their bytes", () => {
    const record = { ...PLAIN, encryption: Buffer.from("sealed") };
    const bytes = encoded(encodeObject, record);
    const read = decodeObject(bytes);
    bytes.fill(0xff);
    expect(read).toEqual(record);
  });
});

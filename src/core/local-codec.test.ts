import { describe, expect, test } from "vitest";
import { decodedOrRefused, encoded } from "../../test/support/decoding.ts";
import { localRecords } from "../../test/support/local-record-arbitraries.ts";
import { fc } from "../../test/support/properties.ts";
import { damaged } from "../../test/support/value-arbitraries.ts";
import { decodeLocal, encodeLocal } from "./local-codec.ts";

describe("local records", () => {
  test("come back as they were written", () => {
    fc.assert(
      fc.property(localRecords, (record) => {
        expect(decodeLocal(encoded(encodeLocal, record))).toEqual(record);
      }),
      { numRuns: 300 },
    );
  });

  test("are refused, and nothing worse, when they are damaged", () => {
    const bytes = damaged(localRecords.map((record) => encoded(encodeLocal, record)));
    fc.assert(
      fc.property(bytes, (input) => {
        decodedOrRefused(() => decodeLocal(input));
      }),
      { numRuns: 2000 },
    );
  });

  test("are refused, and nothing worse, when they are noise", () => {
    const noise = fc.tuple(fc.nat({ max: 8 }), fc.uint8Array({ maxLength: 100 }));
    fc.assert(
      fc.property(noise, ([kind, rest]) => {
        decodedOrRefused(() => decodeLocal(Buffer.concat([Buffer.of(kind), rest])));
      }),
      { numRuns: 2000 },
    );
  });

  test("of an unknown kind are refused as unsupported", () => {
    expect(() => decodeLocal(Buffer.of(250))).toThrow(
      expect.objectContaining({ kind: "unsupported" }),
    );
  });
});

import { describe, expect, test } from "vitest";
import { decodedOrRefused } from "../../test/support/decoding.ts";
import { fc } from "../../test/support/properties.ts";
import { contentHashes, damaged } from "../../test/support/value-arbitraries.ts";
import { decodeManifest, encodeManifest } from "./manifest-codec.ts";

const lists = fc.array(
  fc.record({ hash: contentHashes, bytes: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  { maxLength: 5 },
);

describe("manifests", () => {
  test("come back as they were written", () => {
    fc.assert(
      fc.property(lists, (chunks) => {
        expect(decodeManifest(encodeManifest(chunks))).toEqual(chunks);
      }),
    );
  });

  test("have one encoding: whatever can be read is written again byte for byte", () => {
    fc.assert(
      fc.property(damaged(lists.map(encodeManifest)), (input) => {
        const chunks = decodedOrRefused(() => decodeManifest(input));
        if (chunks !== "refused") expect(encodeManifest(chunks)).toEqual(input);
      }),
      { numRuns: 1000 },
    );
  });
});

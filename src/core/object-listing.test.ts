import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { objectRecords } from "../../test/support/record-arbitraries.ts";
import { ByteWriter } from "./bytes.ts";
import { encodeObject } from "./object-codec.ts";
import { decodeListing } from "./object-listing.ts";

test("a listing shows what the whole object says", () => {
  fc.assert(
    fc.property(objectRecords, (record) => {
      const writer = new ByteWriter();
      writer.u32(7);
      encodeObject(writer, record);
      expect(decodeListing(writer.finish(), 4)).toEqual({
        size: record.size,
        etag: record.etag,
        lastModifiedMs: record.lastModifiedMs,
        storageClass: record.attributes.storageClass,
        checksumAlgorithms: record.checksums.map(({ algorithm }) => algorithm),
        checksumType: record.checksums[0]?.type,
      });
    }),
  );
});

import { expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { objectRecords } from "../../../test/support/record-arbitraries.ts";
import { ByteWriter } from "../../core/bytes.ts";
import { encodeObject } from "../../core/object-codec.ts";
import {
  decodeListing,
  ListingFields,
  type ObjectListing,
  readListing,
} from "../../core/object-listing.ts";
import type { ListedRow } from "../../storage/store.ts";
import { readEncoding } from "../list/wish.ts";
import { parseQuery } from "../target.ts";
import { escapeXml } from "../xml/writer.ts";
import { listingElements, ownerElement } from "./listing-xml.ts";
import { ObjectRows } from "./object-rows.ts";

type Listed = { readonly row: ListedRow; readonly key: string; readonly listing: ObjectListing };

/** Dates beyond have another form. */
const YEAR_10000_MS = 253_402_300_800_000;

/** A row as a walk stands at it, in the middle of other bytes. */
const rows: fc.Arbitrary<Listed> = fc
  .record({
    record: objectRecords,
    key: fc.oneof(
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }),
      fc.constantFrom(
        "a/b c",
        "<&>\"'",
        "\uffee\uffff",
        "\u0001\r\n",
        "x".repeat(1024),
        "&".repeat(1024),
      ),
    ),
  })
  .filter(({ key }) => key.isWellFormed())
  .map(({ record, key }) => {
    const writer = new ByteWriter();
    writer.u32(7);
    encodeObject(writer, { ...record, lastModifiedMs: record.lastModifiedMs % YEAR_10000_MS });
    const value = writer.finish();
    const listing = decodeListing(value, 4);
    const fields = new ListingFields();
    const isUsual = readListing(Buffer.concat([value, value]), 4, value.length, fields);
    const bytes = Buffer.from(`..${key}..`);
    const row: ListedRow = {
      ...{ key: bytes, keyStart: 2, keyEnd: bytes.length - 2, value, fields },
      unusual: isUsual ? undefined : listing,
    };
    return { row, key, listing };
  });

test.each(["", "encoding-type=url"])(
  "rows with %j are written as their texts would be",
  (query) => {
    const encoding = readEncoding(parseQuery(query));
    const owners = fc.constantFrom("", ownerElement("owner"), ownerElement("é<".repeat(3000)));
    fc.assert(
      fc.property(fc.array(rows, { maxLength: 60 }), owners, (listed, owner) => {
        const written = new ObjectRows(encoding, owner);
        for (const { row } of listed) written.write(row);
        const expected = listed.map(({ key, listing }) => {
          const shown = escapeXml(encoding.encode(key));
          return `<Contents><Key>${shown}</Key>${listingElements(listing, owner)}</Contents>`;
        });
        const text = Buffer.from(written.finish("<é>", "</é>")).toString("utf8");
        expect(text).toBe(`<é>${expected.join("")}</é>`);
      }),
    );
  },
);

test("a head that is longer than the room for it stands in front all the same", () => {
  const head = "é".repeat(3000);
  const written = new ObjectRows(readEncoding(parseQuery("")), "");
  expect(Buffer.from(written.finish(head, "end")).toString("utf8")).toBe(`${head}end`);
});

import { describe, expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { siteRecords } from "../../../test/support/record-arbitraries.ts";
import { ByteWriter } from "../../core/bytes.ts";
import { parseHlc } from "../../core/hlc.ts";
import { parseOriginId, parseSeq, parseSiteId } from "../../core/names.ts";
import type { SiteRecord } from "../../core/site-record.ts";
import { required } from "../../core/tagged-fields.ts";
import { decodeRow, encodeRow, TABLES } from "./rows.ts";
import { joinSites, memberOf, type SiteEntry, type SiteRow } from "./site-rows.ts";

const [FIRST, SECOND] = ["0a".repeat(8), "1b".repeat(8)].map((text) =>
  required(parseOriginId(text), "origin"),
);
const SITE: SiteRecord = {
  id: required(parseSiteId("11".repeat(8)), "site"),
  name: "paris",
  publicKey: "00".repeat(32),
  addresses: [],
  certificates: [],
  origins: [required(FIRST, "origin")],
  state: "active",
  featureLevel: 1,
  insecure: false,
};

function entryOf(site: SiteRecord, at: number): SiteEntry {
  return {
    home: at,
    operation: {
      dot: { origin: required(SECOND, "origin"), seq: required(parseSeq(at), "sequence") },
      hlc: required(parseHlc(BigInt(at) << 16n), "reading"),
      chainBefore: Buffer.alloc(32),
      vector: { full: false, entries: new Map() },
      group: undefined,
      body: { kind: "site-put", site },
      unknownFields: [],
    },
  };
}

function rowOf(entries: readonly SiteEntry[]): SiteRow {
  const row = entries.reduce<SiteRow | undefined>(joinSites, undefined);
  return required(row, "row");
}

describe("what is said about a site", () => {
  test("comes to the same in any order, however often, and as few operations as say it", () => {
    const histories = fc
      .array(siteRecords, { minLength: 1, maxLength: 7 })
      .map((sites) => sites.map((site, index) => entryOf(site, index + 1)))
      .chain((entries) =>
        fc.tuple(
          fc.constant(entries),
          fc.shuffledSubarray(entries, { minLength: entries.length }),
          fc.shuffledSubarray(entries),
        ),
      );
    fc.assert(
      fc.property(histories, ([entries, shuffled, again]) => {
        const row = rowOf(entries);
        expect(rowOf([...shuffled, ...again])).toEqual(row);
        // A rebuild meets only the operations that the row keeps in the log.
        expect(rowOf(row.entries)).toEqual(row);
        const all = memberOf({ entries: entries.toReversed() });
        expect(memberOf(row)).toEqual(all);
      }),
    );
  });

  test("is read as it was written", () => {
    fc.assert(
      fc.property(fc.array(siteRecords, { minLength: 1, maxLength: 3 }), (sites) => {
        const row = rowOf(sites.map((site, index) => entryOf(site, index + 1)));
        const writer = new ByteWriter();
        const { start, end } = encodeRow(writer, TABLES.site, row, () => 0);
        expect(decodeRow(TABLES.site, writer.view().subarray(start, end), () => 0)).toEqual(row);
      }),
    );
  });

  test("is that it was removed, also when a member that had not heard of it speaks later", () => {
    const removed = entryOf({ ...SITE, state: "removed" }, 1);
    const renamed = entryOf({ ...SITE, name: "lyon" }, 2);
    const member = memberOf(rowOf([removed, renamed]));
    expect(member).toMatchObject({ name: "lyon", state: "removed", removedOrigins: [FIRST] });
  });

  test("is that it is back when it has an origin that nobody removed", () => {
    const removed = entryOf({ ...SITE, state: "removed" }, 1);
    const back = entryOf({ ...SITE, origins: [required(SECOND, "origin")] }, 2);
    expect(memberOf(rowOf([removed, back]))).toMatchObject({
      state: "active",
      origins: [FIRST, SECOND],
      removedOrigins: [FIRST],
    });
  });
});

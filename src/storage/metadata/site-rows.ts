import { assert } from "../../core/assert.ts";
import { type ByteReader, ByteWriter, LayoutError } from "../../core/bytes.ts";
import { laterStamp } from "../../core/lww.ts";
import { decodeOperation, encodeOperation } from "../../core/operation-codec.ts";
import type { Operation, OperationBody } from "../../core/records.ts";
import { joinSiteRecords, type MemberSite, type SiteRecord } from "../../core/site-record.ts";
import type { Stamp } from "./stamp.ts";

/** One operation about a site that still counts, and the segment that holds it. */
export type SiteEntry = { readonly home: number; readonly operation: SiteOperation };
export type SiteOperation = Operation & {
  readonly body: Extract<OperationBody, { kind: "site-put" }>;
};

/**
 * What is said about one site, latest first: the last word, and of every incarnation the last
 * operation that names it as a member and the last that removes it. Those are the greatest of a
 * set, so that the row does not depend on the order in which operations come.
 */
export type SiteRow = { readonly entries: readonly SiteEntry[] };

const scratch = new ByteWriter();

/** Sites by id. */
export const SITE_TABLES = {
  site: {
    prefix: "j",
    encode: (writer: ByteWriter, row: SiteRow) => {
      writer.varint(row.entries.length);
      for (const { home, operation } of row.entries) {
        scratch.reset();
        encodeOperation(scratch, operation);
        writer.u32(home).sized(scratch.view());
      }
    },
    decode: (reader: ByteReader): SiteRow => {
      const entries: SiteEntry[] = [];
      for (let count = reader.varint(); count > 0; count--) {
        const home = reader.u32();
        entries.push({ home, operation: siteOperation(decodeOperation(reader.sized())) });
      }
      if (entries.length === 0) throw new LayoutError("a site about which nothing is said");
      return { entries };
    },
  },
} as const;

function siteOperation(operation: Operation): SiteOperation {
  const { body } = operation;
  if (body.kind !== "site-put") throw new LayoutError("an operation of another kind");
  return { ...operation, body };
}

/** The row with one more operation; those that say nothing of their own any more are left out. */
export function joinSites(row: SiteRow | undefined, next: SiteEntry): SiteRow {
  const known = row?.entries ?? [];
  if (known.some((entry) => isSame(entry, next))) return { entries: known };
  const entries = [...known, next].sort(laterFirst);
  const named = new Set<string>();
  return {
    entries: entries.filter(({ operation: { body } }, index) => {
      const names = body.site.origins.map((origin) => `${body.site.state} ${origin}`);
      const isNews = names.some((name) => !named.has(name));
      for (const name of names) named.add(name);
      return isNews || index === 0;
    }),
  };
}

function isSame(left: SiteEntry, right: SiteEntry): boolean {
  const [one, other] = [left.operation.dot, right.operation.dot];
  return one.origin === other.origin && one.seq === other.seq;
}

function laterFirst(left: SiteEntry, right: SiteEntry): number {
  return laterStamp(stampOf(left), stampOf(right)) ? -1 : 1;
}

function stampOf({ operation }: SiteEntry): Stamp {
  return { hlc: operation.hlc, ...operation.dot };
}

/** The site that a row is about. */
export function memberOf(row: SiteRow): MemberSite {
  const records: SiteRecord[] = row.entries.map(({ operation }) => operation.body.site);
  const [latest, ...others] = records;
  assert(latest !== undefined, "a site about which nothing is said");
  return joinSiteRecords(latest, others);
}

import { parseOriginId, parseSiteId } from "../../src/core/names.ts";
import type { SiteRecord } from "../../src/core/site-record.ts";
import { required } from "../../src/core/tagged-fields.ts";

/** What is said of a member that nothing speaks for, by the hex digit that its ids are of. */
export function memberRecord(digit: string, changes: Partial<SiteRecord> = {}): SiteRecord {
  return {
    id: required(parseSiteId(digit.repeat(16)), "site"),
    origins: [required(parseOriginId(digit.repeat(16)), "origin")],
    ...{ name: "paris", publicKey: "00".repeat(32), addresses: [], certificates: [] },
    ...{ state: "active", featureLevel: 1, insecure: false },
    ...changes,
  };
}

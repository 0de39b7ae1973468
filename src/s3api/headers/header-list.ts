import type { RequestHeaders } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";

type Entries = ReadonlyArray<readonly [name: string, value: string]>;

/** Headers from a list or a record, for what did not come as header lines. Names in lower case. */
export function headersOf(source: Entries | Readonly<Record<string, string>>): RequestHeaders {
  const entries: Entries = isEntries(source) ? source : Object.entries(source);
  const values = new Map<string, string>();
  const counts = new Map<string, number>();
  for (const [name, value] of entries) {
    const earlier = values.get(name);
    values.set(name, earlier === undefined ? value : `${earlier},${value}`);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return {
    names: entries.map(([name]) => name),
    entries,
    get: (name) => values.get(name),
    count: (name) => counts.get(name) ?? 0,
  };
}

function isEntries(source: Entries | Readonly<Record<string, string>>): source is Entries {
  return Array.isArray(source);
}

/** RFC 9110, section 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What a header line can hold: no control characters but the tab. */
const HEADER_TEXT = /^[\t\x20-\x7e\x80-\uffff]*$/;

/**
 * Refuses what is to be taken for a header and could not have come as one: metadata under such a
 * name could never be shown again.
 */
export function requireHeaderLine(name: string, value: string): void {
  if (HEADER_NAME.test(name) && HEADER_TEXT.test(value)) return;
  throw new S3Error("InvalidArgument", {
    message:
      "A field that stands for a header must have a name and a value that a header can have.",
    fields: { ArgumentName: encodeURIComponent(name), ArgumentValue: encodeURIComponent(value) },
  });
}

/** What a presigned URL says about its own signature; never a header in disguise. */
const SIGNATURE_PARAMETERS = new Set([
  "x-amz-algorithm",
  "x-amz-content-sha256",
  "x-amz-credential",
  "x-amz-date",
  "x-amz-expires",
  "x-amz-security-token",
  "x-amz-signature",
  "x-amz-signedheaders",
]);

/**
 * A presigner has no body to sum up, so that its checksum is that of nothing; S3 does not check it.
 */
const PRESIGNED_CHECKSUM = /^x-amz-(checksum-(crc32|crc32c|crc64nvme|sha1|sha256)|trailer)$/;
const PRESIGNED_ALGORITHM = "x-amz-sdk-checksum-algorithm";

/**
 * SDKs move `x-amz-` headers into the query when they presign, and S3 obeys them there. They join
 * the real headers, so that none of them is overlooked; a header that came as such wins.
 */
export function withHoistedHeaders(headers: RequestHeaders, query: Entries): RequestHeaders {
  const hoisted: Array<readonly [string, string]> = [];
  for (const [parameter, value] of query) {
    const name = parameter.toLowerCase();
    if (!isHoistedHeader(name) || headers.get(name) !== undefined) continue;
    requireHeaderLine(name, value);
    hoisted.push([name, value]);
  }
  return hoisted.length === 0 ? headers : headersOf([...headers.entries, ...hoisted]);
}

/** Whether a query parameter stands for a header; `name` in lower case. */
function isHoistedHeader(name: string): boolean {
  if (!name.startsWith("x-amz-") || SIGNATURE_PARAMETERS.has(name)) return false;
  return !PRESIGNED_CHECKSUM.test(name) && name !== PRESIGNED_ALGORITHM;
}

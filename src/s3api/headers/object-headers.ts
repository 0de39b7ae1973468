import { LIMITS } from "../../core/limits.ts";
import type { ObjectAttributes, ObjectRecord, StoredChecksum } from "../../core/records.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";
import type { Query } from "../target.ts";
import { formatHttpDate } from "./dates.ts";
import { keptAcl } from "./object-acl.ts";
import { parseTaggingHeader } from "./tagging-header.ts";

export type HeaderLines = Array<readonly [name: string, value: string]>;
type Pair = readonly [string, string];

const CONTENT_TYPE = "content-type";
const META_PREFIX = "x-amz-meta-";
const REDIRECT_HEADER = "x-amz-website-redirect-location";
/** What an object without a content type has: it is not stored, in a row for every object. */
const DEFAULT_CONTENT_TYPE = "binary/octet-stream";

/** System metadata by request header; the value is how the header is spelt in the answer. */
const SYSTEM_HEADERS: ReadonlyMap<string, string> = new Map([
  ["cache-control", "Cache-Control"],
  ["content-disposition", "Content-Disposition"],
  ["content-encoding", "Content-Encoding"],
  ["content-language", "Content-Language"],
  [CONTENT_TYPE, "Content-Type"],
  ["expires", "Expires"],
  [REDIRECT_HEADER, REDIRECT_HEADER],
]);

/** One kind of storage is what we have; the classes that promise no less are kept as labels. */
const STORAGE_CLASSES = new Set([
  "STANDARD",
  "REDUCED_REDUNDANCY",
  "STANDARD_IA",
  "ONEZONE_IA",
  "INTELLIGENT_TIERING",
  "GLACIER_IR",
]);
const COLD_CLASSES = new Set(["GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "SNOW", "EXPRESS_ONEZONE"]);

/** Reads what a client says about an object it stores. Hot path: one pass over the headers. */
export function readObjectAttributes(headers: RequestHeaders): ObjectAttributes {
  const system: Pair[] = [];
  const user: Pair[] = [];
  for (const [name, value] of headers.entries) {
    if (name.startsWith(META_PREFIX)) {
      addUserMetadata(user, name.slice(META_PREFIX.length), value);
    } else if (SYSTEM_HEADERS.has(name)) {
      const kept = name === "content-encoding" ? withoutAwsChunked(value) : value;
      if (kept === "" || (name === CONTENT_TYPE && kept === DEFAULT_CONTENT_TYPE)) continue;
      if (name === REDIRECT_HEADER) checkRedirect(kept);
      if (headers.count(name) > 1 && system.some(([earlier]) => earlier === name)) continue;
      system.push([name, kept]);
    }
  }
  const acl = keptAcl(headers);
  if (acl !== undefined) system.push(acl);
  if (system.length > 1) system.sort(byName);
  if (user.length > 0) {
    user.sort(byName);
    checkUserMetadataSize(user);
  }
  return {
    system,
    user,
    storageClass: readStorageClass(headers),
    tags: parseTaggingHeader(headers.get("x-amz-tagging")),
  };
}

/** AWS takes a key of the same bucket, or an address on the web. */
function checkRedirect(location: string): void {
  if (!/^(?:\/|https?:\/\/)/.test(location)) throw new S3Error("InvalidRedirectLocation");
}

function byName(left: Pair, right: Pair): number {
  return left[0] < right[0] ? -1 : left[0] > right[0] ? 1 : 0;
}

/** S3 joins repeated metadata headers with a comma. */
function addUserMetadata(user: Pair[], name: string, value: string): void {
  for (let index = 0; index < user.length; index++) {
    const earlier = user[index];
    if (earlier !== undefined && earlier[0] === name) {
      user[index] = [name, `${earlier[1]},${value}`];
      return;
    }
  }
  user.push([name, value]);
}

function checkUserMetadataSize(user: readonly Pair[]): void {
  let bytes = 0;
  for (const [name, value] of user) bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  if (bytes > LIMITS.userMetadataBytesMax) {
    throw new S3Error("MetadataTooLarge", {
      fields: { Size: String(bytes), MaxSizeAllowed: String(LIMITS.userMetadataBytesMax) },
    });
  }
}

/** `aws-chunked` describes the transfer, not the object. */
function withoutAwsChunked(value: string): string {
  if (!value.includes("aws-chunked")) return value;
  return value
    .split(",")
    .map((coding) => coding.trim())
    .filter((coding) => coding !== "aws-chunked" && coding !== "")
    .join(",");
}

/** `x-amz-storage-class`; undefined for STANDARD, which S3 never shows in headers. */
function readStorageClass(headers: RequestHeaders): string | undefined {
  const value = headers.get("x-amz-storage-class");
  if (value === undefined || value === "STANDARD") return undefined;
  if (STORAGE_CLASSES.has(value)) return value;
  if (COLD_CLASSES.has(value)) {
    // These promise that a GET is refused until the object is restored, which we do not do.
    throw new S3Error("NotImplemented", { fields: { Header: "x-amz-storage-class" } });
  }
  throw new S3Error("InvalidStorageClass", { fields: { StorageClassRequested: value } });
}

const RESPONSE_OVERRIDES: ReadonlyArray<readonly [parameter: string, header: string]> = [
  ["response-cache-control", "Cache-Control"],
  ["response-content-disposition", "Content-Disposition"],
  ["response-content-encoding", "Content-Encoding"],
  ["response-content-language", "Content-Language"],
  ["response-content-type", "Content-Type"],
  ["response-expires", "Expires"],
];

/** The headers a signed GET or HEAD replaces in the answer; undefined when there are none. */
export function readResponseOverrides(
  query: Query,
  signed: boolean,
): ReadonlyMap<string, string> | undefined {
  if (query.entries.length === 0) return undefined;
  let overrides: Map<string, string> | undefined;
  for (const [parameter, header] of RESPONSE_OVERRIDES) {
    const value = query.get(parameter);
    if (value === undefined) continue;
    if (!signed) {
      throw new S3Error("InvalidRequest", {
        message: "Request specific response headers cannot be used for anonymous GET requests.",
      });
    }
    if (!isHeaderSafe(value)) {
      throw new S3Error("InvalidArgument", {
        fields: { ArgumentName: parameter, ArgumentValue: encodeURIComponent(value) },
      });
    }
    overrides ??= new Map();
    overrides.set(header, value);
  }
  return overrides;
}

/** Nothing that could end a header line or confuse who reads it. */
function isHeaderSafe(value: string): boolean {
  for (let index = 0; index < value.length; index++) {
    const unit = value.charCodeAt(index);
    if ((unit < 0x20 && unit !== 0x09) || unit === 0x7f) return false;
  }
  return value.isWellFormed();
}

/** The headers that describe a stored object, for GET and HEAD. Hot path. */
export function objectHeaders(
  record: ObjectRecord,
  overrides: ReadonlyMap<string, string> | undefined,
): HeaderLines {
  const lines: HeaderLines = [
    ["ETag", `"${record.etag}"`],
    ["Last-Modified", formatHttpDate(record.lastModifiedMs)],
    ["Accept-Ranges", "bytes"],
  ];
  const { system, user, storageClass } = record.attributes;
  let hasType = overrides?.has("Content-Type") === true;
  for (const [name, value] of system) {
    if (name === CONTENT_TYPE) hasType = true;
    const header = SYSTEM_HEADERS.get(name);
    if (header !== undefined && overrides?.has(header) !== true) lines.push([header, value]);
  }
  if (!hasType) lines.push(["Content-Type", DEFAULT_CONTENT_TYPE]);
  if (overrides !== undefined) for (const [header, value] of overrides) lines.push([header, value]);
  for (const [name, value] of user) lines.push([META_PREFIX + name, mailSafe(value)]);
  if (storageClass !== undefined) lines.push(["x-amz-storage-class", storageClass]);
  return lines;
}

/**
 * Values beyond printable ASCII go out as one RFC 2047 word, as S3 does; encoded words that a
 * client stored are ASCII and come back as they were.
 */
export function mailSafe(value: string): string {
  for (let index = 0; index < value.length; index++) {
    const unit = value.charCodeAt(index);
    if ((unit < 0x20 && unit !== 0x09) || unit > 0x7e) {
      return `=?UTF-8?B?${Buffer.from(value).toString("base64")}?=`;
    }
  }
  return value;
}

/** Checksum headers, for requests with `x-amz-checksum-mode: ENABLED`. */
export function pushChecksums(lines: HeaderLines, checksums: readonly StoredChecksum[]): void {
  for (const { algorithm, value } of checksums) {
    lines.push([`x-amz-checksum-${algorithm.toLowerCase()}`, value]);
  }
  const first = checksums[0];
  if (first !== undefined) lines.push(["x-amz-checksum-type", first.type]);
}

/** Whether a read wants the stored checksums. */
export function wantsChecksums(headers: RequestHeaders): boolean {
  const mode = headers.get("x-amz-checksum-mode");
  return mode !== undefined && mode.toUpperCase() === "ENABLED";
}

import type { ObjectRecord } from "../../core/records.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import type { WriteConditions } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { parseHttpDate } from "./dates.ts";

/** One entry of `If-Match` or `If-None-Match`; `value` is without quotes, "*" means any object. */
export type EntityTag = { readonly value: string; readonly weak: boolean };

export type ReadConditions = {
  readonly ifMatch: readonly EntityTag[] | undefined;
  readonly ifNoneMatch: readonly EntityTag[] | undefined;
  readonly ifModifiedSinceMs: number | undefined;
  readonly ifUnmodifiedSinceMs: number | undefined;
};

export type ReadVerdict =
  | { readonly kind: "proceed" }
  | { readonly kind: "not-modified" }
  | { readonly kind: "failed"; readonly condition: string };

const PROCEED: ReadVerdict = { kind: "proceed" };
const NOT_MODIFIED: ReadVerdict = { kind: "not-modified" };
/** Quoted tags may hold commas; bare ones are what many S3 clients send. */
const TAG = /\s*(W\/)?(?:"([^"]*)"|([^\s",]+))\s*(?:,|$)/y;

/** Reads a list of entity tags; a text that is no such list, from end to end, matches nothing. */
export function parseEntityTags(header: string): readonly EntityTag[] {
  const tags: EntityTag[] = [];
  let readTo = 0;
  TAG.lastIndex = 0;
  for (let match = TAG.exec(header); match !== null; match = TAG.exec(header)) {
    tags.push({ value: match[2] ?? match[3] ?? "", weak: match[1] !== undefined });
    readTo = TAG.lastIndex;
    if (readTo >= header.length) break;
  }
  TAG.lastIndex = 0;
  return header.slice(readTo).trim() === "" ? tags : [];
}

/**
 * The read conditionals of a GET or HEAD; undefined when there are none, as on the hot path. AWS
 * takes an If-Modified-Since that is still to come for no condition.
 */
export function readConditions(
  headers: RequestHeaders,
  nowMs: () => number,
  prefix = "",
): ReadConditions | undefined {
  const match = headers.get(`${prefix}if-match`);
  const noneMatch = headers.get(`${prefix}if-none-match`);
  const modified = headers.get(`${prefix}if-modified-since`);
  const unmodified = headers.get(`${prefix}if-unmodified-since`);
  if (match === undefined && noneMatch === undefined) {
    if (modified === undefined && unmodified === undefined) return undefined;
  }
  const sinceMs = modified === undefined ? undefined : parseHttpDate(modified);
  return {
    ifMatch: match === undefined ? undefined : parseEntityTags(match),
    ifNoneMatch: noneMatch === undefined ? undefined : parseEntityTags(noneMatch),
    ifModifiedSinceMs: sinceMs !== undefined && sinceMs <= nowMs() ? sinceMs : undefined,
    ifUnmodifiedSinceMs: unmodified === undefined ? undefined : parseHttpDate(unmodified),
  };
}

/**
 * AWS's order: a true If-Match makes If-Unmodified-Since moot, an If-None-Match that finds no match
 * makes If-Modified-Since moot, and a failed precondition goes before "not modified".
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
 */
export function judgeRead(
  conditions: ReadConditions,
  object: Pick<ObjectRecord, "etag" | "lastModifiedMs">,
): ReadVerdict {
  // HTTP dates have no fractions of a second.
  const modifiedMs = Math.floor(object.lastModifiedMs / 1000) * 1000;
  if (conditions.ifMatch !== undefined) {
    if (!matches(conditions.ifMatch, object.etag, false)) {
      return { kind: "failed", condition: "If-Match" };
    }
  } else if (
    conditions.ifUnmodifiedSinceMs !== undefined &&
    modifiedMs > conditions.ifUnmodifiedSinceMs
  ) {
    return { kind: "failed", condition: "If-Unmodified-Since" };
  }
  if (conditions.ifNoneMatch !== undefined) {
    return matches(conditions.ifNoneMatch, object.etag, true) ? NOT_MODIFIED : PROCEED;
  }
  const sinceMs = conditions.ifModifiedSinceMs;
  return sinceMs !== undefined && modifiedMs <= sinceMs ? NOT_MODIFIED : PROCEED;
}

/** If-Match compares strongly: a weak tag never matches; If-None-Match weakly (RFC 9110). */
function matches(tags: readonly EntityTag[], etag: string, weakly: boolean): boolean {
  for (const tag of tags) {
    if (tag.weak && !weakly) continue;
    if (tag.value === "*" || tag.value === etag) return true;
  }
  return false;
}

type Judged = Pick<ObjectRecord, "etag" | "lastModifiedMs">;

/**
 * The conditions on the source of a copy or a rename, which that header names: gives the one that a
 * source does not meet, if any. There is no "not modified" here. What nobody can read is refused:
 * a read without its condition shows too much at worst, this would replace what was to be kept.
 */
export function readSourceConditions(
  headers: RequestHeaders,
  nowMs: () => number,
  header: string,
): ((source: Judged) => string | undefined) | undefined {
  const conditions = readConditions(headers, nowMs, `${header}-`);
  if (conditions === undefined) return undefined;
  if (conditions.ifNoneMatch?.length === 0) throw unreadable(headers, `${header}-if-none-match`);
  for (const date of [`${header}-if-modified-since`, `${header}-if-unmodified-since`]) {
    const text = headers.get(date);
    if (text !== undefined && parseHttpDate(text) === undefined) throw unreadable(headers, date);
  }
  const last = conditions.ifNoneMatch === undefined ? "If-Modified-Since" : "If-None-Match";
  return (source) => {
    const verdict = judgeRead(conditions, source);
    if (verdict.kind === "proceed") return undefined;
    return `${header}-${verdict.kind === "failed" ? verdict.condition : last}`;
  };
}

function unreadable(headers: RequestHeaders, name: string): S3Error {
  return new S3Error("InvalidArgument", {
    message: "This condition on the source cannot be read.",
    fields: { ArgumentName: name, ArgumentValue: headers.get(name) ?? "" },
  });
}

/** The conditions on the source of a copy: each that does not hold is a failed precondition. */
export function checkCopySource(
  headers: RequestHeaders,
  source: Judged,
  nowMs: () => number,
): void {
  const unmet = readSourceConditions(headers, nowMs, "x-amz-copy-source")?.(source);
  if (unmet === undefined) return;
  throw new S3Error("PreconditionFailed", { fields: { Condition: unmet } });
}

const WRITE_UNSUPPORTED = [
  "if-modified-since",
  "if-unmodified-since",
  "x-amz-if-match-size",
  "x-amz-if-match-last-modified-time",
] as const;

/**
 * The write conditionals of Put, Complete, Copy's destination and Delete. Others are refused by
 * name, as AWS does on general purpose buckets: a condition that is not judged must not be dropped.
 */
export function readWriteConditions(headers: RequestHeaders): WriteConditions | undefined {
  for (const name of WRITE_UNSUPPORTED) {
    if (headers.get(name) !== undefined) throw unjudged(name);
  }
  const match = headers.get("if-match");
  const noneMatch = headers.get("if-none-match");
  if (match === undefined && noneMatch === undefined) return undefined;
  return {
    ...(match === undefined ? {} : { ifMatch: writeTags(match, false) }),
    ...(noneMatch === undefined ? {} : { ifNoneMatch: unwantedTags(noneMatch) }),
  };
}

function unjudged(header: string): S3Error {
  return new S3Error("NotImplemented", { fields: { Header: header } });
}

/** What matches nothing would let every write through. AWS takes no value but `*`. */
function unwantedTags(header: string): readonly string[] {
  const values = writeTags(header, true);
  if (values.length === 0) throw unjudged("if-none-match");
  return values;
}

function writeTags(header: string, weakly: boolean): readonly string[] {
  const values: string[] = [];
  for (const tag of parseEntityTags(header)) if (weakly || !tag.weak) values.push(tag.value);
  return values;
}

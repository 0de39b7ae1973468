import { LIMITS } from "../../core/limits.ts";
import type { PartSummary } from "../../core/records.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import type { ByteRange } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";

/** What a `Range` header asks of an object of known size. */
export type RangeWish =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly range: ByteRange }
  | { readonly kind: "unsatisfiable" };

const WHOLE: RangeWish = { kind: "whole" };
const UNSATISFIABLE: RangeWish = { kind: "unsatisfiable" };
const SINGLE_RANGE = /^bytes=[ \t]*(\d*)[ \t]*-[ \t]*(\d*)[ \t]*$/i;

/**
 * AWS serves a single range. Several ranges, another unit, and what breaks the syntax of RFC 9110
 * (last before first included) are ignored: the whole object is sent. So is an empty object when
 * its last bytes are asked for: RFC 9110 calls that satisfiable, and no `Content-Range` can say it.
 */
export function readRange(header: string | undefined, size: number): RangeWish {
  if (header === undefined) return WHOLE;
  const match = SINGLE_RANGE.exec(header);
  if (match === null) return WHOLE;
  const [first, last] = [match[1] ?? "", match[2] ?? ""];
  if (first === "") {
    if (last === "") return WHOLE;
    const length = Number(last);
    if (length === 0) return UNSATISFIABLE;
    if (size === 0) return WHOLE;
    return { kind: "part", range: { start: Math.max(0, size - length), end: size } };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return WHOLE;
  if (start >= size) return UNSATISFIABLE;
  return { kind: "part", range: { start, end: Math.min(size, last === "" ? size : +last + 1) } };
}

const COPY_RANGE = /^bytes=(\d{1,15})-(\d{1,15})$/;

/** `x-amz-copy-source-range`: both ends are required and must lie inside the source. */
export function readCopyRange(header: string | undefined, size: number): ByteRange {
  if (header === undefined) return { start: 0, end: size };
  const match = COPY_RANGE.exec(header);
  const [start, last] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || last < start) {
    throw wrongCopyRange(
      header,
      "The x-amz-copy-source-range value must be of the form bytes=first-last where first and " +
        "last are the zero-based offsets of the first and last bytes to copy",
    );
  }
  // AWS answers 400 here and not 416, and another code when no byte of it is there.
  if (start >= size) {
    throw new S3Error("InvalidRequest", {
      message: "The specified copy range is invalid for the source object size",
    });
  }
  if (last >= size) {
    throw wrongCopyRange(header, `Range specified is not valid for source object of size: ${size}`);
  }
  return { start, end: last + 1 };
}

function wrongCopyRange(header: string, message: string): S3Error {
  const fields = { ArgumentName: "x-amz-copy-source-range", ArgumentValue: header };
  return new S3Error("InvalidArgument", { message, fields });
}

/**
 * Refuses a body that calls itself a part of the object: as a whole it would take the place of all
 * of it (RFC 9110, section 14.5).
 */
export function refusePartOfBody(headers: RequestHeaders): void {
  if (headers.get("content-range") === undefined) return;
  throw new S3Error("NotImplemented", { fields: { Header: "content-range" } });
}

/** The error for a range that lies outside the object. */
export function rangeNotSatisfiable(header: string, size: number): S3Error {
  return new S3Error("InvalidRange", {
    fields: { RangeRequested: header, ActualObjectSize: String(size) },
    headers: [["Content-Range", `bytes */${size}`]],
  });
}

/** `Content-Range` of a part of an object. */
export function contentRange(range: ByteRange, size: number): string {
  return `bytes ${range.start}-${range.end - 1}/${size}`;
}

/** Reads a part number of an upload or a download: 1 to 10,000. */
export function parsePartNumber(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > LIMITS.partNumberMax) {
    throw new S3Error("InvalidArgument", {
      message: "Part number must be an integer between 1 and 10000, inclusive",
      fields: { ArgumentName: "partNumber", ArgumentValue: text },
    });
  }
  return value;
}

/**
 * Which bytes a part is, with what was stored of it. Numbers count the parts of the object,
 * whatever numbers its upload used; the first part of an object stored in one piece is all of it.
 */
export function partRange(
  parts: readonly PartSummary[],
  size: number,
  partNumber: number,
): { readonly range: ByteRange; readonly part: PartSummary | undefined } {
  if (parts.length === 0 && partNumber === 1) {
    return { range: { start: 0, end: size }, part: undefined };
  }
  const part = parts[partNumber - 1];
  if (part === undefined) {
    throw new S3Error("InvalidPartNumber", {
      fields: {
        PartNumberRequested: String(partNumber),
        ActualPartCount: String(Math.max(1, parts.length)),
      },
    });
  }
  let start = 0;
  for (const earlier of parts.slice(0, partNumber - 1)) start += earlier.size;
  return { range: { start, end: start + part.size }, part };
}

import type { PartSummary } from "../../core/records.ts";
import type { ByteRange, StoredObject } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { judgeRead, readConditions } from "../headers/conditionals.ts";
import { parseHttpDate } from "../headers/dates.ts";
import {
  type HeaderLines,
  objectHeaders,
  pushChecksums,
  readResponseOverrides,
  wantsChecksums,
} from "../headers/object-headers.ts";
import {
  contentRange,
  parsePartNumber,
  partRange,
  rangeNotSatisfiable,
  readRange,
} from "../headers/range.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { checksumsOfPart } from "./checksum-xml.ts";
import { pushVersionId } from "./object-version.ts";

/** What GET sends and HEAD describes. */
export type ReadPlan = {
  readonly status: 200 | 206;
  readonly headers: HeaderLines;
  readonly range: ByteRange;
};

/** What a cache is told of the object that it already has (RFC 9110, 15.4.5). */
const RENEWED: ReadonlySet<string> = new Set(["ETag", "Last-Modified", "Cache-Control", "Expires"]);

/**
 * The part that a GET or HEAD asks for. As at AWS, a request that makes no sense is refused before
 * anybody looks whether its object is there or has changed.
 */
export function wantedPart({ headers, query }: ObjectCall): number | undefined {
  const text = query.get("partNumber");
  if (text === undefined) return undefined;
  const partNumber = parsePartNumber(text);
  if (headers.get("range") === undefined) return partNumber;
  throw new S3Error("InvalidRequest", {
    message: "Cannot specify both Range header and partNumber query parameter",
  });
}

/** Decides status, headers and bytes of a GET or HEAD; a reply when there is nothing to send. */
export function planRead(
  call: ObjectCall,
  { nowMs }: Pick<HandlerDeps, "nowMs">,
  object: StoredObject,
  partNumber: number | undefined,
): ReadPlan | Reply {
  const { record } = object;
  const headers = objectHeaders(
    record,
    readResponseOverrides(call.query, call.auth.credential.kind !== "anonymous"),
  );
  const conditions = readConditions(call.headers, nowMs);
  if (conditions !== undefined) {
    const verdict = judgeRead(conditions, record);
    if (verdict.kind === "failed") {
      throw new S3Error("PreconditionFailed", { fields: { Condition: verdict.condition } });
    }
    if (verdict.kind === "not-modified") {
      const unchanged = headers.filter(([name]) => RENEWED.has(name));
      pushVersionId(unchanged, call, object);
      return emptyReply(304, unchanged);
    }
  }
  pushVersionId(headers, call, object);
  const rangeHeader = call.headers.get("range");
  if (partNumber !== undefined) return planPart(call, object, headers, partNumber);
  const wish =
    rangeHeader === undefined || !rangeStillMeant(call, object)
      ? undefined
      : readRange(rangeHeader, record.size);
  if (wish?.kind === "unsatisfiable") throw rangeNotSatisfiable(rangeHeader ?? "", record.size);
  if (wish?.kind === "part") {
    headers.push(["Content-Range", contentRange(wish.range, record.size)]);
  }
  const range = wish?.kind === "part" ? wish.range : { start: 0, end: record.size };
  // A checksum of the whole would not fit fewer bytes, and SDKs compare it.
  const isWhole = range.end - range.start === record.size;
  if (isWhole && wantsChecksums(call.headers)) pushChecksums(headers, record.checksums);
  return { status: wish?.kind === "part" ? 206 : 200, headers, range };
}

function planPart(
  call: ObjectCall,
  object: StoredObject,
  headers: HeaderLines,
  partNumber: number,
): ReadPlan {
  const { record } = object;
  const { range, part } = partRange(record.parts, record.size, partNumber);
  if (part !== undefined) headers.push(["x-amz-mp-parts-count", String(record.parts.length)]);
  if (wantsChecksums(call.headers)) pushPartChecksums(headers, object, part);
  // A range without bytes cannot be written down.
  if (range.start === range.end) return { status: 200, headers, range };
  headers.push(["Content-Range", contentRange(range, record.size)]);
  return { status: 206, headers, range };
}

function pushPartChecksums(
  headers: HeaderLines,
  object: StoredObject,
  part: PartSummary | undefined,
): void {
  if (part === undefined) {
    pushChecksums(headers, object.record.checksums);
    return;
  }
  const checksums = checksumsOfPart(part, object.record);
  for (const { algorithm, value } of checksums) {
    headers.push([`x-amz-checksum-${algorithm.toLowerCase()}`, value]);
  }
  const type = object.record.checksums[0]?.type;
  if (type !== undefined && checksums.length > 0) {
    headers.push(["x-amz-checksum-type", type]);
  }
}

/** `If-Range` that no longer fits the object turns the range off. */
function rangeStillMeant(call: ObjectCall, object: StoredObject): boolean {
  const condition = call.headers.get("if-range");
  if (condition === undefined) return true;
  const sinceMs = parseHttpDate(condition);
  if (sinceMs === undefined) return condition === `"${object.record.etag}"`;
  return Math.floor(object.record.lastModifiedMs / 1000) * 1000 <= sinceMs;
}

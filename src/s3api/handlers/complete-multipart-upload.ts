import { unreachable } from "../../core/assert.ts";
import { LIMITS } from "../../core/limits.ts";
import {
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  type CompletedUpload,
  type PartSummary,
  type StoredChecksum,
  type UploadRecord,
} from "../../core/records.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import type { CompleteOutcome, CompleteUploadRequest, StoredObject } from "../../storage/store.ts";
import {
  type ChecksumPlan,
  combineChecksums,
  DEFAULT_CHECKSUM,
  withoutPartCount,
} from "../body/checksums.ts";
import { invalidChecksumValue, parseChecksum } from "../body/integrity-claim.ts";
import { sealingOf } from "../encryption/sealed-completion.ts";
import { S3Error } from "../errors.ts";
import { headersOf } from "../headers/header-list.ts";
import { pushExpiration } from "../headers/lifecycle-headers.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import { parsePartNumber } from "../headers/range.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { childText, requireKnownChildren, type XmlElement } from "../xml/reader.ts";
import { XmlWriter } from "../xml/writer.ts";
import { readChecksumType } from "./checksum-wish.ts";
import { writeObjectChecksums } from "./checksum-xml.ts";
import { lockOfCompleted } from "./lock-of-write.ts";
import { noSuchUpload, uploadIdOf } from "./upload-access.ts";
import { allowedConditions } from "./write-conditions.ts";
import { writeRefusal } from "./write-refusal.ts";
import { readXmlBody, unquoteEtag } from "./xml-body.ts";

type ListedPart = CompleteUploadRequest["parts"][number];

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html */
export async function completeMultipartUpload(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const uploadId = uploadIdOf(call);
  const { bucket, key } = call;
  const parts = await readParts(call, deps);
  const conditions = allowedConditions(call);
  const upload = deps.store.upload(bucket, key, uploadId);
  if (upload !== undefined) checkClaims(call.headers, deps, upload, parts);
  const sealing = sealingOf(call, deps, upload);
  const outcome = await deps.store.completeUpload({
    bucket,
    key,
    uploadId,
    parts,
    combine: (stored, record) => combineParts(deps, stored, record),
    lock: lockOfCompleted(call),
    ...(sealing === undefined ? {} : { seal: sealing.seal }),
    ...(conditions === undefined ? {} : { conditions }),
  });
  const { etag, checksums, version } = resultOf(call, parts, outcome);
  const xml = new XmlWriter("CompleteMultipartUploadResult");
  xml.text("Location", locationOf(call));
  xml.text("Bucket", bucket);
  xml.text("Key", key);
  xml.text("ETag", `"${etag}"`);
  writeObjectChecksums(xml, checksums);
  const headers: HeaderLines = [...(sealing?.headers ?? [])];
  if (version !== undefined) headers.push(["x-amz-version-id", version]);
  if (outcome.outcome === "stored") {
    pushExpiration(headers, call.bucketSettings, key, outcome.stored.record);
  }
  return xmlReply(xml.finish(), headers);
}

/** The checksum headers of this request speak of the object, not of the list in its body. */
export function withoutObjectClaims(headers: RequestHeaders): RequestHeaders {
  return headersOf(
    headers.entries.filter(
      ([name]) => !name.startsWith("x-amz-checksum-") && name !== "x-amz-sdk-checksum-algorithm",
    ),
  );
}

async function readParts(call: ObjectCall, deps: HandlerDeps): Promise<readonly ListedPart[]> {
  const body = { ...call, headers: withoutObjectClaims(call.headers) };
  const document = await readXmlBody(body, deps, "CompleteMultipartUpload");
  if (document === undefined) throw new S3Error("MalformedXML");
  const parts: ListedPart[] = [];
  requireKnownChildren(document, ["Part"]);
  for (const child of document.children) {
    const part = readPart(child);
    if (part.partNumber <= (parts.at(-1)?.partNumber ?? 0)) throw new S3Error("InvalidPartOrder");
    parts.push(part);
  }
  if (parts.length === 0) throw new S3Error("MalformedXML");
  return parts;
}

const PART_ELEMENTS = [
  "PartNumber",
  "ETag",
  ...CHECKSUM_ALGORITHMS.map((algorithm) => `Checksum${algorithm}`),
];

function readPart(element: XmlElement): ListedPart {
  requireKnownChildren(element, PART_ELEMENTS);
  const number = childText(element, "PartNumber");
  const etag = childText(element, "ETag");
  if (number === undefined || etag === undefined) throw new S3Error("MalformedXML");
  const checksums: StoredChecksum[] = [];
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = childText(element, `Checksum${algorithm}`);
    if (value !== undefined)
      checksums.push({ algorithm, type: "FULL_OBJECT", value: value.trim() });
  }
  return { partNumber: parsePartNumber(number.trim()), etag: unquoteEtag(etag), checksums };
}

/** What an upload that named no algorithm has in all of its parts; once it was not the default. */
const UNNAMED_PLANS = [DEFAULT_CHECKSUM, "CRC32", "CRC32C"] as const;

function combineParts(
  deps: HandlerDeps,
  parts: ReadonlyArray<Pick<PartSummary, "size" | "checksums">>,
  upload: UploadRecord,
): StoredChecksum[] {
  const plans: readonly ChecksumPlan[] =
    upload.checksum === undefined
      ? UNNAMED_PLANS.map((algorithm) => ({ algorithm, type: "FULL_OBJECT" }))
      : [upload.checksum];
  for (const plan of plans) {
    const combined = combineChecksums(deps.hash, plan, parts);
    if (combined !== undefined) return [combined];
  }
  return [];
}

/**
 * What the client claims of the whole object, judged before the commit: parts are taken by their
 * ETag there, so that the bytes judged here are the bytes committed.
 */
function checkClaims(
  headers: RequestHeaders,
  deps: HandlerDeps,
  upload: UploadRecord,
  listed: readonly ListedPart[],
): void {
  requirePartChecksums(upload, listed);
  const claims = objectClaims(headers);
  const type = readChecksumType(headers);
  if (type !== undefined && type !== (upload.checksum?.type ?? "FULL_OBJECT")) {
    throw new S3Error("BadDigest", {
      message: `The upload was created with another checksum type than ${type}.`,
    });
  }
  if (claims.length === 0 && headers.get("x-amz-mp-object-size") === undefined) return;
  const wanted = new Map(listed.map((part) => [part.partNumber, part.etag]));
  const parts: Array<Pick<PartSummary, "size" | "checksums">> = [];
  for (const part of deps.store.parts(upload.uploadId, 0)) {
    if (wanted.get(part.partNumber) === part.etag) parts.push(part);
  }
  // A part that is missing is for the commit to name.
  if (parts.length !== listed.length) return;
  checkObjectSize(headers, parts);
  for (const [algorithm, value] of claims) {
    // Where no algorithm was named, the parts may have brought the one that is claimed.
    const plan = upload.checksum ?? { algorithm, type: "FULL_OBJECT" };
    const combined = combineChecksums(deps.hash, plan, parts);
    if (combined === undefined || combined.algorithm !== algorithm) {
      throw new S3Error("InvalidRequest", {
        message: `The upload was not created with the ${algorithm} checksum algorithm.`,
      });
    }
    if (value !== combined.value && value !== withoutPartCount(combined.value)) {
      throw new S3Error("BadDigest", {
        message: `The ${algorithm} you specified did not match the calculated checksum.`,
      });
    }
  }
}

/** A checksum of checksums proves nothing unless the client says which ones it means. */
function requirePartChecksums(upload: UploadRecord, listed: readonly ListedPart[]): void {
  if (upload.checksum?.type !== "COMPOSITE") return;
  const { algorithm } = upload.checksum;
  for (const { partNumber, checksums } of listed) {
    if (checksums.some((checksum) => checksum.algorithm === algorithm)) continue;
    throw new S3Error("InvalidRequest", {
      message:
        `This upload was created with the ${algorithm.toLowerCase()} algorithm, so that the ` +
        `checksum of each part must be listed. That of part ${partNumber} is missing.`,
    });
  }
}

type Claims = ReadonlyArray<readonly [ChecksumAlgorithm, string]>;

function objectClaims(headers: RequestHeaders): Claims {
  const claims: Array<readonly [ChecksumAlgorithm, string]> = [];
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = headers.get(`x-amz-checksum-${algorithm.toLowerCase()}`);
    if (value === undefined) continue;
    if (parseChecksum(algorithm, withoutPartCount(value)) === undefined) {
      throw invalidChecksumValue(algorithm);
    }
    claims.push([algorithm, value]);
  }
  return claims;
}

function checkObjectSize(
  headers: RequestHeaders,
  parts: ReadonlyArray<Pick<PartSummary, "size">>,
): void {
  const claimed = headers.get("x-amz-mp-object-size");
  if (claimed === undefined) return;
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  if (claimed === String(size)) return;
  throw new S3Error("InvalidRequest", {
    message: "The provided x-amz-mp-object-size header does not match what was computed.",
  });
}

type Result = Pick<CompletedUpload, "etag" | "checksums" | "version">;

function resultOf(
  call: ObjectCall,
  parts: readonly ListedPart[],
  outcome: CompleteOutcome,
): Result {
  switch (outcome.outcome) {
    case "stored":
      return resultNow(outcome.stored);
    case "already-completed":
      return outcome.completed;
    case "no-such-upload":
      throw noSuchUpload(uploadIdOf(call));
    case "invalid-part":
      throw invalidPart(call, parts, outcome.partNumber);
    case "part-too-small":
      throw new S3Error("EntityTooSmall", {
        fields: {
          ProposedSize: String(outcome.size),
          MinSizeAllowed: String(LIMITS.partBytesMin),
          PartNumber: String(outcome.partNumber),
        },
      });
    case "no-such-bucket":
    case "no-such-key":
    case "precondition-failed":
    case "locked":
    case "ahead-of-log":
    case "over-quota":
      throw writeRefusal(outcome, call.bucket, call.key);
  }
  return unreachable(outcome);
}

/** Says which of the listed parts is not there, or is another. */
function invalidPart(call: ObjectCall, parts: readonly ListedPart[], partNumber: number): S3Error {
  const etag = parts.find((part) => part.partNumber === partNumber)?.etag ?? "";
  const fields = { UploadId: uploadIdOf(call), PartNumber: String(partNumber), ETag: etag };
  return new S3Error("InvalidPart", { fields });
}

function resultNow({ record, isNull, version }: StoredObject): Result {
  const { etag, checksums } = record;
  return { etag, checksums, version: isNull ? undefined : version };
}

function locationOf(call: ObjectCall): string {
  const scheme = call.exchange.secure ? "https" : "http";
  const host = call.headers.get("host") ?? "";
  const { target } = call.exchange;
  return `${scheme}://${host}${target.slice(0, target.indexOf("?"))}`;
}

import { LIMITS } from "../../core/limits.ts";
import type { ObjectAttributes, ObjectRecord, StoredChecksum } from "../../core/records.ts";
import type { AppendObjectRequest, AppendOutcome } from "../../storage/store.ts";
import { type CombinableAlgorithm, combineCrcs } from "../body/crc-combine.ts";
import { PUT_PAYLOAD } from "../body/payload.ts";
import type { PayloadDigests } from "../body/payload-digests.ts";
import { type AppendEncryption, encryptionOfAppend } from "../encryption/append-encryption.ts";
import { etagOf, pushEncryption } from "../encryption/body-encryption.ts";
import { encryptWhole } from "../encryption/encrypting-writer.ts";
import { S3Error } from "../errors.ts";
import { pushExpiration } from "../headers/lifecycle-headers.ts";
import {
  type HeaderLines,
  pushChecksums,
  readObjectAttributes,
} from "../headers/object-headers.ts";
import { refusePartOfBody } from "../headers/range.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { lockOfWrite, requireDigestOfLocked } from "./lock-of-write.ts";
import { pushStoredVersionId } from "./object-version.ts";
import { isInline } from "./put-object.ts";
import { payloadOf, stagePayload } from "./request-body.ts";
import { allowedConditions } from "./write-conditions.ts";
import { refuseOverQuota, writeRefusal } from "./write-refusal.ts";

const WRITE_OFFSET_HEADER = "x-amz-write-offset-bytes";

/**
 * PutObject that writes behind the end of an object. An object of one piece gets an ETag that
 * counts its appends, as that of a multipart upload counts its parts.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-append.html
 */
export async function appendObject(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const offset = readOffset(call);
  refusePartOfBody(call.headers);
  const conditions = allowedConditions(call);
  const seen = deps.store.object(call.bucket, call.key);
  const encrypting = encryptionOfAppend(call, deps, seen);
  const attributes = readObjectAttributes(call.headers);
  const lock = lockOfWrite(call, deps);
  if (lock !== undefined) requireDigestOfLocked(call);
  const { body, digests } = await receive(call, deps, offset, encrypting);
  const { bucket, key } = call;
  const describe: AppendObjectRequest["describe"] = (current) => {
    const grown = current === undefined ? newRecord(digests) : grownRecord(deps, current, digests);
    const encryption = encrypting.envelopeOf(current, grown);
    const kept = current === undefined ? attributes : keptOf(current, attributes);
    return { ...grown, encryption, attributes: kept, lock };
  };
  const request = { bucket, key, offset, body, describe };
  try {
    const outcome = await deps.store.appendObject(
      conditions === undefined ? request : { ...request, conditions },
    );
    return replyTo(call, outcome, encrypting);
  } catch (failure) {
    if (body.kind === "staged") body.staged.discard();
    throw failure;
  }
}

function readOffset(call: ObjectCall): number {
  if (call.headers.get("x-amz-copy-source") !== undefined) {
    throw new S3Error("NotImplemented", { fields: { Header: WRITE_OFFSET_HEADER } });
  }
  const text = call.headers.get(WRITE_OFFSET_HEADER) ?? "";
  const offset = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  if (offset !== undefined) return offset;
  throw new S3Error("InvalidArgument", {
    message: "The write offset must be a number of bytes.",
    fields: { ArgumentName: WRITE_OFFSET_HEADER, ArgumentValue: text },
  });
}

type Received = { readonly body: AppendObjectRequest["body"]; readonly digests: PayloadDigests };

async function receive(
  call: ObjectCall,
  deps: HandlerDeps,
  offset: number,
  { sealer, encryption }: AppendEncryption,
): Promise<Received> {
  const payload = payloadOf(call, deps, PUT_PAYLOAD);
  if (payload.bytes === 0) throw emptyAppend();
  refuseOverQuota(call, deps, offset + (payload.bytes ?? 0));
  const described = (digests: PayloadDigests): PayloadDigests =>
    encryption === undefined ? digests : { ...digests, etag: etagOf(encryption, digests.etag) };
  if (payload.bytes !== undefined && isInline(payload.bytes, sealer)) {
    const { bytes, digests } = await payload.readAll(LIMITS.inlineBodyBytesMax);
    // The memory is used again by the next request, and an append may have to wait.
    const kept = sealer === undefined ? Buffer.from(bytes) : encryptWhole(sealer, bytes);
    return { body: { kind: "inline", bytes: kept }, digests: described(digests) };
  }
  const { staged, digests } = await stagePayload(payload, deps, sealer);
  if (digests.bytes > 0) return { body: { kind: "staged", staged }, digests: described(digests) };
  staged.discard();
  throw emptyAppend();
}

function emptyAppend(): S3Error {
  return new S3Error("InvalidRequest", {
    message: "Request body cannot be empty when 'write offset' is specified.",
  });
}

type Grown = Pick<ObjectRecord, "size" | "etag" | "checksums" | "parts">;

function newRecord({ bytes, etag, checksum }: PayloadDigests): Grown {
  return { size: bytes, etag, checksums: [checksum], parts: [] };
}

/** The record of an object after an append. Throws before anything of it is written. */
function grownRecord(deps: HandlerDeps, current: ObjectRecord, added: PayloadDigests): Grown {
  const size = current.size + added.bytes;
  if (size > LIMITS.objectBytesMax) throw new S3Error("EntityTooLarge");
  const { parts } = current;
  const last = parts.at(-1)?.partNumber ?? 0;
  const next = { partNumber: last + 1, size: added.bytes, checksums: [added.checksum] };
  return {
    size,
    etag: grownEtag(deps, current.etag, added.etag),
    checksums: grownChecksums(current, added),
    parts: parts.length === 0 ? [] : [...parts, next],
  };
}

/** MD5 over the digests of what was there and what was added, and how many pieces there are. */
function grownEtag({ hash }: HandlerDeps, before: string, added: string): string {
  const [digest = "", pieces = "1"] = before.split("-");
  const count = Number(pieces) + 1;
  if (count > LIMITS.appendsMax) throw new S3Error("TooManyParts");
  const digests = Buffer.concat([Buffer.from(digest, "hex"), Buffer.from(added, "hex")]);
  return `${hash.digest("MD5", digests).toString("hex")}-${count}`;
}

/** Checksums after an append: CRCs of whole objects can be continued, others are lost. */
function grownChecksums(current: ObjectRecord, { bytes, checksum }: PayloadDigests) {
  const checksums: StoredChecksum[] = [];
  for (const before of current.checksums) {
    if (before.algorithm !== checksum.algorithm) throw mismatch(before, checksum);
    const { algorithm, type } = before;
    if (type !== "FULL_OBJECT" || !isCombinable(algorithm)) continue;
    const crcs = [
      { crc: Buffer.from(before.value, "base64"), bytes: current.size },
      { crc: Buffer.from(checksum.value, "base64"), bytes },
    ];
    const value = combineCrcs(algorithm, crcs).toString("base64");
    checksums.push({ algorithm, type, value });
  }
  return checksums;
}

function isCombinable(algorithm: StoredChecksum["algorithm"]): algorithm is CombinableAlgorithm {
  return algorithm.startsWith("CRC");
}

function mismatch(before: StoredChecksum, added: StoredChecksum): S3Error {
  const [expected, actual] = [before.algorithm, added.algorithm].map((name) => name.toLowerCase());
  return new S3Error("InvalidRequest", {
    message:
      `Checksum Type mismatch occurred, expected checksum Type: ${expected}, ` +
      `actual checksum Type: ${actual}.`,
  });
}

/** The attributes after an append, which cannot change those of an object that exists. */
function keptOf(current: ObjectRecord, asked: ObjectAttributes): ObjectAttributes {
  if (asked.user.length === 0) return current.attributes;
  throw new S3Error("InvalidRequest", {
    message:
      "Cannot specify both a write offset value and user-defined object metadata for existing " +
      "objects.",
  });
}

function replyTo(
  call: ObjectCall,
  outcome: AppendOutcome,
  { encryption }: AppendEncryption,
): Reply {
  if (outcome.outcome === "invalid-offset") throw new S3Error("InvalidWriteOffset");
  if (outcome.outcome === "conflict") throw new S3Error("ConditionalRequestConflict");
  if (outcome.outcome !== "stored") throw writeRefusal(outcome, call.bucket, call.key);
  const { record } = outcome.stored;
  const headers: HeaderLines = [["ETag", `"${record.etag}"`]];
  pushChecksums(headers, record.checksums);
  headers.push(["x-amz-object-size", String(record.size)]);
  pushEncryption(headers, encryption);
  pushStoredVersionId(headers, outcome.stored);
  pushExpiration(headers, call.bucketSettings, call.key, record);
  return emptyReply(200, headers);
}

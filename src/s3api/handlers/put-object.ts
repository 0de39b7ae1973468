import { type PartSealer, storedBytesOf } from "../../core/block-cipher.ts";
import { StorageFault } from "../../core/faults.ts";
import { LIMITS } from "../../core/limits.ts";
import type { ObjectLock } from "../../core/object-lock-state.ts";
import type { BucketSettings } from "../../core/records.ts";
import type { PutObjectRequest, PutOutcome } from "../../storage/store.ts";
import { type PayloadSettings, PUT_PAYLOAD } from "../body/payload.ts";
import type { PayloadDigests } from "../body/payload-digests.ts";
import {
  type BodyEncryption,
  encryptionOfNew,
  envelopeOfObject,
  etagOf,
  pushEncryption,
  sealerOf,
} from "../encryption/body-encryption.ts";
import { encryptWhole } from "../encryption/encrypting-writer.ts";
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
import { payloadOf, stagePayload } from "./request-body.ts";
import { allowedConditions } from "./write-conditions.ts";
import { refuseOverQuota, writeRefusal } from "./write-refusal.ts";

type Description = Pick<PutObjectRequest, "bucket" | "key"> &
  Pick<PutObjectRequest["object"], "attributes"> & {
    readonly conditions: PutObjectRequest["conditions"] | undefined;
    readonly encryption: BodyEncryption | undefined;
    readonly settings: BucketSettings;
    readonly lock: ObjectLock | undefined;
  };

/**
 * Small bodies are committed beside their operation; this is the hot path of writes. `limits` are
 * those of a body that is not the whole request.
 */
export async function putObject(
  call: ObjectCall,
  deps: HandlerDeps,
  limits: PayloadSettings = PUT_PAYLOAD,
): Promise<Reply> {
  refusePartOfBody(call.headers);
  const attributes = readObjectAttributes(call.headers);
  const conditions = allowedConditions(call);
  const encryption = encryptionOfNew(call, deps);
  const lock = lockOfWrite(call, deps);
  if (lock !== undefined && limits === PUT_PAYLOAD) requireDigestOfLocked(call);
  const { bucket, key, bucketSettings: settings } = call;
  const description: Description = {
    bucket,
    key,
    attributes,
    encryption,
    settings,
    lock,
    conditions,
  };
  const payload = payloadOf(call, deps, limits);
  refuseOverQuota(call, deps, payload.bytes ?? 0);
  const sealer = encryption === undefined ? undefined : sealerOf(deps, encryption, 0);
  if (payload.bytes !== undefined && isInline(payload.bytes, sealer)) {
    const { bytes, digests } = await payload.readAll(LIMITS.inlineBodyBytesMax);
    const kept = sealer === undefined ? bytes : encryptWhole(sealer, bytes);
    const body = { kind: "inline", bytes: kept } as const;
    const request = requestOf(deps, description, digests, body);
    return replyTo(await deps.store.putObject(request), request, description);
  }
  const { staged, digests } = await stagePayload(payload, deps, sealer);
  try {
    const body = { kind: "staged", staged } as const;
    const request = requestOf(deps, description, digests, body);
    return replyTo(await deps.store.putObject(request), request, description);
  } catch (failure) {
    staged.discard();
    throw failure;
  }
}

/** Whether a body with so much plaintext lives beside its operation. */
export function isInline(plainBytes: number, sealer: PartSealer | undefined): boolean {
  const bytes = sealer === undefined ? plainBytes : storedBytesOf(plainBytes);
  return bytes <= LIMITS.inlineBodyBytesMax;
}

function requestOf(
  deps: HandlerDeps,
  description: Description,
  digests: PayloadDigests,
  body: PutObjectRequest["body"],
): PutObjectRequest {
  const { bucket, key, conditions, attributes, encryption, lock } = description;
  const size = digests.bytes;
  const object = {
    size,
    etag: encryption === undefined ? digests.etag : etagOf(encryption, digests.etag),
    attributes,
    checksums: [digests.checksum],
    parts: [],
    lock,
    encryption:
      encryption === undefined
        ? undefined
        : envelopeOfObject(deps, encryption, bucket, { size, parts: [] }),
  };
  return conditions === undefined
    ? { bucket, key, object, body }
    : { bucket, key, object, body, conditions };
}

function replyTo(
  outcome: PutOutcome,
  { bucket, key, object }: PutObjectRequest,
  { encryption, settings }: Description,
): Reply {
  if (outcome.outcome === "stored") {
    const headers: HeaderLines = [["ETag", `"${object.etag}"`]];
    pushChecksums(headers, object.checksums);
    pushEncryption(headers, encryption);
    pushStoredVersionId(headers, outcome.stored);
    pushExpiration(headers, settings, key, outcome.stored.record);
    return emptyReply(200, headers);
  }
  if (outcome.outcome === "source-gone") {
    throw new StorageFault("io", "a body that was just received has gone");
  }
  throw writeRefusal(outcome, bucket, key);
}

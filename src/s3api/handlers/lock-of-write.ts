import { OBJECT_LOCK_SETTING } from "../../core/bucket-versioning.ts";
import { type DefaultRetention, retainedUntilMs } from "../../core/object-lock.ts";
import type { ObjectLock } from "../../core/object-lock-state.ts";
import type { CompleteUploadRequest } from "../../storage/store.ts";
import { readIntegrityClaim } from "../body/integrity-claim.ts";
import { S3Error } from "../errors.ts";
import { type LockWish, readLockHeaders } from "../headers/object-lock-headers.ts";
import type { HandlerDeps, ObjectCall } from "../operation.ts";
import { OBJECT_LOCK } from "../settings/object-lock.ts";

/**
 * The lock a new version begins with: what the request asks for, or the bucket's default. Costs
 * one look-up in a bucket without object lock, whose requests cannot ask for one (`screen.ts`);
 * that the caller may is seen to with all wishes (`acl-wish.ts`). A default that cannot be read
 * throws: then nothing is stored without the lock it should have.
 */
export function lockOfWrite(
  { headers, bucketSettings }: Pick<ObjectCall, "headers" | "bucketSettings">,
  deps: Pick<HandlerDeps, "nowMs">,
): ObjectLock | undefined {
  if (!bucketSettings.has(OBJECT_LOCK_SETTING)) return undefined;
  const nowMs = deps.nowMs();
  const wish = readLockHeaders(headers, nowMs);
  return withDefault(wish, OBJECT_LOCK.of(bucketSettings)?.defaultRetention, nowMs);
}

/** What an upload asks for its object. The bucket's default waits until there is one to keep. */
export function lockOfUpload(
  { headers, bucketSettings }: Pick<ObjectCall, "headers" | "bucketSettings">,
  { nowMs }: Pick<HandlerDeps, "nowMs">,
): ObjectLock | undefined {
  if (!bucketSettings.has(OBJECT_LOCK_SETTING)) return undefined;
  return withDefault(readLockHeaders(headers, nowMs()), undefined, nowMs());
}

/**
 * The lock of the object that an upload becomes. A default retention counts from the creation of
 * the version: parts that took a week to arrive would have used up a week of it.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
 */
export function lockOfCompleted({
  bucketSettings,
}: Pick<ObjectCall, "bucketSettings">): NonNullable<CompleteUploadRequest["lock"]> {
  const byDefault = OBJECT_LOCK.of(bucketSettings)?.defaultRetention;
  return ({ lock }, createdMs) =>
    withDefault(lock ?? { retention: undefined, legalHold: undefined }, byDefault, createdMs);
}

function withDefault(
  wish: LockWish,
  byDefault: DefaultRetention | undefined,
  createdMs: number,
): ObjectLock | undefined {
  const { legalHold } = wish;
  let { retention } = wish;
  if (retention === undefined && byDefault !== undefined) {
    retention = { mode: byDefault.mode, untilMs: retainedUntilMs(byDefault, createdMs) };
  }
  if (retention === undefined && legalHold === undefined) return undefined;
  return { retention, legalHold: legalHold ?? false };
}

/**
 * AWS: what cannot be taken back for years must not have been damaged on its way.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
 */
export function requireDigestOfLocked({ headers }: ObjectCall): void {
  const { md5, checksum } = readIntegrityClaim(headers);
  if (md5 !== undefined || checksum !== undefined) return;
  throw new S3Error("InvalidRequest", {
    message:
      "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with " +
      "Object Lock parameters",
  });
}

import { OBJECT_LOCK_SETTING } from "../../core/bucket-versioning.ts";
import { retainedUntilMs } from "../../core/object-lock.ts";
import type { ObjectLock } from "../../core/object-lock-state.ts";
import { readIntegrityClaim } from "../body/integrity-claim.ts";
import { S3Error } from "../errors.ts";
import { readLockHeaders } from "../headers/object-lock-headers.ts";
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
  const byDefault = OBJECT_LOCK.of(bucketSettings)?.defaultRetention;
  let { retention } = wish;
  if (retention === undefined && byDefault !== undefined) {
    retention = { mode: byDefault.mode, untilMs: retainedUntilMs(byDefault, nowMs) };
  }
  if (retention === undefined && wish.legalHold === undefined) return undefined;
  return { retention, legalHold: wish.legalHold ?? false };
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

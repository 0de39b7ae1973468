import { unreachable } from "../../core/assert.ts";
import type { OverQuota, Refusal } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { untilLogHasCome } from "../incomplete-site.ts";
import type { HandlerDeps, ObjectCall } from "../operation.ts";

/** What a client is told when the commit refused its write. */
export function writeRefusal(refusal: Refusal | OverQuota, bucket: string, key: string): S3Error {
  switch (refusal.outcome) {
    case "no-such-bucket":
      return new S3Error("NoSuchBucket", { fields: { BucketName: bucket } });
    case "no-such-key":
      return new S3Error("NoSuchKey", { fields: { Key: key } });
    case "precondition-failed":
      return new S3Error("PreconditionFailed", { fields: { Condition: refusal.condition } });
    case "locked":
      return new S3Error("AccessDenied", {
        message: "Access Denied because object protected by object lock.",
      });
    case "ahead-of-log":
      return untilLogHasCome();
    case "over-quota":
      return quotaExceeded(refusal, bucket);
  }
  return unreachable(refusal);
}

/**
 * Refuses a body before any of it is read when there is no room for an object of so many bytes, or
 * for a part alone. Costs a look-up where there is no quota.
 */
export function refuseOverQuota(
  call: Pick<ObjectCall, "bucket" | "key">,
  { store }: Pick<HandlerDeps, "store">,
  bytes: number,
): void {
  const over = store.overQuota(call, bytes);
  if (over !== undefined) throw quotaExceeded(over, call.bucket);
}

function quotaExceeded({ whose, what, most }: OverQuota, bucket: string): S3Error {
  const holder = whose === "bucket" ? "The bucket" : "All buckets of its creator together";
  return new S3Error("QuotaExceeded", {
    message: `${holder} may hold at most ${most} ${what}.`,
    fields: { BucketName: bucket },
  });
}

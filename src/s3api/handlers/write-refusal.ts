import { unreachable } from "../../core/assert.ts";
import type { Refusal } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";

/** What a client is told when the commit refused its write. */
export function writeRefusal(refusal: Refusal, bucket: string, key: string): S3Error {
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
  }
  return unreachable(refusal);
}

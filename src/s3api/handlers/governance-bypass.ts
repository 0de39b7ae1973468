import type { ObjectKey } from "../../core/names.ts";
import type { KnownValues } from "../authorize.ts";
import { S3Error } from "../errors.ts";
import type { BucketCall } from "../operation.ts";

/**
 * Whether a request may remove what governance mode protects. Asking is not enough: who must not
 * bypass it is refused, protected or not.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
 */
export function bypassesGovernance(call: BucketCall, key: ObjectKey, known?: KnownValues): boolean {
  if (call.headers.get("x-amz-bypass-governance-retention")?.toLowerCase() !== "true") return false;
  if (call.allows("s3:BypassGovernanceRetention", call.bucket, key, known)) return true;
  throw new S3Error("AccessDenied");
}

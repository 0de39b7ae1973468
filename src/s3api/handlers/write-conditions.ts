import type { WriteConditions } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { readWriteConditions } from "../headers/conditionals.ts";
import type { ObjectCall } from "../operation.ts";

/**
 * The conditions of a write. One that names an ETag asks what the object is, so that AWS wants the
 * right to read it; whether there is one at all may be asked by everybody who may write.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 */
export function allowedConditions(call: ObjectCall): WriteConditions | undefined {
  const conditions = readWriteConditions(call.headers);
  if (conditions === undefined) return undefined;
  const { ifMatch = [], ifNoneMatch = [] } = conditions;
  for (const etag of [...ifMatch, ...ifNoneMatch]) {
    if (etag !== "*") {
      requireReadable(call, call.key);
      break;
    }
  }
  return conditions;
}

/** Throws when the caller must not know the ETag of this object. */
export function requireReadable(call: Pick<ObjectCall, "allows" | "bucket">, key: string): void {
  if (!call.allows("s3:GetObject", call.bucket, key)) throw new S3Error("AccessDenied");
}

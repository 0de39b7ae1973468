import { VERSIONING_SETTING, versioningSetting } from "../../core/bucket-versioning.ts";
import type { BucketSettings } from "../../core/records.ts";
import { S3Error } from "../errors.ts";
import type { BucketCall } from "../operation.ts";
import { OBJECT_LOCK } from "../settings/object-lock.ts";
import { requireAllowedAtCreation } from "./initial-settings.ts";

const HEADER = "x-amz-bucket-object-lock-enabled";

/**
 * The settings of a bucket that is created with object lock. It is versioned from the start,
 * because an object that is overwritten without leaving a version cannot be locked.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
 */
export function initialLock(call: BucketCall): BucketSettings {
  const { headers } = call;
  const wish = headers.get(HEADER)?.toLowerCase() ?? "false";
  if (wish === "false") return new Map();
  if (wish !== "true") {
    throw new S3Error("InvalidArgument", {
      message: `${HEADER} must be true or false`,
      fields: { ArgumentName: HEADER, ArgumentValue: headers.get(HEADER) ?? "" },
    });
  }
  for (const action of ["s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning"]) {
    requireAllowedAtCreation(call, action);
  }
  return new Map([
    [VERSIONING_SETTING, versioningSetting("enabled")],
    [OBJECT_LOCK.name, OBJECT_LOCK.encode({ defaultRetention: undefined })],
  ]);
}

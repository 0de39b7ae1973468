import type { BucketSettings } from "../core/records.ts";
import type { RequestHeaders } from "../http/exchange.ts";
import type { Allows } from "./authorize.ts";
import { S3Error } from "./errors.ts";
import { ACL_HEADER } from "./headers/object-acl.ts";
import { type CannedAcl, isPublicAcl } from "./policy/canned-acl.ts";
import { aclsAreOff, readCannedAcl } from "./settings/bucket-acl.ts";
import { PUBLIC_ACCESS_BLOCK } from "./settings/public-access-block.ts";

/**
 * Whether a bucket takes this ACL, for itself or for an object in it.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
 */
export function requireAclTaken(acl: CannedAcl, settings: BucketSettings): void {
  if (acl !== "bucket-owner-full-control" && aclsAreOff(settings)) {
    throw new S3Error("AccessControlListNotSupported");
  }
  if (isPublicAcl(acl) && PUBLIC_ACCESS_BLOCK.of(settings)?.BlockPublicAcls === true) {
    throw new S3Error("AccessDenied");
  }
}

/** The further actions that a write needs, by the header that asks for them. */
const HEADER_ACTIONS: ReadonlyMap<string, string> = new Map([
  ["x-amz-tagging", "s3:PutObjectTagging"],
  ["x-amz-object-lock-mode", "s3:PutObjectRetention"],
  ["x-amz-object-lock-retain-until-date", "s3:PutObjectRetention"],
  ["x-amz-object-lock-legal-hold", "s3:PutObjectLegalHold"],
]);

export type WishedWrite = {
  readonly headers: RequestHeaders;
  readonly allows: Allows;
  readonly bucket: string;
  readonly key: string;
  readonly settings: BucketSettings;
};

/**
 * Tags, locks and ACLs that come with an object: a caller who may write the object may not be
 * allowed to set those. An ACL that grants nothing to others needs no permission.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
 */
export function requireWishesAllowed(write: WishedWrite): void {
  const { headers, allows, bucket, key } = write;
  for (const [name, value] of headers.entries) {
    if (!name.startsWith("x-amz-")) continue;
    const action = HEADER_ACTIONS.get(name);
    if (action !== undefined && value !== "" && !allows(action, bucket, key)) {
      throw new S3Error("AccessDenied");
    }
    if (name !== ACL_HEADER) continue;
    const acl = readCannedAcl(value);
    requireAclTaken(acl, write.settings);
    if (isPublicAcl(acl) && !allows("s3:PutObjectAcl", bucket, key)) {
      throw new S3Error("AccessDenied");
    }
  }
}

import type { BucketSettings } from "../../core/records.ts";
import { S3Error } from "../errors.ts";
import { BUCKET_ACL, type CannedAcl, FOREIGN_ACLS, parseCannedAcl } from "../policy/canned-acl.ts";
import { OWNERSHIP_CONTROLS } from "./ownership-controls.ts";
import { PUBLIC_ACCESS_BLOCK } from "./public-access-block.ts";

/** The ACL of a bucket. One that cannot be read grants nothing. */
export function bucketAclOf(settings: BucketSettings): CannedAcl {
  const value = settings.get(BUCKET_ACL);
  if (value === undefined) return "private";
  return parseCannedAcl(Buffer.from(value).toString("latin1")) ?? "private";
}

/** Whether ACLs are turned off: its owner has said that the bucket's owner owns everything. */
export function aclsAreOff(settings: BucketSettings): boolean {
  return OWNERSHIP_CONTROLS.of(settings) === "BucketOwnerEnforced";
}

/** An ACL that counts: not when ACLs are off, nor when the public ones are ignored. */
export function grantedAcl(settings: BucketSettings, acl: CannedAcl): CannedAcl {
  if (acl === "private" || aclsAreOff(settings)) return "private";
  return PUBLIC_ACCESS_BLOCK.of(settings)?.IgnorePublicAcls === true ? "private" : acl;
}

/** Reads `x-amz-acl`; throws for what is no ACL, and for what speaks of AWS's own services. */
export function readCannedAcl(text: string): CannedAcl {
  const acl = parseCannedAcl(text);
  if (acl !== undefined) return acl;
  if (FOREIGN_ACLS.includes(text)) {
    throw new S3Error("NotImplemented", { fields: { Header: "x-amz-acl" } });
  }
  throw new S3Error("InvalidArgument", {
    fields: { ArgumentName: "x-amz-acl", ArgumentValue: text },
  });
}

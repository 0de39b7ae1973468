import { getBucketPolicyStatus, putBucketPolicy } from "./handlers/bucket-policy.ts";
import { answerSetting, removeSetting } from "./handlers/bucket-settings.ts";
import { getBucketAcl, getObjectAcl } from "./handlers/get-acl.ts";
import { putBucketAcl, putObjectAcl } from "./handlers/put-acl.ts";
import type { OperationRow } from "./operation.ts";
import { BUCKET_POLICY } from "./settings/bucket-policy.ts";

const CANNED = "the grants of the canned ACLs; others are NotImplemented";

/** Who may do what to a bucket and its objects. */
export const ACCESS_OPERATIONS = {
  PutBucketPolicy: {
    method: "PUT",
    level: "bucket",
    query: { policy: "" },
    action: "s3:PutBucketPolicy",
    body: "xml",
    handler: putBucketPolicy,
    note: "users are named `arn:aws:iam:::user/NAME`, by access key or by the key's name",
  },
  GetBucketPolicy: {
    method: "GET",
    level: "bucket",
    query: { policy: "" },
    action: "s3:GetBucketPolicy",
    body: "none",
    handler: answerSetting(BUCKET_POLICY),
  },
  DeleteBucketPolicy: {
    method: "DELETE",
    level: "bucket",
    query: { policy: "" },
    action: "s3:DeleteBucketPolicy",
    body: "none",
    handler: removeSetting(BUCKET_POLICY),
  },
  GetBucketPolicyStatus: {
    method: "GET",
    level: "bucket",
    query: { policyStatus: "" },
    action: "s3:GetBucketPolicyStatus",
    body: "none",
    handler: getBucketPolicyStatus,
    note: "public by policy or by ACL; a bucket without policy has a status too",
  },
  PutBucketAcl: {
    method: "PUT",
    level: "bucket",
    query: { acl: "" },
    action: "s3:PutBucketAcl",
    body: "xml",
    handler: putBucketAcl,
    note: CANNED,
  },
  GetBucketAcl: {
    method: "GET",
    level: "bucket",
    query: { acl: "" },
    action: "s3:GetBucketAcl",
    body: "none",
    handler: getBucketAcl,
  },
  PutObjectAcl: {
    method: "PUT",
    level: "object",
    query: { acl: "" },
    params: ["versionId"],
    action: "s3:PutObjectAcl",
    versionAction: "s3:PutObjectVersionAcl",
    body: "xml",
    handler: putObjectAcl,
    note: CANNED,
  },
  GetObjectAcl: {
    method: "GET",
    level: "object",
    query: { acl: "" },
    params: ["versionId"],
    action: "s3:GetObjectAcl",
    versionAction: "s3:GetObjectVersionAcl",
    body: "none",
    handler: getObjectAcl,
  },
} as const satisfies Readonly<Record<string, OperationRow>>;

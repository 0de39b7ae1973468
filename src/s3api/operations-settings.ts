import {
  answerEmpty,
  answerNotConfigured,
  getBucketOwnershipControls,
  getBucketRequestPayment,
} from "./handlers/absent-settings.ts";
import { getBucketAcl } from "./handlers/get-acl.ts";
import type { BucketCall, Handler, OperationRow } from "./operation.ts";

/** A setting that no bucket has yet, asked for by clients before they begin. */
function setting(
  subresource: string,
  action: string,
  handler: Handler<BucketCall>,
  note: string,
): OperationRow {
  return {
    method: "GET",
    level: "bucket",
    query: { [subresource]: "" },
    action: `s3:${action}`,
    body: "none",
    handler,
    note,
  };
}

const NOT_SET = "always the answer for a bucket without it";

/** The questions about a bucket's settings. */
export const SETTING_OPERATIONS = {
  GetBucketAccelerateConfiguration: setting(
    "accelerate",
    "GetAccelerateConfiguration",
    answerEmpty("AccelerateConfiguration"),
    NOT_SET,
  ),
  GetBucketAcl: setting("acl", "GetBucketAcl", getBucketAcl, "always the owner with full control"),
  GetBucketCors: setting(
    "cors",
    "GetBucketCORS",
    answerNotConfigured("NoSuchCORSConfiguration"),
    NOT_SET,
  ),
  GetBucketEncryption: setting(
    "encryption",
    "GetEncryptionConfiguration",
    answerNotConfigured("ServerSideEncryptionConfigurationNotFoundError"),
    NOT_SET,
  ),
  GetBucketLifecycleConfiguration: setting(
    "lifecycle",
    "GetLifecycleConfiguration",
    answerNotConfigured("NoSuchLifecycleConfiguration"),
    NOT_SET,
  ),
  GetBucketLogging: setting(
    "logging",
    "GetBucketLogging",
    answerEmpty("BucketLoggingStatus"),
    NOT_SET,
  ),
  GetBucketNotificationConfiguration: setting(
    "notification",
    "GetBucketNotification",
    answerEmpty("NotificationConfiguration"),
    NOT_SET,
  ),
  GetBucketOwnershipControls: setting(
    "ownershipControls",
    "GetBucketOwnershipControls",
    getBucketOwnershipControls,
    "always BucketOwnerEnforced",
  ),
  GetBucketPolicy: setting(
    "policy",
    "GetBucketPolicy",
    answerNotConfigured("NoSuchBucketPolicy"),
    NOT_SET,
  ),
  GetBucketPolicyStatus: setting(
    "policyStatus",
    "GetBucketPolicyStatus",
    answerNotConfigured("NoSuchBucketPolicy"),
    NOT_SET,
  ),
  GetBucketReplication: setting(
    "replication",
    "GetReplicationConfiguration",
    answerNotConfigured("ReplicationConfigurationNotFoundError"),
    NOT_SET,
  ),
  GetBucketRequestPayment: setting(
    "requestPayment",
    "GetBucketRequestPayment",
    getBucketRequestPayment,
    "always BucketOwner",
  ),
  GetBucketTagging: setting(
    "tagging",
    "GetBucketTagging",
    answerNotConfigured("NoSuchTagSet"),
    NOT_SET,
  ),
  GetBucketVersioning: setting(
    "versioning",
    "GetBucketVersioning",
    answerEmpty("VersioningConfiguration"),
    NOT_SET,
  ),
  GetBucketWebsite: setting(
    "website",
    "GetBucketWebsite",
    answerNotConfigured("NoSuchWebsiteConfiguration"),
    NOT_SET,
  ),
  GetObjectLockConfiguration: setting(
    "object-lock",
    "GetBucketObjectLockConfiguration",
    answerNotConfigured("ObjectLockConfigurationNotFoundError"),
    NOT_SET,
  ),
  GetPublicAccessBlock: setting(
    "publicAccessBlock",
    "GetBucketPublicAccessBlock",
    answerNotConfigured("NoSuchPublicAccessBlockConfiguration"),
    NOT_SET,
  ),
} as const satisfies Readonly<Record<string, OperationRow>>;

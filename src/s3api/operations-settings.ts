import { answerEmpty, answerNotConfigured } from "./handlers/absent-settings.ts";
import { getBucketLifecycle, putBucketLifecycle } from "./handlers/bucket-lifecycle.ts";
import { answerSetting, removeSetting, replaceSetting } from "./handlers/bucket-settings.ts";
import type { BucketCall, Handler, OperationRow } from "./operation.ts";
import { BUCKET_ENCRYPTION } from "./settings/bucket-encryption.ts";
import type { BucketSetting } from "./settings/bucket-setting.ts";
import { BUCKET_TAGGING } from "./settings/bucket-tagging.ts";
import { CORS } from "./settings/cors.ts";
import { ACCELERATE, LOGGING, REQUEST_PAYMENT } from "./settings/fixed-settings.ts";
import { LIFECYCLE } from "./settings/lifecycle.ts";
import { OBJECT_LOCK } from "./settings/object-lock.ts";
import { OWNERSHIP_CONTROLS } from "./settings/ownership-controls.ts";
import { PUBLIC_ACCESS_BLOCK } from "./settings/public-access-block.ts";
import { VERSIONING } from "./settings/versioning.ts";
import { WEBSITE } from "./settings/website.ts";

type Asked = { readonly subresource: string; readonly action: string; readonly note?: string };

/** A question or demand about one subresource of a bucket. */
function bucketRow(
  method: "GET" | "PUT" | "DELETE",
  { subresource, action, note }: Asked,
  handler: Handler<BucketCall>,
): OperationRow {
  return {
    method,
    level: "bucket",
    query: { [subresource]: "" },
    action: `s3:${action}`,
    body: method === "PUT" ? "xml" : "none",
    handler,
    ...(note === undefined ? {} : { note }),
  };
}

/** The row that shows a setting. */
function shows<Value>(
  setting: BucketSetting<Value>,
  handler: Handler<BucketCall> = answerSetting(setting),
): OperationRow {
  const { subresource, actions } = setting;
  return bucketRow("GET", { subresource, action: actions.get }, handler);
}

/** The row that replaces a setting by the document in the body. */
function replaces<Value>(
  setting: BucketSetting<Value>,
  note?: string,
  handler: Handler<BucketCall> = replaceSetting(setting),
): OperationRow {
  const { subresource, actions } = setting;
  return bucketRow("PUT", { subresource, action: actions.put, ...noted(note) }, handler);
}

/** The row that takes a setting away, in the usual way or another. */
function removes<Value>(
  setting: BucketSetting<Value>,
  handler: Handler<BucketCall> = removeSetting(setting),
): OperationRow {
  const { subresource, actions } = setting;
  return bucketRow("DELETE", { subresource, action: actions.delete ?? actions.put }, handler);
}

function noted(note: string | undefined): Pick<Asked, "note"> {
  return note === undefined ? {} : { note };
}

/** A setting that no bucket has yet, asked for by clients before they begin. */
function neverSet(
  subresource: string,
  action: string,
  handler: Handler<BucketCall>,
  note = "always the answer for a bucket without it",
): OperationRow {
  return bucketRow("GET", { subresource, action, note }, handler);
}

/** What may be asked and said of a bucket's settings; docs/ARCHITECTURE.md says how to add one. */
export const SETTING_OPERATIONS = {
  DeleteBucketCors: removes(CORS),
  DeleteBucketEncryption: removes(BUCKET_ENCRYPTION),
  DeleteBucketLifecycle: removes(LIFECYCLE),
  DeleteBucketOwnershipControls: removes(OWNERSHIP_CONTROLS),
  DeleteBucketTagging: removes(BUCKET_TAGGING),
  DeleteBucketWebsite: removes(WEBSITE),
  DeletePublicAccessBlock: removes(PUBLIC_ACCESS_BLOCK),
  GetBucketAccelerateConfiguration: shows(ACCELERATE),
  GetBucketCors: shows(CORS),
  GetBucketEncryption: shows(BUCKET_ENCRYPTION),
  GetBucketLifecycleConfiguration: {
    ...shows(LIFECYCLE, getBucketLifecycle),
    params: ["withUpdatedAt"],
  },
  GetBucketLogging: shows(LOGGING),
  GetBucketNotificationConfiguration: neverSet(
    "notification",
    "GetBucketNotification",
    answerEmpty("NotificationConfiguration"),
  ),
  GetBucketOwnershipControls: shows(OWNERSHIP_CONTROLS),
  GetBucketReplication: neverSet(
    "replication",
    "GetReplicationConfiguration",
    answerNotConfigured("ReplicationConfigurationNotFoundError"),
  ),
  GetBucketRequestPayment: shows(REQUEST_PAYMENT),
  GetBucketTagging: shows(BUCKET_TAGGING),
  GetBucketVersioning: shows(VERSIONING),
  GetBucketWebsite: shows(WEBSITE),
  GetObjectLockConfiguration: shows(OBJECT_LOCK),
  GetPublicAccessBlock: shows(PUBLIC_ACCESS_BLOCK),
  PutBucketAccelerateConfiguration: replaces(ACCELERATE, "can be suspended, never enabled"),
  PutBucketCors: replaces(CORS),
  PutBucketEncryption: replaces(BUCKET_ENCRYPTION),
  PutBucketLifecycleConfiguration: replaces(
    LIFECYCLE,
    "transitions are NotImplemented",
    putBucketLifecycle,
  ),
  PutBucketLogging: replaces(LOGGING, "can be switched off, never on"),
  PutBucketOwnershipControls: replaces(OWNERSHIP_CONTROLS),
  PutBucketRequestPayment: replaces(REQUEST_PAYMENT, "always BucketOwner"),
  PutBucketTagging: replaces(BUCKET_TAGGING),
  PutBucketWebsite: replaces(WEBSITE),
  PutBucketVersioning: replaces(VERSIONING, "MfaDelete cannot be enabled"),
  PutObjectLockConfiguration: replaces(OBJECT_LOCK),
  PutPublicAccessBlock: replaces(PUBLIC_ACCESS_BLOCK),
} as const satisfies Readonly<Record<string, OperationRow>>;

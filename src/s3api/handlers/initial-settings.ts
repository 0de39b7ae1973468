import { CREATOR_SETTING } from "../../core/bucket-creator.ts";
import type { BucketSettings } from "../../core/records.ts";
import { requireAclTaken } from "../acl-wish.ts";
import type { KnownValues } from "../authorize.ts";
import { S3Error } from "../errors.ts";
import { ACL_HEADER } from "../headers/object-acl.ts";
import type { BucketCall } from "../operation.ts";
import { BUCKET_ACL, isPublicAcl } from "../policy/canned-acl.ts";
import { resourceTagValues } from "../request-values.ts";
import { readCannedAcl } from "../settings/bucket-acl.ts";
import { BUCKET_TAGGING } from "../settings/bucket-tagging.ts";
import { OBJECT_OWNERSHIPS, OWNERSHIP_CONTROLS } from "../settings/ownership-controls.ts";
import type { Tags } from "../settings/tag-set.ts";

const OWNERSHIP_HEADER = "x-amz-object-ownership";

/**
 * The settings that a bucket is created with. What would need another action later needs it now.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
 */
export function initialSettings(call: BucketCall, tags: Tags): BucketSettings {
  const settings = new Map<string, Uint8Array>();
  addCreator(settings, call);
  addOwnership(settings, call);
  addAcl(settings, call);
  if (tags.length > 0) {
    requireAllowedAtCreation(call, "s3:TagResource", resourceTagValues(tags));
    settings.set(BUCKET_TAGGING.name, BUCKET_TAGGING.encode(tags));
  }
  return settings;
}

/** Which key made the bucket, for policies that ask. What the root key makes is the site's own. */
function addCreator(settings: Map<string, Uint8Array>, { auth }: BucketCall): void {
  const { kind, id } = auth.credential;
  if (kind === "user") settings.set(CREATOR_SETTING, Buffer.from(id));
}

function addOwnership(settings: Map<string, Uint8Array>, call: BucketCall): void {
  const text = call.headers.get(OWNERSHIP_HEADER);
  if (text === undefined) return;
  const ownership = OBJECT_OWNERSHIPS.find((known) => known === text);
  if (ownership === undefined) {
    throw new S3Error("InvalidArgument", {
      message: `Invalid x-amz-object-ownership header: ${text}`,
      fields: { ArgumentName: OWNERSHIP_HEADER, ArgumentValue: text },
    });
  }
  requireAllowedAtCreation(call, "s3:PutBucketOwnershipControls");
  settings.set(OWNERSHIP_CONTROLS.name, OWNERSHIP_CONTROLS.encode(ownership));
}

function addAcl(settings: Map<string, Uint8Array>, call: BucketCall): void {
  const text = call.headers.get(ACL_HEADER);
  if (text === undefined) return;
  const acl = readCannedAcl(text);
  if (!isPublicAcl(acl)) return;
  if (OWNERSHIP_CONTROLS.of(settings) === "BucketOwnerEnforced") {
    throw new S3Error("InvalidBucketAclWithObjectOwnership");
  }
  requireAclTaken(acl, settings);
  requireAllowedAtCreation(call, "s3:PutBucketAcl");
  settings.set(BUCKET_ACL, Buffer.from(acl, "latin1"));
}

/** For a bucket that is not there yet: who makes it is who will have made it. */
export function requireAllowedAtCreation(
  { allows, auth, bucket }: BucketCall,
  action: string,
  values: KnownValues = new Map(),
): void {
  const known = new Map([...values, ["atoll:bucketcreator", [auth.credential.id]]]);
  if (!allows(action, bucket, undefined, known)) throw new S3Error("AccessDenied");
}

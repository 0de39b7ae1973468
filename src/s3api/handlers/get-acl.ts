import { objectAclOf } from "../headers/object-acl.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import type { BucketCall, HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { aclsAreOff, bucketAclOf } from "../settings/bucket-acl.ts";
import { aclDocument } from "../xml/acl-document.ts";
import { existingObject, pushVersionId } from "./object-version.ts";

/**
 * Where ACLs are turned off, everything is the owner's, as AWS has it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html
 */
export function getBucketAcl(call: BucketCall, deps: HandlerDeps): Reply {
  const { bucketSettings } = call;
  const acl = aclsAreOff(bucketSettings) ? "private" : bucketAclOf(bucketSettings);
  return xmlReply(aclDocument(acl, deps.settings.ownerId));
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html */
export function getObjectAcl(call: ObjectCall, deps: HandlerDeps): Reply {
  const object = existingObject(call, deps);
  const { attributes } = object.record;
  const acl = aclsAreOff(call.bucketSettings) ? "private" : objectAclOf(attributes);
  const headers: HeaderLines = [];
  pushVersionId(headers, call, object);
  return xmlReply(aclDocument(acl, deps.settings.ownerId), headers);
}

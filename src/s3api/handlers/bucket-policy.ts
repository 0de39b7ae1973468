import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { isPublicAcl } from "../policy/canned-acl.ts";
import { emptyReply, xmlReply } from "../reply.ts";
import { bucketAclOf, grantedAcl } from "../settings/bucket-acl.ts";
import { BUCKET_POLICY, requireFitting } from "../settings/bucket-policy.ts";
import { readDocument } from "../settings/bucket-setting.ts";
import { XmlWriter } from "../xml/writer.ts";
import { bucketOf, storeSetting } from "./bucket-settings.ts";
import { readDocumentBody } from "./xml-body.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html */
export async function putBucketPolicy(call: BucketCall, deps: HandlerDeps): Promise<Reply> {
  const policy = readDocument(BUCKET_POLICY.document, await readDocumentBody(call, deps));
  requireFitting(policy, call.bucket);
  BUCKET_POLICY.check?.(policy, bucketOf(call, deps).settings);
  await storeSetting(call, deps, BUCKET_POLICY, policy);
  return emptyReply(204);
}

/**
 * Whether the bucket is public, by its policy or by its ACL where that counts.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicyStatus.html
 */
export function getBucketPolicyStatus({ bucketSettings: settings }: BucketCall): Reply {
  const isPublic =
    BUCKET_POLICY.of(settings)?.isPublic === true ||
    isPublicAcl(grantedAcl(settings, bucketAclOf(settings)));
  const xml = new XmlWriter("PolicyStatus");
  xml.text("IsPublic", String(isPublic));
  return xmlReply(xml.finish());
}

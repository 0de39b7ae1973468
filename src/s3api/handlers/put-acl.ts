import { requireAclTaken } from "../acl-wish.ts";
import { S3Error } from "../errors.ts";
import { ACL_HEADER } from "../headers/object-acl.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import type { CannedAcl } from "../policy/canned-acl.ts";
import { emptyReply } from "../reply.ts";
import { BUCKET_ACL, readCannedAcl } from "../settings/bucket-acl.ts";
import { readAclDocument } from "../xml/acl-document.ts";
import { bucketOf } from "./bucket-settings.ts";
import { readDocumentBody } from "./xml-body.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html */
export async function putBucketAcl(call: BucketCall, deps: HandlerDeps): Promise<Reply> {
  const acl = await readWantedAcl(call, deps);
  requireAclTaken(acl, bucketOf(call, deps).settings);
  const { bucket } = call;
  const value = acl === "private" ? undefined : Buffer.from(acl, "latin1");
  const { outcome } = await deps.store.putBucketSetting({ bucket, name: BUCKET_ACL, value });
  if (outcome !== "stored") throw new S3Error("NoSuchBucket", { fields: { BucketName: bucket } });
  return emptyReply(200);
}

/** The ACL of a request: by its name in a header, or as a document. */
export async function readWantedAcl(call: BucketCall, deps: HandlerDeps): Promise<CannedAcl> {
  const body = await readDocumentBody(call, deps);
  const header = call.headers.get(ACL_HEADER);
  if (header === undefined) {
    if (body.length === 0) throw new S3Error("MissingSecurityHeader");
    return readAclDocument(body, deps.settings.ownerId);
  }
  if (body.length > 0) throw new S3Error("UnexpectedContent");
  return readCannedAcl(header);
}

import { requireAclTaken } from "../acl-wish.ts";
import { S3Error } from "../errors.ts";
import { ACL_HEADER } from "../headers/object-acl.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import type { BucketCall, HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { BUCKET_ACL, type CannedAcl, isPublicAcl } from "../policy/canned-acl.ts";
import { emptyReply } from "../reply.ts";
import { readCannedAcl } from "../settings/bucket-acl.ts";
import { readAclDocument } from "../xml/acl-document.ts";
import { bucketOf } from "./bucket-settings.ts";
import { changeObject } from "./change-object.ts";
import { pushVersionId } from "./object-version.ts";
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

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html */
export async function putObjectAcl(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const acl = await readWantedAcl(call, deps);
  requireAclTaken(acl, bucketOf(call, deps).settings);
  const object = await changeObject(call, deps, {
    kind: "acl",
    acl: isPublicAcl(acl) ? acl : "",
  });
  const headers: HeaderLines = [];
  pushVersionId(headers, call, object);
  return emptyReply(200, headers);
}

/** The ACL of a request: by its name in a header, or as a document. */
async function readWantedAcl(call: BucketCall, deps: HandlerDeps): Promise<CannedAcl> {
  const body = await readDocumentBody(call, deps);
  const header = call.headers.get(ACL_HEADER);
  if (header === undefined) {
    if (body.length === 0) throw new S3Error("MissingSecurityHeader");
    return readAclDocument(body, deps.settings.ownerId);
  }
  if (body.length > 0) throw new S3Error("UnexpectedContent");
  return readCannedAcl(header);
}

import type { ChangeOutcome } from "../../storage/store.ts";
import { requireAclTaken } from "../acl-wish.ts";
import { S3Error } from "../errors.ts";
import { ACL_HEADER } from "../headers/object-acl.ts";
import { versionOf } from "../headers/version-ref.ts";
import type { BucketCall, HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { BUCKET_ACL, type CannedAcl, isPublicAcl } from "../policy/canned-acl.ts";
import { emptyReply } from "../reply.ts";
import { readCannedAcl } from "../settings/bucket-acl.ts";
import { readAclDocument } from "../xml/acl-document.ts";
import { bucketOf } from "./bucket-settings.ts";
import { writeRefusal } from "./write-refusal.ts";
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
  const version = versionOf(call.query);
  const acl = await readWantedAcl(call, deps);
  const { bucket, key } = call;
  requireAclTaken(acl, bucketOf(call, deps).settings);
  const outcome = await deps.store.changeObject({
    ...{ bucket, key, change: { kind: "acl", acl: isPublicAcl(acl) ? acl : "" } },
    ...(version === undefined ? {} : { version }),
  });
  if (outcome.outcome !== "changed") throw changeRefusal(call, outcome);
  const { isNull, version: id } = outcome.object;
  return emptyReply(200, isNull ? [] : [["x-amz-version-id", id]]);
}

/** Who may not list is not told that there is nothing to change. */
function changeRefusal(
  { allows, bucket, key }: ObjectCall,
  outcome: Exclude<ChangeOutcome, { outcome: "changed" }>,
): S3Error {
  const isHidden = outcome.outcome === "no-such-key" || outcome.outcome === "no-such-version";
  if (isHidden && !allows("s3:ListBucket", bucket)) return new S3Error("AccessDenied");
  switch (outcome.outcome) {
    case "no-such-version":
      return new S3Error("NoSuchVersion", { fields: { Key: key } });
    case "delete-marker":
      return new S3Error("MethodNotAllowed", {
        fields: { Method: "PUT", ResourceType: "DeleteMarker" },
        headers: [["x-amz-delete-marker", "true"]],
      });
    default:
      return writeRefusal(outcome, bucket, key);
  }
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

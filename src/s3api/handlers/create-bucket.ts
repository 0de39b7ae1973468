import { S3Error } from "../errors.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { childText } from "../xml/reader.ts";
import { readXmlBody } from "./xml-body.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html */
export async function createBucket(call: BucketCall, deps: HandlerDeps): Promise<Reply> {
  const { region, ownerId } = deps.settings;
  const configuration = await readXmlBody(call, deps, "CreateBucketConfiguration");
  if (configuration !== undefined) {
    for (const { name } of configuration.children) {
      if (name !== "LocationConstraint") {
        throw new S3Error("NotImplemented", { fields: { Element: name } });
      }
    }
    requireOurRegion(childText(configuration, "LocationConstraint") ?? "", region);
  }
  const outcome = await deps.store.createBucket({ name: call.bucket, owner: ownerId });
  if (outcome.outcome === "exists") refuseExisting(outcome.bucket.owner, call.bucket, deps);
  return emptyReply(200, [["Location", `/${call.bucket}`]]);
}

function requireOurRegion(constraint: string, region: string): void {
  const meant = constraint === "EU" ? "eu-west-1" : constraint;
  if (meant === "" || meant === region) return;
  throw new S3Error("IllegalLocationConstraintException", {
    message:
      `The ${constraint} location constraint is incompatible for the region specific endpoint ` +
      "this request was sent to.",
  });
}

/** AWS's first region forgives creating one's own bucket again, the others do not. */
function refuseExisting(owner: string, bucket: string, deps: HandlerDeps): void {
  const fields = { BucketName: bucket };
  if (owner !== deps.settings.ownerId) throw new S3Error("BucketAlreadyExists", { fields });
  if (deps.settings.region !== "us-east-1")
    throw new S3Error("BucketAlreadyOwnedByYou", { fields });
}

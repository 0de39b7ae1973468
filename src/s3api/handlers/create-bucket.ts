import { CREATOR_SETTING } from "../../core/bucket-creator.ts";
import type { BucketSettings } from "../../core/records.ts";
import type { StoredBucket } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { OBJECT_LOCK } from "../settings/object-lock.ts";
import { readTagSet, TAGGED_BUCKET, type Tags } from "../settings/tag-set.ts";
import { childNamed, childText, type XmlElement } from "../xml/reader.ts";
import { initialLock } from "./initial-lock.ts";
import { initialSettings } from "./initial-settings.ts";
import { readXmlBody } from "./xml-body.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html */
export async function createBucket(call: BucketCall, deps: HandlerDeps): Promise<Reply> {
  const { region, ownerId } = deps.settings;
  const configuration = await readXmlBody(call, deps, "CreateBucketConfiguration");
  if (configuration !== undefined) {
    for (const { name } of configuration.children) {
      if (name !== "LocationConstraint" && name !== "Tags") {
        throw new S3Error("NotImplemented", { fields: { Element: name } });
      }
    }
    requireOurRegion(childText(configuration, "LocationConstraint") ?? "", region);
  }
  const settings = new Map([...initialSettings(call, tagsOf(configuration)), ...initialLock(call)]);
  const outcome = await deps.store.createBucket({ name: call.bucket, owner: ownerId, settings });
  if (outcome.outcome === "exists") refuseExisting(call, deps, settings, outcome.bucket);
  return emptyReply(200, [["Location", `/${call.bucket}`]]);
}

function tagsOf(configuration: XmlElement | undefined): Tags {
  const set = configuration === undefined ? undefined : childNamed(configuration, "Tags");
  return set === undefined ? [] : readTagSet(set, TAGGED_BUCKET);
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

/**
 * AWS's first region lets a caller create its own bucket again; other regions do not. A bucket that
 * the caller may not even ask about belongs to somebody else, as far as the caller is told. A
 * request for a lock or tags that the existing bucket has not got must not appear to succeed.
 */
function refuseExisting(
  { allows, bucket }: BucketCall,
  deps: HandlerDeps,
  asked: BucketSettings,
  existing: StoredBucket,
): void {
  const fields = { BucketName: bucket };
  const isKnown = allows("s3:ListBucket", bucket) || allows("s3:GetBucketLocation", bucket);
  if (!isKnown) throw new S3Error("BucketAlreadyExists", { fields });
  const isAsAsked = [...asked].every(([name, value]) => {
    if (name === CREATOR_SETTING) return true;
    const has = existing.settings.get(name);
    if (has === undefined) return false;
    // A lock may have been given its default retention since.
    return name === OBJECT_LOCK.name || Buffer.compare(has, value) === 0;
  });
  if (isAsAsked && deps.settings.region === "us-east-1") return;
  throw new S3Error("BucketAlreadyOwnedByYou", { fields });
}

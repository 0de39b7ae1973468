import { CREATOR_SETTING } from "../../core/bucket-creator.ts";
import type { BucketSettings } from "../../core/records.ts";
import type { StoredBucket } from "../../storage/store.ts";
import type { KnownValues } from "../authorize.ts";
import { S3Error } from "../errors.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { resourceTagValues } from "../request-values.ts";
import { OBJECT_LOCK } from "../settings/object-lock.ts";
import { readTagSet, TAGGED_BUCKET, type Tags } from "../settings/tag-set.ts";
import { childNamed, childText } from "../xml/reader.ts";
import { allowedBody } from "./allowed-body.ts";
import { initialLock } from "./initial-lock.ts";
import { initialSettings } from "./initial-settings.ts";
import { readXmlBody } from "./xml-body.ts";

/** What the body asks for. */
type Asked = { readonly constraint: string | undefined; readonly tags: Tags };

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html */
export async function createBucket(call: BucketCall, deps: HandlerDeps): Promise<Reply> {
  const { region, ownerId } = deps.settings;
  const { constraint, tags } = await allowedBody(call, {
    action: "s3:CreateBucket",
    read: () => readAsked(call, deps),
    known: (asked) => new Map([...locationValues(asked), ...resourceTagValues(asked.tags)]),
  });
  requireOurRegion(constraint ?? "", region);
  const settings = new Map([...initialSettings(call, tags), ...initialLock(call)]);
  const outcome = await deps.store.createBucket({ name: call.bucket, owner: ownerId, settings });
  if (outcome.outcome === "exists") refuseExisting(call, deps, settings, outcome.bucket);
  return emptyReply(200, [["Location", `/${call.bucket}`]]);
}

async function readAsked(call: BucketCall, deps: HandlerDeps): Promise<Asked> {
  const configuration = await readXmlBody(call, deps, "CreateBucketConfiguration");
  if (configuration === undefined) return { constraint: undefined, tags: [] };
  for (const { name } of configuration.children) {
    if (name !== "LocationConstraint" && name !== "Tags") {
      throw new S3Error("NotImplemented", { fields: { Element: name } });
    }
  }
  const set = childNamed(configuration, "Tags");
  return {
    constraint: childText(configuration, "LocationConstraint"),
    tags: set === undefined ? [] : readTagSet(set, TAGGED_BUCKET),
  };
}

/** A policy sees the constraint as it was sent; a request without one has no value. */
function locationValues({ constraint }: Asked): KnownValues {
  return new Map(constraint === undefined ? [] : [["s3:locationconstraint", [constraint]]]);
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

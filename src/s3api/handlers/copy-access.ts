import { VERSIONING_SETTING } from "../../core/bucket-versioning.ts";
import { LIMITS } from "../../core/limits.ts";
import type { StoredObject } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { checkCopySource } from "../headers/conditionals.ts";
import type { CopySource } from "../headers/copy-source.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import type { HandlerDeps, ObjectCall } from "../operation.ts";
import { knownVersion, requestTagValues } from "../request-values.ts";
import type { Tags } from "../settings/tag-set.ts";
import { copiedObject, shownVersionId } from "./object-version.ts";

/**
 * The source of a copy, which the caller must be allowed to read. Authorisation comes before
 * existence, existence before conditions.
 */
export function readableSource(
  call: ObjectCall,
  deps: HandlerDeps,
  source: CopySource,
): StoredObject {
  requireAllowedOnSource(call, source, ["s3:GetObject", "s3:GetObjectVersion"]);
  const bucket = deps.store.bucket(source.bucket);
  if (bucket === undefined) {
    throw new S3Error("NoSuchBucket", { fields: { BucketName: source.bucket } });
  }
  const object = copiedObject(call, deps, { ...source, settings: bucket.settings });
  checkCopySource(call.headers, object.record, deps.nowMs);
  return object;
}

/** One request copies no more than one PUT could bring: an object, or a range for a part. */
export function requireCopyable(bytes: number): void {
  if (bytes <= LIMITS.putBytesMax) return;
  throw new S3Error("InvalidRequest", {
    message:
      "The specified copy source is larger than the maximum allowable size for a copy source: " +
      String(LIMITS.putBytesMax),
  });
}

/**
 * Tags that go along with a copy are read there and written here, and each has to be allowed. A
 * policy on tags is asked about those that are written, and not about a header that says others.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 */
export function requireTagsAllowed(call: ObjectCall, source: CopySource, tags: Tags): void {
  requireAllowedOnSource(call, source, ["s3:GetObjectTagging", "s3:GetObjectVersionTagging"]);
  const { allows, bucket, key } = call;
  if (!allows("s3:PutObjectTagging", bucket, key, requestTagValues(tags))) {
    throw new S3Error("AccessDenied");
  }
}

/** Of the two actions the second is for a source whose version is named. */
function requireAllowedOnSource(
  { allows }: ObjectCall,
  { bucket, key, version }: CopySource,
  [action, versionAction]: readonly [string, string],
): void {
  const asked = version === undefined ? action : versionAction;
  if (!allows(asked, bucket, key, knownVersion(version))) throw new S3Error("AccessDenied");
}

/** `x-amz-copy-source-version-id`: which version was copied, if its bucket knows versions. */
export function pushSourceVersionId(
  lines: HeaderLines,
  deps: HandlerDeps,
  source: StoredObject,
): void {
  const isVersioned =
    !source.isNull || deps.store.bucket(source.bucket)?.settings.has(VERSIONING_SETTING);
  if (isVersioned === true) lines.push(["x-amz-copy-source-version-id", shownVersionId(source)]);
}

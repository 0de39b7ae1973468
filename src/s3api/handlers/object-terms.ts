import type { StoredObject } from "../../storage/store.ts";
import { pushExpiration } from "../headers/lifecycle-headers.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import { pushLockHeaders } from "../headers/object-lock-headers.ts";
import type { ObjectCall } from "../operation.ts";

/**
 * What GET and HEAD tell beside the object itself: until when a version is kept at least and at
 * most, and how many tags it has. Costs one look-up for an object without lock and tags in a bucket
 * without a lifecycle. Only what is current expires: who names a version is told nothing of it. Of
 * locks and tags those are told who may ask for them.
 */
export function pushTerms(lines: HeaderLines, call: ObjectCall, { record }: StoredObject): void {
  const { bucket, key, allows } = call;
  const isNamed = call.query.has("versionId");
  if (!isNamed) pushExpiration(lines, call.bucketSettings, key, record);
  const { tags } = record.attributes;
  const ofTags = isNamed ? "s3:GetObjectVersionTagging" : "s3:GetObjectTagging";
  if (tags.length > 0 && allows(ofTags, bucket, key)) {
    lines.push(["x-amz-tagging-count", String(tags.length)]);
  }
  if (record.lock === undefined) return;
  pushLockHeaders(lines, record.lock, {
    seeRetention: allows("s3:GetObjectRetention", bucket, key),
    seeLegalHold: allows("s3:GetObjectLegalHold", bucket, key),
  });
}

import type { StoredObject } from "../../storage/store.ts";
import { pushExpiration } from "../headers/lifecycle-headers.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import { pushLockHeaders } from "../headers/object-lock-headers.ts";
import type { ObjectCall } from "../operation.ts";

/**
 * Until when a version is kept at least and at most, for GET and HEAD. Costs one look-up for an
 * object without a lock in a bucket without a lifecycle. Only what is current expires: who names a
 * version is told nothing of it.
 */
export function pushTerms(lines: HeaderLines, call: ObjectCall, { record }: StoredObject): void {
  const { bucket, key, allows } = call;
  if (!call.query.has("versionId")) pushExpiration(lines, call.bucketSettings, key, record);
  if (record.lock === undefined) return;
  pushLockHeaders(lines, record.lock, {
    seeRetention: allows("s3:GetObjectRetention", bucket, key),
    seeLegalHold: allows("s3:GetObjectLegalHold", bucket, key),
  });
}

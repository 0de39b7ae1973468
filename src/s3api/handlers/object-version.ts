import type { BucketName, ObjectKey } from "../../core/names.ts";
import type { StoredObject } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import { type VersionRef, versionOf } from "../headers/version-ref.ts";
import type { Call, HandlerDeps, ObjectCall } from "../operation.ts";

type Place = { readonly bucket: BucketName; readonly key: ObjectKey };

/**
 * The object of a read: the version that the request names, or the current one. A caller who may
 * not list is not told whether there is one.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/RetrievingObjectVersions.html
 */
export function existingObject(call: ObjectCall, deps: HandlerDeps): StoredObject {
  const version = versionOf(call.query);
  if (version === undefined) {
    const object = deps.store.object(call.bucket, call.key);
    if (object !== undefined) return object;
  }
  return copiedObject(call, deps, { bucket: call.bucket, key: call.key, version });
}

/** The source of a copy: a version, or without one what is current. */
export function copiedObject(
  call: Call,
  deps: HandlerDeps,
  source: Place & { readonly version: VersionRef | undefined },
): StoredObject {
  const { bucket, key, version } = source;
  const object = deps.store.object(bucket, key);
  // Buckets keep no versions yet, so that every object is the null version of its key.
  if (object !== undefined && (version === undefined || version === "null")) return object;
  if (!call.allows("s3:ListBucket", bucket)) throw new S3Error("AccessDenied");
  if (version === undefined) throw new S3Error("NoSuchKey", { fields: { Key: key } });
  throw new S3Error("NoSuchVersion", { fields: { Key: key, VersionId: version } });
}

/**
 * `x-amz-version-id` of a read or a change. A bucket that was never versioned does not speak of
 * versions unless the request does.
 */
export function pushVersionId(lines: HeaderLines, call: ObjectCall): void {
  if (call.query.has("versionId")) lines.push(["x-amz-version-id", "null"]);
}

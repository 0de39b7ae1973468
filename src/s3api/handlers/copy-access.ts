import type { StoredObject } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { checkCopySource } from "../headers/conditionals.ts";
import type { CopySource } from "../headers/copy-source.ts";
import type { HandlerDeps, ObjectCall } from "../operation.ts";
import { checkVersionId } from "./object-access.ts";

/**
 * The source of a copy, which the caller must be allowed to read. Authorisation comes before
 * existence, existence before conditions.
 */
export function readableSource(
  call: ObjectCall,
  deps: HandlerDeps,
  source: CopySource,
): StoredObject {
  if (!call.allows("s3:GetObject", source.bucket, source.key)) throw new S3Error("AccessDenied");
  checkVersionId(source.versionId);
  if (deps.store.bucket(source.bucket) === undefined) {
    throw new S3Error("NoSuchBucket", { fields: { BucketName: source.bucket } });
  }
  const object = deps.store.object(source.bucket, source.key);
  if (object === undefined) {
    if (!call.allows("s3:ListBucket", source.bucket)) throw new S3Error("AccessDenied");
    throw new S3Error("NoSuchKey", { fields: { Key: source.key } });
  }
  checkCopySource(call.headers, object.record);
  return object;
}

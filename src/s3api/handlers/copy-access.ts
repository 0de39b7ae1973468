import type { StoredObject } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { checkCopySource } from "../headers/conditionals.ts";
import type { CopySource } from "../headers/copy-source.ts";
import type { HandlerDeps, ObjectCall } from "../operation.ts";
import { copiedObject } from "./object-version.ts";

/**
 * The source of a copy, which the caller must be allowed to read. Authorisation comes before
 * existence, existence before conditions.
 */
export function readableSource(
  call: ObjectCall,
  deps: HandlerDeps,
  source: CopySource,
): StoredObject {
  const action = source.version === undefined ? "s3:GetObject" : "s3:GetObjectVersion";
  if (!call.allows(action, source.bucket, source.key)) throw new S3Error("AccessDenied");
  if (deps.store.bucket(source.bucket) === undefined) {
    throw new S3Error("NoSuchBucket", { fields: { BucketName: source.bucket } });
  }
  const object = copiedObject(call, deps, source);
  checkCopySource(call.headers, object.record);
  return object;
}

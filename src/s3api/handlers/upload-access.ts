import { parseUploadId, type UploadId } from "../../core/names.ts";
import type { UploadRecord } from "../../core/records.ts";
import { S3Error } from "../errors.ts";
import type { HandlerDeps, ObjectCall } from "../operation.ts";

/** The upload id of a request; one we cannot have made names no upload. */
export function uploadIdOf(call: ObjectCall): UploadId {
  const text = call.query.get("uploadId") ?? "";
  const uploadId = parseUploadId(text);
  if (uploadId === undefined) throw noSuchUpload(text);
  return uploadId;
}

/** The upload a request works on; throws when there is none of that id for that key. */
export function existingUpload(call: ObjectCall, deps: HandlerDeps): UploadRecord {
  const uploadId = uploadIdOf(call);
  const upload = deps.store.upload(call.bucket, call.key, uploadId);
  if (upload === undefined) throw noSuchUpload(uploadId);
  return upload;
}

/** AWS's error for an upload that never was, was aborted, or was completed. */
export function noSuchUpload(uploadId: string): S3Error {
  return new S3Error("NoSuchUpload", { fields: { UploadId: uploadId } });
}

import { unreachable } from "../../core/assert.ts";
import { S3Error } from "../errors.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { noSuchUpload, uploadIdOf } from "./upload-access.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html */
export async function abortMultipartUpload(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const uploadId = uploadIdOf(call);
  const { outcome } = await deps.store.abortUpload(call.bucket, call.key, uploadId);
  switch (outcome) {
    case "aborted":
      return emptyReply(204);
    case "no-such-upload":
      throw noSuchUpload(uploadId);
    case "no-such-bucket":
      throw new S3Error("NoSuchBucket", { fields: { BucketName: call.bucket } });
  }
  return unreachable(outcome);
}

import { unreachable } from "../../core/assert.ts";
import { VERSIONING_SETTING } from "../../core/bucket-versioning.ts";
import { S3Error } from "../errors.ts";
import { untilLogHasCome } from "../incomplete-site.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";

/** Listings show no versions, so that whoever has deleted all they show is told of them. */
const VERSIONS_LEFT =
  "The bucket you tried to delete is not empty. You must delete all versions in the bucket.";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html */
export async function deleteBucket(call: BucketCall, deps: HandlerDeps): Promise<Reply> {
  const { outcome } = await deps.store.deleteBucket(call.bucket);
  const fields = { BucketName: call.bucket };
  switch (outcome) {
    case "deleted":
      return emptyReply(204);
    case "no-such-bucket":
      throw new S3Error("NoSuchBucket", { fields });
    case "not-empty":
      throw new S3Error(
        "BucketNotEmpty",
        call.bucketSettings.has(VERSIONING_SETTING)
          ? { fields, message: VERSIONS_LEFT }
          : { fields },
      );
    case "ahead-of-log":
      throw untilLogHasCome();
  }
  return unreachable(outcome);
}

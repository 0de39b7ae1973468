import { unreachable } from "../../core/assert.ts";
import { S3Error } from "../errors.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";

export async function deleteBucket(call: BucketCall, deps: HandlerDeps): Promise<Reply> {
  const { outcome } = await deps.store.deleteBucket(call.bucket);
  const fields = { BucketName: call.bucket };
  switch (outcome) {
    case "deleted":
      return emptyReply(204);
    case "no-such-bucket":
      throw new S3Error("NoSuchBucket", { fields });
    case "not-empty":
      throw new S3Error("BucketNotEmpty", { fields });
  }
  return unreachable(outcome);
}

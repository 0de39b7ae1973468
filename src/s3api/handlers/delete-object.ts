import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { checkVersionId } from "./object-access.ts";
import { allowedConditions } from "./write-conditions.ts";
import { writeRefusal } from "./write-refusal.ts";

/** Deleting what is not there succeeds, as S3 has it. */
export async function deleteObject(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  checkVersionId(call.query.get("versionId"));
  const { bucket, key } = call;
  const conditions = allowedConditions(call);
  const outcome = await deps.store.deleteObject(
    conditions === undefined ? { bucket, key } : { bucket, key, conditions },
  );
  if (outcome.outcome !== "deleted") throw writeRefusal(outcome, bucket, key);
  return emptyReply(204);
}

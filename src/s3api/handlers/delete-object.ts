import { S3Error } from "../errors.ts";
import { type VersionRef, versionOf } from "../headers/version-ref.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { allowedConditions } from "./write-conditions.ts";
import { writeRefusal } from "./write-refusal.ts";

/** Deleting what is not there succeeds, as S3 has it. */
export async function deleteObject(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  checkVersion(versionOf(call.query));
  const { bucket, key } = call;
  const conditions = allowedConditions(call);
  const outcome = await deps.store.deleteObject(
    conditions === undefined ? { bucket, key } : { bucket, key, conditions },
  );
  if (outcome.outcome !== "deleted") throw writeRefusal(outcome, bucket, key);
  return emptyReply(204);
}

/** Buckets keep no versions yet, so that there is no other version than "null". */
export function checkVersion(version: VersionRef | undefined): void {
  if (version === undefined || version === "null") return;
  throw new S3Error("NoSuchVersion", { fields: { VersionId: version } });
}

import { unreachable } from "../../core/assert.ts";
import { OBJECT_LOCK_SETTING } from "../../core/bucket-versioning.ts";
import type { RequestedChange, StoredObject } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { changeableObject, shownVersionId } from "./object-version.ts";
import { writeRefusal } from "./write-refusal.ts";

/** The version whose lock is asked for. AWS says first that a bucket has no object lock. */
export function lockedObject(call: ObjectCall, deps: HandlerDeps): StoredObject {
  if (!call.bucketSettings.has(OBJECT_LOCK_SETTING)) {
    throw new S3Error("InvalidRequest", { message: "Bucket is missing Object Lock Configuration" });
  }
  return changeableObject(call, deps);
}

/** Changes the lock of the version that the request names, or of the current one. */
export async function changeLock(
  call: ObjectCall,
  deps: HandlerDeps,
  change: RequestedChange,
): Promise<Reply> {
  const found = lockedObject(call, deps);
  const { bucket, key } = call;
  const version = shownVersionId(found);
  const outcome = await deps.store.changeObject({ bucket, key, version, change });
  switch (outcome.outcome) {
    case "changed":
      return emptyReply(200);
    // Both: it has been removed, or replaced by a delete marker, since it was found.
    case "no-such-version":
    case "delete-marker":
      throw new S3Error("NoSuchVersion", { fields: { Key: key, VersionId: version } });
    case "no-such-bucket":
    case "no-such-key":
    case "precondition-failed":
    case "locked":
    case "ahead-of-log":
      throw writeRefusal(outcome, bucket, key);
  }
  return unreachable(outcome);
}

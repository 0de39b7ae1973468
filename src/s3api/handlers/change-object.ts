import { unreachable } from "../../core/assert.ts";
import type { ChangeOutcome, RequestedChange, StoredObject } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { versionOf } from "../headers/version-ref.ts";
import { hiddenAbsence } from "../incomplete-site.ts";
import type { HandlerDeps, ObjectCall } from "../operation.ts";
import { writeRefusal } from "./write-refusal.ts";

/**
 * Changes what is said about the version that a request names, or about the current one, and gives
 * it as it is then. Who may not list is not told that there is nothing to change.
 */
export async function changeObject(
  call: ObjectCall,
  deps: HandlerDeps,
  change: RequestedChange,
): Promise<StoredObject> {
  const version = versionOf(call.query);
  const { bucket, key } = call;
  const place = version === undefined ? { bucket, key } : { bucket, key, version };
  const outcome = await deps.store.changeObject({ ...place, change });
  if (outcome.outcome === "changed") return outcome.object;
  throw changeRefusal(call, deps, outcome);
}

function changeRefusal(
  { allows, bucket, key, query }: ObjectCall,
  deps: HandlerDeps,
  outcome: Exclude<ChangeOutcome, { outcome: "changed" }>,
): S3Error {
  switch (outcome.outcome) {
    case "no-such-version":
      if (!allows("s3:ListBucket", bucket)) return hiddenAbsence(deps);
      return new S3Error("NoSuchVersion", {
        fields: { Key: key, VersionId: query.get("versionId") ?? "" },
      });
    case "no-such-key":
      if (!allows("s3:ListBucket", bucket)) return hiddenAbsence(deps);
      return writeRefusal(outcome, bucket, key);
    case "delete-marker":
      return new S3Error("MethodNotAllowed", {
        fields: { ResourceType: "DeleteMarker" },
        headers: [["x-amz-delete-marker", "true"]],
      });
    case "no-such-bucket":
    case "precondition-failed":
    case "locked":
    case "ahead-of-log":
      return writeRefusal(outcome, bucket, key);
  }
  return unreachable(outcome);
}

import type { DeleteObjectRequest, DeleteOutcome, WriteConditions } from "../../storage/store.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import { type VersionRef, versionOf } from "../headers/version-ref.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { bypassesGovernance } from "./governance-bypass.ts";
import { allowedConditions } from "./write-conditions.ts";
import { writeRefusal } from "./write-refusal.ts";

/**
 * Deleting what is not there succeeds, as S3 has it. Without a version a versioned bucket gets a
 * delete marker; with one, that version is removed for good.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
 */
export async function deleteObject(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const { bucket, key } = call;
  const version = versionOf(call.query);
  const conditions = allowedConditions(call);
  const plain = version === undefined && conditions === undefined;
  const outcome = await deps.store.deleteObject(
    plain ? { bucket, key } : { bucket, key, ...terms(call, version, conditions) },
  );
  if (outcome.outcome !== "deleted") throw writeRefusal(outcome, bucket, key);
  const { marker, id } = deletedVersion(outcome, version);
  const headers: HeaderLines = [];
  if (marker) headers.push(["x-amz-delete-marker", "true"]);
  if (id !== undefined) headers.push(["x-amz-version-id", id]);
  return emptyReply(204, headers);
}

function terms(
  call: ObjectCall,
  version: VersionRef | undefined,
  conditions: WriteConditions | undefined,
): Pick<DeleteObjectRequest, "version" | "bypassGovernance" | "conditions"> {
  const bypassGovernance = version !== undefined && bypassesGovernance(call, call.key);
  return {
    ...(version === undefined ? {} : { version, bypassGovernance }),
    ...(conditions === undefined ? {} : { conditions }),
  };
}

/**
 * What a delete tells of versions: the marker it made or removed, or the version it was to remove,
 * which need not have existed. Nothing in a bucket without versions.
 */
export function deletedVersion(
  outcome: Extract<DeleteOutcome, { outcome: "deleted" }>,
  asked: VersionRef | undefined,
): { readonly marker: boolean; readonly id: VersionRef | undefined } {
  if (asked !== undefined) return { marker: outcome.removedMarker, id: asked };
  return { marker: outcome.deleteMarker !== undefined, id: outcome.deleteMarker };
}

import type { ObjectRow } from "./metadata/object-row.ts";
import type { Refusal, WriteConditions } from "./store.ts";

/**
 * Judges what a write demands of the current object, inside the commit.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 *
 * @returns why the write is refused, or undefined when it may go on.
 */
export function judgeConditions(
  conditions: WriteConditions | undefined,
  current: ObjectRow | undefined,
): Refusal | undefined {
  if (conditions === undefined) return undefined;
  const object = current?.object;
  const { ifMatch, ifNoneMatch, ifSize, ifLastModifiedMs } = conditions;
  if (ifMatch !== undefined) {
    if (object === undefined) return { outcome: "no-such-key" };
    if (!names(ifMatch, object.etag)) return refusedBy("If-Match");
  }
  if (ifNoneMatch !== undefined && object !== undefined && names(ifNoneMatch, object.etag)) {
    return refusedBy("If-None-Match");
  }
  if (ifSize !== undefined && object !== undefined && object.size !== ifSize) {
    return refusedBy("x-amz-if-match-size");
  }
  if (ifLastModifiedMs !== undefined && object !== undefined) {
    const seconds = Math.floor(object.lastModifiedMs / 1000);
    if (seconds !== Math.floor(ifLastModifiedMs / 1000)) {
      return refusedBy("x-amz-if-match-last-modified-time");
    }
  }
  return undefined;
}

function names(etags: readonly string[], etag: string): boolean {
  return etags.includes("*") || etags.includes(etag);
}

function refusedBy(condition: string): Refusal {
  return { outcome: "precondition-failed", condition };
}

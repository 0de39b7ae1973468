import type { ObjectAttributes } from "./records.ts";

/**
 * Under which name an object's ACL stands in its system metadata; its value is the name of one of
 * S3's canned ACLs. An object without it is its owner's alone.
 */
export const ACL_NAME = "x-amz-acl";

/** System metadata with another ACL, sorted by name as it is kept; "" takes it away. */
export function withAcl(
  system: ObjectAttributes["system"],
  acl: string,
): ObjectAttributes["system"] {
  const kept = system.filter(([name]) => name !== ACL_NAME);
  if (acl === "") return kept;
  return [...kept, [ACL_NAME, acl] as const].sort(([left], [right]) => (left < right ? -1 : 1));
}

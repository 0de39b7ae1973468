import type { ObjectAttributes } from "../../core/records.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { type CannedAcl, isPublicAcl, parseCannedAcl } from "../policy/canned-acl.ts";
import { readCannedAcl } from "../settings/bucket-acl.ts";

/**
 * Where the ACL of an object is kept: beside its system metadata, under the header it came in. An
 * object without one is its owner's alone.
 */
export const ACL_HEADER = "x-amz-acl";

type Pair = readonly [string, string];

/** The ACL of a stored object. One that cannot be read grants nothing. */
export function objectAclOf({ system }: Pick<ObjectAttributes, "system">): CannedAcl {
  for (const [name, value] of system) {
    if (name === ACL_HEADER) return parseCannedAcl(value) ?? "private";
  }
  return "private";
}

/** The ACL that is kept of what a request wants; undefined for one that grants nothing. */
export function keptAcl(headers: RequestHeaders): Pair | undefined {
  const text = headers.get(ACL_HEADER);
  if (text === undefined) return undefined;
  const acl = readCannedAcl(text);
  return isPublicAcl(acl) ? [ACL_HEADER, acl] : undefined;
}

/** System metadata with another ACL in it; sorted by name, as it is kept. */
export function withAcl(system: readonly Pair[], acl: CannedAcl): readonly Pair[] {
  const others = system.filter(([name]) => name !== ACL_HEADER);
  if (!isPublicAcl(acl)) return others;
  const kept: Pair = [ACL_HEADER, acl];
  return [...others, kept].sort(([left], [right]) => (left < right ? -1 : 1));
}

import { ACL_NAME } from "../../core/object-acl.ts";
import type { ObjectAttributes } from "../../core/records.ts";
import type { RequestHeaders } from "../../http/exchange.ts";
import { type CannedAcl, isPublicAcl, parseCannedAcl } from "../policy/canned-acl.ts";
import { readCannedAcl } from "../settings/bucket-acl.ts";

/** An object's ACL is kept under the header that it comes in. */
export const ACL_HEADER = ACL_NAME;

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

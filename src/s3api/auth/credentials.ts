import { assert } from "../../core/assert.ts";
import { type AccessKeyId, parseAccessKeyId } from "../../core/names.ts";
import type { PolicyDocument } from "../policy/document.ts";
import type { Caller } from "../policy/principal.ts";

/**
 * Who may sign, with what it takes to check it. The root key of the site owns everything; a user's
 * key may do what its policies and those of buckets allow. Who does not sign is "anonymous" and has
 * the policies of buckets alone.
 */
export type Credential = Caller & {
  /** Never logged, never shown. */
  readonly secret: string;
  readonly policies: readonly PolicyDocument[];
};

/** Whoever sends a request without a signature. The id is for records; nobody can sign with it. */
export const ANONYMOUS: Credential = {
  id: anonymousId(),
  secret: "",
  kind: "anonymous",
  name: "",
  policies: [],
};

function anonymousId(): AccessKeyId {
  const id = parseAccessKeyId("anonymous");
  assert(id !== undefined, "anonymous is an access key id");
  return id;
}

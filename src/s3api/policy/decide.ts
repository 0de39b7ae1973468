import type { Credential } from "../auth/credentials.ts";
import type { NameSet, PolicyStatement } from "./document.ts";
import { fitsPattern } from "./wildcard.ts";

export type AccessRequest = {
  /** "s3:GetObject" */
  readonly action: string;
  /** As `resourceArn` makes it. */
  readonly resource: string;
};

export type Decision = {
  readonly allowed: boolean;
  /** For logs and tests: what decided. */
  readonly reason: "root" | "allowed" | "explicit-deny" | "no-allow";
};

const ROOT: Decision = { allowed: true, reason: "root" };
const ALLOWED: Decision = { allowed: true, reason: "allowed" };
const EXPLICIT_DENY: Decision = { allowed: false, reason: "explicit-deny" };
const NO_ALLOW: Decision = { allowed: false, reason: "no-allow" };

const ARN = "arn:aws:s3:::";
/** What the service itself is called, for actions on no bucket; `arn:aws:s3:::*` fits it. */
const SERVICE_ARN = `${ARN}*`;

/** The name of a bucket, an object or the whole service in policies. */
export function resourceArn(bucket: string | undefined, key: string | undefined): string {
  if (bucket === undefined) return SERVICE_ARN;
  return key === undefined ? ARN + bucket : `${ARN}${bucket}/${key}`;
}

/**
 * The one place that says yes or no. A matching deny beats every allow, and without an allow the
 * answer is no.
 */
export function decide(
  request: AccessRequest,
  identity: Pick<Credential, "kind" | "policies">,
): Decision {
  if (identity.kind === "root") return ROOT;
  const action = request.action.toLowerCase();
  let allowed = false;
  for (const policy of identity.policies) {
    for (const statement of policy.statements) {
      if (!applies(statement, action, request.resource)) continue;
      if (statement.effect === "Deny") return EXPLICIT_DENY;
      if (!statement.unreadable) allowed = true;
    }
  }
  return allowed ? ALLOWED : NO_ALLOW;
}

function applies(statement: PolicyStatement, action: string, resource: string): boolean {
  return includes(statement.actions, action) && includes(statement.resources, resource);
}

function includes(names: NameSet, name: string): boolean {
  for (const pattern of names.patterns) if (fitsPattern(pattern, name)) return !names.negated;
  return names.negated;
}

import { meets, type Verdict } from "./condition.ts";
import type { PolicyDocument, PolicyStatement } from "./document.ts";
import { type Caller, isAbout } from "./principal.ts";
import { type ConditionValues, resolveTemplate } from "./template.ts";
import { fits } from "./wildcard.ts";

export type AccessRequest = {
  readonly caller: Caller;
  /** "s3:GetObject" */
  readonly action: string;
  /** As `resourceArn` makes it. */
  readonly resource: string;
  readonly valuesOf: ConditionValues;
};

export type Decision = {
  readonly allowed: boolean;
  /** For tests, and for whoever wants it explained. */
  readonly reason: "root" | "allowed" | "explicit-deny" | "no-allow";
  /** The statement that decided; undefined when none applied, and for the root key. */
  readonly statement: PolicyStatement | undefined;
};

const ROOT: Decision = { allowed: true, reason: "root", statement: undefined };
const NO_ALLOW: Decision = { allowed: false, reason: "no-allow", statement: undefined };

const ARN = "arn:aws:s3:::";
/** What the service itself is called, for actions on no bucket; `arn:aws:s3:::*` fits it. */
const SERVICE_ARN = `${ARN}*`;

/** The name of a bucket, an object or the whole service in policies. */
export function resourceArn(bucket: string | undefined, key: string | undefined): string {
  if (bucket === undefined) return SERVICE_ARN;
  return key === undefined ? ARN + bucket : `${ARN}${bucket}/${key}`;
}

/**
 * The one place that says yes or no, from the policies of the caller and those of what is asked
 * for. A matching deny beats every allow, and without an allow the answer is no. What nobody can
 * judge (a variable without a value, an address that is none) denies, and never allows. The root
 * key owns everything: nothing has to allow it, but a bucket's policy can deny it.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 */
export function decide(request: AccessRequest, policies: readonly PolicyDocument[]): Decision {
  const action = request.action.toLowerCase();
  let allow: PolicyStatement | undefined;
  for (const policy of policies) {
    for (const statement of statementsFor(policy, action)) {
      if (statement.effect === "Allow" && allow !== undefined) continue;
      const verdict = applies(statement, request);
      if (statement.effect === "Deny") {
        if (verdict !== false) return { allowed: false, reason: "explicit-deny", statement };
      } else if (verdict === true) {
        allow = statement;
      }
    }
  }
  if (request.caller.kind === "root") return ROOT;
  return allow === undefined ? NO_ALLOW : { allowed: true, reason: "allowed", statement: allow };
}

const ACTIONS_MAX = 256;
const byAction = new WeakMap<PolicyDocument, Map<string, readonly PolicyStatement[]>>();

/** The statements about an action, remembered: a policy is asked about few actions, many times. */
function statementsFor(policy: PolicyDocument, action: string): readonly PolicyStatement[] {
  let known = byAction.get(policy);
  if (known === undefined) {
    known = new Map();
    byAction.set(policy, known);
  }
  const remembered = known.get(action);
  if (remembered !== undefined) return remembered;
  const found = policy.statements.filter(({ actions }) => {
    return actions.patterns.some((pattern) => fits(pattern, action)) !== actions.negated;
  });
  if (known.size >= ACTIONS_MAX) known.clear();
  known.set(action, found);
  return found;
}

function applies(statement: PolicyStatement, request: AccessRequest): Verdict {
  const { principals, effect, resources, conditions } = statement;
  if (principals !== undefined && !isAbout(principals, effect, request.caller)) return false;
  let verdict: Verdict = namesResource(resources, request);
  for (const condition of conditions) {
    if (verdict === false) return false;
    const met = meets(condition, request.valuesOf);
    if (met !== true) verdict = met;
  }
  return verdict;
}

function namesResource(resources: PolicyStatement["resources"], request: AccessRequest): Verdict {
  let verdict: Verdict = false;
  for (const template of resources.templates) {
    const pattern = resolveTemplate(template, request.valuesOf, false);
    if (pattern === undefined) verdict = undefined;
    else if (fits(pattern, request.resource)) return !resources.negated;
  }
  return verdict === undefined ? undefined : resources.negated;
}

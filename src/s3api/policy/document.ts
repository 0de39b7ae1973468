import { LIMITS } from "../../core/limits.ts";

/** Which names a statement is about: those that fit a pattern, or (Not…) those that fit none. */
export type NameSet = { readonly negated: boolean; readonly patterns: readonly string[] };

export type PolicyStatement = {
  readonly sid: string | undefined;
  readonly effect: "Allow" | "Deny";
  /** Patterns in lower case: IAM's actions know no case. */
  readonly actions: NameSet;
  readonly resources: NameSet;
  /**
   * True when it says something we cannot judge (a condition, a principal, a variable). Such a
   * statement allows nothing, and denies as if its condition always held.
   */
  readonly unreadable: boolean;
};

export type PolicyDocument = { readonly statements: readonly PolicyStatement[] };

export type PolicyParse =
  | { readonly outcome: "parsed"; readonly document: PolicyDocument }
  | { readonly outcome: "refused"; readonly reason: string };

const VERSIONS = ["2012-10-17", "2008-10-17"];
const DOCUMENT_FIELDS = ["Version", "Id", "Statement"];
const STATEMENT_FIELDS = [
  "Sid",
  "Effect",
  "Action",
  "NotAction",
  "Resource",
  "NotResource",
  "Principal",
  "NotPrincipal",
  "Condition",
];
const UNREADABLE_FIELDS = ["Principal", "NotPrincipal", "Condition"];
const ACTION = /^(?:\*|[a-z0-9-]+:[A-Za-z0-9*?]+)$/;
const RESOURCE = /^(?:\*|arn:[^\s]+)$/;
const PATTERN_CHARS_MAX = 2048;

/** What stands for a stored policy that cannot be read: it denies everything. */
const DENY_ALL: PolicyDocument = {
  statements: [
    {
      sid: undefined,
      effect: "Deny",
      actions: { negated: false, patterns: ["*"] },
      resources: { negated: false, patterns: ["*"] },
      unreadable: true,
    },
  ],
};

class PolicyProblem extends Error {
  override readonly name = "PolicyProblem";
}

/**
 * Reads a policy in AWS's JSON, strictly: unknown fields are refused, since what they would have
 * said cannot be honoured.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
 */
export function parsePolicy(json: string): PolicyParse {
  if (Buffer.byteLength(json) > LIMITS.policyBytesMax) {
    return { outcome: "refused", reason: `it has more than ${LIMITS.policyBytesMax} bytes` };
  }
  try {
    return { outcome: "parsed", document: readDocument(JSON.parse(json)) };
  } catch (failure) {
    if (failure instanceof PolicyProblem) return { outcome: "refused", reason: failure.message };
    if (failure instanceof SyntaxError) return { outcome: "refused", reason: "it is not JSON" };
    throw failure;
  }
}

/** A policy from storage, where it was checked on its way in; one that is unreadable denies all. */
export function readStoredPolicy(json: string): PolicyDocument {
  const parsed = parsePolicy(json);
  return parsed.outcome === "parsed" ? parsed.document : DENY_ALL;
}

function readDocument(value: unknown): PolicyDocument {
  const fields = fieldsOf(value, DOCUMENT_FIELDS, "the policy");
  const version = fields.get("Version") ?? "2008-10-17";
  if (!VERSIONS.some((known) => known === version)) {
    throw new PolicyProblem(`Version must be ${VERSIONS[0]}`);
  }
  const id = fields.get("Id");
  if (id !== undefined && typeof id !== "string") throw new PolicyProblem("Id must be text");
  const statements = fields.get("Statement");
  const list: readonly unknown[] = Array.isArray(statements) ? statements : [statements];
  if (statements === undefined || list.length === 0) {
    throw new PolicyProblem("Statement is missing");
  }
  return { statements: list.map(readStatement) };
}

function readStatement(value: unknown): PolicyStatement {
  const fields = fieldsOf(value, STATEMENT_FIELDS, "a statement");
  const sid = fields.get("Sid");
  if (sid !== undefined && typeof sid !== "string") throw new PolicyProblem("Sid must be text");
  const effect = fields.get("Effect");
  if (effect !== "Allow" && effect !== "Deny") {
    throw new PolicyProblem("Effect must be Allow or Deny");
  }
  const actions = readNames(fields, "Action", ACTION);
  const resources = readNames(fields, "Resource", RESOURCE);
  const variable = resources.patterns.some((pattern) => pattern.includes("${"));
  return {
    sid,
    effect,
    actions: { ...actions, patterns: actions.patterns.map((name) => name.toLowerCase()) },
    // A variable could be anything, so a denial of it must be of everything.
    resources: variable ? { negated: false, patterns: ["*"] } : resources,
    unreadable: variable || UNREADABLE_FIELDS.some((name) => fields.has(name)),
  };
}

/** Reads `Action` or `NotAction` (the same for Resource): exactly one of the two. */
function readNames(
  fields: ReadonlyMap<string, unknown>,
  field: "Action" | "Resource",
  shape: RegExp,
): NameSet {
  const plain = fields.get(field);
  const negative = fields.get(`Not${field}`);
  if ((plain === undefined) === (negative === undefined)) {
    throw new PolicyProblem(`a statement has either ${field} or Not${field}`);
  }
  const value = plain ?? negative;
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const patterns: string[] = [];
  for (const pattern of list) {
    const fits = typeof pattern === "string" && pattern.length <= PATTERN_CHARS_MAX;
    if (!fits || !shape.test(pattern)) throw new PolicyProblem(`${field} is not of its form`);
    patterns.push(pattern);
  }
  if (patterns.length === 0) throw new PolicyProblem(`${field} is empty`);
  return { negated: plain === undefined, patterns };
}

/** Own fields only, in a map: no name in the JSON can reach a prototype. */
function fieldsOf(
  value: unknown,
  known: readonly string[],
  what: string,
): ReadonlyMap<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PolicyProblem(`${what} must be a JSON object`);
  }
  const fields = new Map<string, unknown>(Object.entries(value));
  for (const name of fields.keys()) {
    if (!known.includes(name)) throw new PolicyProblem(`${what} has an unknown field`);
  }
  return fields;
}

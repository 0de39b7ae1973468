import { LIMITS } from "../../core/limits.ts";
import { type Condition, parseCondition } from "./condition.ts";
import { PolicyProblem } from "./policy-problem.ts";
import { type Principals, parsePrincipals } from "./principal.ts";
import { parseTemplate, type Template } from "./template.ts";
import { type Pattern, patternOf } from "./wildcard.ts";

/** Which actions a statement is about: those that fit a pattern, or (Not…) those that fit none. */
export type ActionSet = { readonly negated: boolean; readonly patterns: readonly Pattern[] };
export type ResourceSet = { readonly negated: boolean; readonly templates: readonly Template[] };

export type PolicyStatement = {
  /** The policy it stands in, for whoever wants a decision explained. */
  readonly policy: string;
  /** From 1. */
  readonly number: number;
  readonly sid: string | undefined;
  readonly effect: "Allow" | "Deny";
  /** Undefined in a policy of an identity: it is about whoever has it. */
  readonly principals: Principals | undefined;
  /** Patterns of lower case: IAM's actions know no case. */
  readonly actions: ActionSet;
  readonly resources: ResourceSet;
  readonly conditions: readonly Condition[];
  /** `Action` and `Resource` as they were written; undefined for their negations. */
  readonly actionTexts: readonly string[] | undefined;
  readonly resourceTexts: readonly string[] | undefined;
};

export type PolicyDocument = { readonly statements: readonly PolicyStatement[] };

export type PolicyParse =
  | { readonly outcome: "parsed"; readonly document: PolicyDocument }
  | { readonly outcome: "refused"; readonly reason: string };

/** Whether a policy belongs to a key, or to a bucket and says whom it is about. */
export type PolicyKind = "identity" | "resource";

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
const ACTION = /^(?:\*|[a-z0-9-]+:[A-Za-z0-9*?]+)$/i;
const RESOURCE = /^(?:\*|arn:[^\s]+(?: [^\s]+)*)$/;
const PATTERN_CHARS_MAX = 2048;
const NOT_JSON = "Policies must be valid JSON and the first byte must be '{'";

/** A policy that denies everything, in place of a stored one that cannot be read. */
function denyAll(policy: string): PolicyDocument {
  const everything = parseTemplate("*", { wild: true, variables: false });
  const statement: PolicyStatement = {
    ...{ policy, number: 1, sid: undefined, effect: "Deny", principals: undefined },
    actions: { negated: false, patterns: [patternOf("*")] },
    resources: { negated: false, templates: [everything] },
    ...{ conditions: [], actionTexts: ["*"], resourceTexts: ["*"] },
  };
  return { statements: [statement] };
}

/**
 * Reads a policy in AWS's JSON, strictly: unknown fields are refused, since what they would have
 * said cannot be honoured. The reason of a refusal is AWS's message for `MalformedPolicy`, where
 * AWS has one.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
 */
export function parsePolicy(
  json: string,
  kind: PolicyKind = "identity",
  name = "policy",
): PolicyParse {
  if (Buffer.byteLength(json) > LIMITS.policyBytesMax) {
    const reason = `Policies must not be larger than ${LIMITS.policyBytesMax} bytes`;
    return { outcome: "refused", reason };
  }
  try {
    return { outcome: "parsed", document: readDocument(readJson(json), kind, name) };
  } catch (failure) {
    if (failure instanceof PolicyProblem) return { outcome: "refused", reason: failure.message };
    throw failure;
  }
}

/** A policy from storage, where it was checked on its way in; one that is unreadable denies all. */
export function readStoredPolicy(
  json: string,
  kind: PolicyKind = "identity",
  name = "policy",
): PolicyDocument {
  const parsed = parsePolicy(json, kind, name);
  return parsed.outcome === "parsed" ? parsed.document : denyAll(name);
}

function readJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (failure) {
    if (failure instanceof SyntaxError) throw new PolicyProblem(NOT_JSON);
    throw failure;
  }
}

function readDocument(value: unknown, kind: PolicyKind, policy: string): PolicyDocument {
  if (!isPlainObject(value)) throw new PolicyProblem(NOT_JSON);
  const fields = fieldsOf(value, DOCUMENT_FIELDS);
  const version = fields.get("Version") ?? "2008-10-17";
  if (!VERSIONS.some((known) => known === version)) {
    throw new PolicyProblem("The policy must contain a valid version string");
  }
  const id = fields.get("Id");
  if (id !== undefined && typeof id !== "string") throw new PolicyProblem("Invalid policy Id");
  const statements = fields.get("Statement");
  if (statements === undefined) throw new PolicyProblem("Missing required field Statement");
  const list: readonly unknown[] = Array.isArray(statements) ? statements : [statements];
  if (list.length === 0) throw new PolicyProblem("Could not parse the policy: Statement is empty!");
  const variables = version === VERSIONS[0];
  const read = list.map((statement, at) =>
    readStatement(statement, { kind, policy, variables, number: at + 1 }),
  );
  const sids = read.flatMap(({ sid }) => (sid === undefined || sid === "" ? [] : [sid]));
  if (new Set(sids).size < sids.length) {
    throw new PolicyProblem("Statement IDs (SID) in a single policy must be unique.");
  }
  return { statements: read };
}

type Place = {
  readonly kind: PolicyKind;
  readonly policy: string;
  readonly number: number;
  readonly variables: boolean;
};

function readStatement(value: unknown, place: Place): PolicyStatement {
  if (!isPlainObject(value)) throw new PolicyProblem("Invalid policy syntax.");
  const { kind, policy, number, variables } = place;
  const fields = fieldsOf(value, STATEMENT_FIELDS);
  const sid = fields.get("Sid");
  if (sid !== undefined && typeof sid !== "string") throw new PolicyProblem("Invalid SID");
  const effect = fields.get("Effect");
  if (effect === undefined) throw new PolicyProblem("Missing required field Effect");
  if (effect !== "Allow" && effect !== "Deny") {
    throw new PolicyProblem(`Invalid effect: ${typeof effect === "string" ? effect : ""}`);
  }
  const principals = readPrincipals(fields, kind);
  if (principals?.negated === true && effect === "Allow") {
    throw new PolicyProblem("Allow with NotPrincipal is not allowed.");
  }
  const actions = readNames(fields, "Action", ACTION);
  const resources = readNames(fields, "Resource", RESOURCE);
  return {
    ...{ policy, number, sid, effect, principals },
    actions: {
      negated: actions.negated,
      patterns: actions.texts.map((text) => patternOf(text.toLowerCase())),
    },
    resources: {
      negated: resources.negated,
      templates: resources.texts.map((text) => parseTemplate(text, { wild: true, variables })),
    },
    conditions: readConditions(fields.get("Condition"), variables),
    actionTexts: actions.negated ? undefined : actions.texts,
    resourceTexts: resources.negated ? undefined : resources.texts,
  };
}

function readPrincipals(
  fields: ReadonlyMap<string, unknown>,
  kind: PolicyKind,
): Principals | undefined {
  const plain = fields.get("Principal");
  const negative = fields.get("NotPrincipal");
  if (kind === "identity") {
    if (plain === undefined && negative === undefined) return undefined;
    throw new PolicyProblem("Policy document should not specify a principal.");
  }
  if (plain !== undefined && negative !== undefined) {
    throw new PolicyProblem("Principal and NotPrincipal cannot stand together");
  }
  if (plain === undefined && negative === undefined) {
    throw new PolicyProblem("Missing required field Principal");
  }
  return parsePrincipals(plain ?? negative, plain === undefined);
}

/** Reads `Action` or `NotAction` (the same for Resource): exactly one of the two. */
function readNames(
  fields: ReadonlyMap<string, unknown>,
  field: "Action" | "Resource",
  shape: RegExp,
): { readonly negated: boolean; readonly texts: readonly string[] } {
  const plain = fields.get(field);
  const negative = fields.get(`Not${field}`);
  if (plain === undefined && negative === undefined) {
    throw new PolicyProblem(`Missing required field ${field}`);
  }
  if (plain !== undefined && negative !== undefined) {
    throw new PolicyProblem(`${field} and Not${field} cannot stand together`);
  }
  const value = plain ?? negative;
  const invalid = new PolicyProblem(`Policy has invalid ${field.toLowerCase()}`);
  const texts: string[] = [];
  for (const text of listOf(value)) {
    const plausible = typeof text === "string" && text.length <= PATTERN_CHARS_MAX;
    if (!plausible || !shape.test(text)) throw invalid;
    texts.push(text);
  }
  if (texts.length === 0) throw invalid;
  return { negated: plain === undefined, texts };
}

function readConditions(value: unknown, variables: boolean): readonly Condition[] {
  if (value === undefined) return [];
  if (!isPlainObject(value)) throw new PolicyProblem("Invalid policy syntax.");
  const conditions: Condition[] = [];
  for (const [operator, block] of Object.entries(value)) {
    if (!isPlainObject(block)) throw new PolicyProblem("Invalid policy syntax.");
    for (const [key, given] of Object.entries(block)) {
      const texts = listOf(given).map(textOfValue);
      if (texts.length === 0) throw new PolicyProblem("Invalid policy syntax.");
      conditions.push(parseCondition(operator, key, texts, { variables }));
    }
  }
  return conditions;
}

/** Numbers and truth values may stand without quotes. */
function textOfValue(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new PolicyProblem("Invalid policy syntax.");
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function isPlainObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Own fields only, in a map: no name in the JSON can reach a prototype. */
function fieldsOf(value: object, known: readonly string[]): ReadonlyMap<string, unknown> {
  const fields = new Map<string, unknown>(Object.entries(value));
  for (const name of fields.keys()) {
    if (!known.includes(name)) throw new PolicyProblem(`Unknown field ${name.slice(0, 64)}`);
  }
  return fields;
}

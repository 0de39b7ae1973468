import { PolicyProblem } from "./policy-problem.ts";
import { literalOf, type Pattern, patternOf } from "./wildcard.ts";

/** The values of a condition key in a request; undefined when the request has none. */
export type ConditionValues = (key: string) => readonly string[] | undefined;

type Part =
  | { readonly kind: "units"; readonly units: Pattern }
  | { readonly kind: "variable"; readonly key: string; readonly fallback: Pattern | undefined };

/** A text of a policy that may hold variables, read once and resolved for each request. */
export type Template = {
  /** Set when there is no variable in it, which is nearly always. */
  readonly fixed: Pattern | undefined;
  readonly parts: readonly Part[];
};

export type TemplateRules = {
  /** Whether `*` and `?` are wildcards. */
  readonly wild: boolean;
  /** Whether `${…}` is a variable; in policies of 2008 it is plain text. */
  readonly variables: boolean;
  /** Compared without regard to case: the template is lower case, its texts have to be too. */
  readonly lowerCase?: boolean;
};

/** `${key}` or `${key, 'default'}`. */
const VARIABLE = /^([A-Za-z0-9:_/.+=@-]+)(?:\s*,\s*'([^']*)')?$/;
/** How a policy writes characters that mean something in it. */
const LITERALS = ["*", "?", "$"];

/**
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
 */
export function parseTemplate(text: string, rules: TemplateRules): Template {
  const unitsOf = (plain: string): Pattern => {
    const compared = rules.lowerCase === true ? plain.toLowerCase() : plain;
    return rules.wild ? patternOf(compared) : literalOf(compared);
  };
  if (!rules.variables || !text.includes("${")) {
    const units = unitsOf(text);
    return { fixed: units, parts: [{ kind: "units", units }] };
  }
  const parts: Part[] = [];
  let from = 0;
  for (let at = text.indexOf("${"); at >= 0; at = text.indexOf("${", from)) {
    const end = text.indexOf("}", at);
    if (end < 0) throw new PolicyProblem("Invalid policy variable");
    parts.push({ kind: "units", units: unitsOf(text.slice(from, at)) });
    parts.push(readVariable(text.slice(at + 2, end), rules));
    from = end + 1;
  }
  parts.push({ kind: "units", units: unitsOf(text.slice(from)) });
  const fixed: Pattern | undefined = parts.every(isUnits) ? parts.flatMap(unitsOfPart) : undefined;
  return { fixed, parts };
}

function readVariable(text: string, rules: TemplateRules): Part {
  if (LITERALS.includes(text)) return { kind: "units", units: literalOf(text) };
  const match = VARIABLE.exec(text);
  if (match === null) throw new PolicyProblem("Invalid policy variable");
  const [, key = "", fallback] = match;
  const compared = rules.lowerCase === true ? fallback?.toLowerCase() : fallback;
  return {
    kind: "variable",
    key: conditionKey(key),
    fallback: compared === undefined ? undefined : literalOf(compared),
  };
}

function isUnits(part: Part): part is Extract<Part, { kind: "units" }> {
  return part.kind === "units";
}

function unitsOfPart(part: Part): Pattern {
  return part.kind === "units" ? part.units : [];
}

/**
 * The pattern of a template in a request; undefined when one of its variables has no value or more
 * than one, since nobody can say then what was meant.
 */
export function resolveTemplate(
  template: Template,
  valuesOf: ConditionValues,
  lowerCase: boolean,
): Pattern | undefined {
  if (template.fixed !== undefined) return template.fixed;
  const units: number[] = [];
  for (const part of template.parts) {
    if (part.kind === "units") {
      units.push(...part.units);
      continue;
    }
    const values = valuesOf(part.key);
    const value = values?.length === 1 ? values[0] : undefined;
    if (value !== undefined) units.push(...literalOf(lowerCase ? value.toLowerCase() : value));
    else if (values === undefined && part.fallback !== undefined) units.push(...part.fallback);
    else return undefined;
  }
  return units;
}

/** Names of keys know no case, but the key of a tag behind the slash does. */
export function conditionKey(name: string): string {
  const slashAt = name.indexOf("/");
  return slashAt < 0
    ? name.toLowerCase()
    : name.slice(0, slashAt).toLowerCase() + name.slice(slashAt);
}

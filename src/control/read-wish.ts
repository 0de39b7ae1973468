import type { z } from "zod";
import { type AdminAnswer, adminProblem } from "./admin-call.ts";

type Issue = z.core.$ZodRawIssue;
type Code = z.core.$ZodIssue["code"];

/** What somebody asks the administration to do, or its refusal in sentences. */
export type Wish<Schema extends z.ZodType> =
  | { readonly success: true; readonly data: z.output<Schema> }
  | { readonly success: false; readonly refusal: AdminAnswer };

/** More would bury what is wrong. */
const SENTENCES_MAX = 3;

/**
 * Reads a wish; one without a body has no fields. What is refused is said in sentences: those that
 * stand in the schema, or else one for each kind of mistake.
 */
export function readWish<Schema extends z.ZodType>(schema: Schema, body: unknown): Wish<Schema> {
  const parsed = schema.safeParse(body ?? {}, { error: explainIssue });
  if (parsed.success) return { success: true, data: parsed.data };
  const sentences = parsed.error.issues.map(({ message }) => sentence(message));
  const told = [...new Set(sentences)].slice(0, SENTENCES_MAX).join(" ");
  return { success: false, refusal: adminProblem(400, told) };
}

function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!]$/.test(whole) ? whole : `${whole}.`;
}

function explainIssue(issue: Issue): string {
  const explain = EXPLAINED[issue.code as Code] ?? EXPLAINED.custom;
  return `${nameOf(issue)} ${explain(issue)}`;
}

/** The field's own name: positions in a list say nothing to whoever typed it. */
function nameOf({ path = [] }: Issue): string {
  const names = path.filter((part) => typeof part === "string");
  return names.length === 0 ? "the request" : `"${names.join(".")}"`;
}

const CANNOT_BE = "cannot be taken as it is";
const EXPLAINED: Readonly<Record<Code, (issue: Issue) => string>> = {
  invalid_type: ({ input, expected }) =>
    input === undefined ? "is missing" : `has to be ${KINDS[String(expected)] ?? expected}`,
  invalid_value: ({ values }) => `is one of ${[values].flat().join(", ")}`,
  too_big: ({ origin, maximum }) => bound("at most", origin, maximum),
  too_small: ({ origin, minimum }) => bound("at least", origin, minimum),
  unrecognized_keys: ({ keys }) => `has nothing called ${[keys].flat().join(", ")}`,
  invalid_format: () => "is not written as it has to be",
  not_multiple_of: () => CANNOT_BE,
  invalid_union: () => CANNOT_BE,
  invalid_key: () => CANNOT_BE,
  invalid_element: () => CANNOT_BE,
  custom: () => CANNOT_BE,
};

const KINDS: Readonly<Record<string, string>> = {
  ...{ string: "text", number: "a number", int: "a whole number", boolean: "true or false" },
  ...{ array: "a list", object: "an object", record: "an object" },
};

const COUNTED: Readonly<Record<string, readonly [string, string]>> = {
  string: ["character", "characters"],
  array: ["entry", "entries"],
};

function bound(which: string, origin: unknown, limit: unknown): string {
  const [one, many] = COUNTED[String(origin)] ?? [];
  return one === undefined
    ? `is ${which} ${limit}`
    : `has ${which} ${limit} ${limit === 1 ? one : many}`;
}

import { LIMITS } from "../../core/limits.ts";
import type { CorsMethod, CorsRule } from "../settings/cors.ts";

/** What a browser asks: may a page of this origin send this method with these headers? */
export type CorsQuestion = {
  readonly origin: string;
  readonly method: CorsMethod | undefined;
  /** As `splitHeaderNames` gives them; nobody may send more than a request can have. */
  readonly headers: readonly string[];
};

type Lines = ReadonlyArray<readonly [name: string, value: string]>;

/** A cache must keep the answers to different origins and questions apart. */
export const CORS_VARY: readonly [string, string] = [
  "Vary",
  "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
];

/** The names in `Access-Control-Request-Headers`, in lower case. */
export function splitHeaderNames(list: string | undefined): readonly string[] {
  if (list === undefined) return [];
  return list
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
}

/**
 * The headers that let the browser go on: those of the first rule that allows everything asked;
 * undefined when none does.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
 */
export function answerCors(rules: readonly CorsRule[], question: CorsQuestion): Lines | undefined {
  const { origin, method, headers } = question;
  if (method === undefined || headers.length > LIMITS.headerCountMax) return undefined;
  for (const rule of rules) {
    if (!rule.methods.includes(method)) continue;
    const pattern = rule.origins.find((candidate) => fitsStar(candidate, origin));
    if (pattern === undefined) continue;
    if (!allowsHeaders(rule, headers)) continue;
    return grant(rule, pattern === "*" ? "*" : origin, headers);
  }
  return undefined;
}

function allowsHeaders(rule: CorsRule, names: readonly string[]): boolean {
  if (names.length === 0) return true;
  const patterns = rule.headers.map((pattern) => pattern.toLowerCase());
  return names.every((name) => patterns.some((pattern) => fitsStar(pattern, name)));
}

function grant(rule: CorsRule, origin: string, headers: readonly string[]): Lines {
  const lines: Array<readonly [string, string]> = [
    ["Access-Control-Allow-Origin", origin],
    ["Access-Control-Allow-Methods", rule.methods.join(", ")],
  ];
  if (headers.length > 0) lines.push(["Access-Control-Allow-Headers", headers.join(", ")]);
  if (rule.exposed.length > 0) {
    lines.push(["Access-Control-Expose-Headers", rule.exposed.join(", ")]);
  }
  if (rule.maxAgeSeconds !== undefined) {
    lines.push(["Access-Control-Max-Age", String(rule.maxAgeSeconds)]);
  }
  // Browsers take no credentials from an answer that is for everybody.
  if (origin !== "*") lines.push(["Access-Control-Allow-Credentials", "true"]);
  lines.push(CORS_VARY);
  return lines;
}

/** Whether a text fits a pattern in which one `*`, if there is one, stands for any text. */
function fitsStar(pattern: string, text: string): boolean {
  const star = pattern.indexOf("*");
  if (star < 0) return pattern === text;
  const before = pattern.slice(0, star);
  const after = pattern.slice(star + 1);
  return (
    text.length >= before.length + after.length && text.startsWith(before) && text.endsWith(after)
  );
}

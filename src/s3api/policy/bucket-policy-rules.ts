import { ACTION_LEVELS } from "./actions.ts";
import type { PolicyDocument, PolicyStatement } from "./document.ts";
import { fits, patternOf } from "./wildcard.ts";

const ARN = "arn:aws:s3:::";

/**
 * What is wrong with a policy as that of this bucket, in AWS's words; undefined when nothing is. A
 * policy speaks of its own bucket, of actions S3 has, and of those that can be done to what it
 * names: anything else is a mistake that would leave open, or shut, what was not meant.
 */
export function checkBucketPolicy(document: PolicyDocument, bucket: string): string | undefined {
  for (const statement of document.statements) {
    const problem = checkStatement(statement, bucket);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function checkStatement(statement: PolicyStatement, bucket: string): string | undefined {
  const { actionTexts, resourceTexts } = statement;
  for (const pattern of statement.actions.patterns) {
    const known = [...ACTION_LEVELS.keys()].some((action) => fits(pattern, action));
    if (!known) return "Policy has invalid action";
  }
  const levels = new Set<string>();
  for (const text of resourceTexts ?? []) {
    const level = levelOf(text, bucket);
    if (level === undefined) return "Policy has invalid resource";
    levels.add(level);
    if (level === "any") levels.add("bucket").add("object");
  }
  if (resourceTexts === undefined || actionTexts === undefined) return undefined;
  for (const pattern of statement.actions.patterns) {
    const applies = [...ACTION_LEVELS].some(
      ([action, level]) => levels.has(level) && fits(pattern, action),
    );
    if (!applies) return "Action does not apply to any resource(s) in statement";
  }
  return undefined;
}

/** Whether a resource names this bucket, its objects or both; undefined when it names neither. */
function levelOf(text: string, bucket: string): "bucket" | "object" | "any" | undefined {
  if (text === "*") return "any";
  if (!text.startsWith(ARN)) return undefined;
  const path = text.slice(ARN.length);
  const slashAt = path.indexOf("/");
  const name = slashAt < 0 ? path : path.slice(0, slashAt);
  if (name.includes("${") || !fits(patternOf(name), bucket)) return undefined;
  if (slashAt >= 0) return "object";
  // A star goes over slashes too.
  return name.endsWith("*") ? "any" : "bucket";
}

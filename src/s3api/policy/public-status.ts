import { fixedBits, parseAddressRange } from "./address-range.ts";
import type { Condition } from "./condition.ts";
import type { PolicyDocument, PolicyStatement } from "./document.ts";

/** Keys whose fixed values say who may come; AWS's list. */
const FIXING_KEYS: ReadonlySet<string> = new Set([
  "aws:principalaccount",
  "aws:principalarn",
  "aws:principalorgid",
  "aws:principalorgpaths",
  "aws:sourceaccount",
  "aws:sourcearn",
  "aws:sourceorgid",
  "aws:sourceowner",
  "aws:sourcevpc",
  "aws:sourcevpce",
  "aws:userid",
  "s3:dataaccesspointaccount",
  "s3:dataaccesspointarn",
  "s3:x-amz-server-side-encryption-aws-kms-key-id",
]);
const EQUALITIES = [
  ...["stringequals", "stringequalsignorecase", "stringlike"],
  ...["arnequals", "arnlike"],
];
/** Ranges wider than this are everybody; AWS's numbers. */
const BITS_MIN = { 4: 8, 6: 32 } as const;

/**
 * Whether a bucket policy lets in more than fixed principals: AWS's definition of "public".
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
 */
export function isPublic(document: PolicyDocument): boolean {
  return document.statements.some(isPublicStatement);
}

function isPublicStatement({ effect, principals, conditions }: PolicyStatement): boolean {
  if (effect === "Deny" || principals === undefined) return false;
  if (!principals.everyone) return false;
  return !conditions.some(fixesWho);
}

/** Whether a condition limits a statement to known callers. */
function fixesWho(condition: Condition): boolean {
  const { key, operator, negated, quantifier, ifExists, texts } = condition;
  // What holds without a value holds for everybody.
  if (negated || ifExists || quantifier === "all") return false;
  if (key === "aws:sourceip")
    return operator.toLowerCase() === "ipaddress" && texts.every(isNarrow);
  if (!FIXING_KEYS.has(key) || !EQUALITIES.includes(operator.toLowerCase())) return false;
  return texts.every((text) => !/[*?]|\$\{/.test(text));
}

function isNarrow(text: string): boolean {
  const range = parseAddressRange(text);
  if (range === undefined) return false;
  const { version, bits } = fixedBits(range);
  return bits >= BITS_MIN[version];
}

import { S3Error } from "../errors.ts";

/** A condition of a policy; `text` is how it is shown to who did not meet it. */
type FieldCondition = {
  readonly kind: "eq" | "starts-with";
  /** In lower case, without `$`. */
  readonly field: string;
  readonly value: string;
  readonly text: string;
};

/** Bytes of the file, both ends included. */
export type LengthRange = { readonly bytesMin: number; readonly bytesMax: number };

/** What a signed policy lets a form say. */
export type PostPolicy = {
  readonly expiresMs: number;
  readonly conditions: readonly FieldCondition[];
  /** Undefined when the policy says nothing about the length. */
  readonly length: LengthRange | undefined;
};

const EXPIRATION = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z$/;
const MEMBERS = ["expiration", "conditions"];
const CONTENT_TYPE = "content-type";
/** AWS: "except x-amz-signature, file, policy, and field names that have an x-ignore- prefix". */
const NEVER_COVERED = ["x-amz-signature", "file", "policy"];
const IGNORED_PREFIX = "x-ignore-";

/**
 * Reads a policy from the base64 of a form.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
 */
export function parsePostPolicy(base64: string): PostPolicy {
  const document = parseJson(decodeBase64(base64));
  for (const name of Object.keys(document)) {
    if (!MEMBERS.includes(name)) throw invalid(`Unexpected: '${name}'`);
  }
  const { expiration, conditions } = document;
  if (expiration === undefined) throw invalid("Policy missing expiration.");
  if (conditions === undefined) throw invalid("Policy missing conditions.");
  if (!Array.isArray(conditions)) throw invalid("Invalid 'conditions' value: must be a List.");
  const fields: FieldCondition[] = [];
  let length: LengthRange | undefined;
  for (const condition of conditions) {
    const read = readCondition(condition);
    if (read.kind !== "length") fields.push(read);
    else length = length === undefined ? read.range : intersection(length, read.range);
  }
  return { expiresMs: readExpiration(expiration), conditions: fields, length };
}

/**
 * Refuses a form that its policy does not allow: fields by lower-case name, with the bucket it was
 * sent to as `bucket`. The length of the file is for later.
 */
export function requireAllowedByPolicy(
  policy: PostPolicy,
  values: ReadonlyMap<string, string>,
  nowMs: number,
): void {
  if (nowMs >= policy.expiresMs) throw denied("Policy expired.");
  for (const condition of policy.conditions) {
    if (!isMet(condition, values)) throw denied(`Policy Condition failed: ${condition.text}`);
  }
  const extra = [...values.keys()].filter((name) => !isCovered(name, policy));
  if (extra.length > 0) throw denied(`Extra input fields: ${extra.join(", ")}`);
}

function isMet(
  { kind, field, value }: FieldCondition,
  values: ReadonlyMap<string, string>,
): boolean {
  const given = values.get(field);
  if (given === undefined) return false;
  if (kind === "eq") return given === value;
  if (field !== CONTENT_TYPE) return given.startsWith(value);
  // AWS reads a Content-Type with commas as a list, each entry of which must fit.
  return given.split(",").every((entry) => entry.trim().startsWith(value));
}

function isCovered(name: string, policy: PostPolicy): boolean {
  if (NEVER_COVERED.includes(name) || name.startsWith(IGNORED_PREFIX)) return true;
  return policy.conditions.some(({ field }) => field === name);
}

function decodeBase64(base64: string): string {
  const compact = base64.replace(/[\r\n\t ]/g, "");
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) throw invalid("Invalid Base64.");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(compact, "base64"));
  } catch (failure) {
    throw new S3Error("InvalidPolicyDocument", {
      message: "Invalid Policy: Invalid JSON.",
      cause: failure,
    });
  }
}

function parseJson(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (failure) {
    throw new S3Error("InvalidPolicyDocument", {
      message: "Invalid Policy: Invalid JSON.",
      cause: failure,
    });
  }
  if (!isRecord(value)) throw invalid("Invalid JSON.");
  return value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readExpiration(value: unknown): number {
  const expiresMs =
    typeof value === "string" && EXPIRATION.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(expiresMs)) throw invalid(`Invalid 'expiration' value: '${String(value)}'`);
  return expiresMs;
}

type Condition = FieldCondition | { readonly kind: "length"; readonly range: LengthRange };

function readCondition(value: unknown): Condition {
  if (Array.isArray(value)) return readListCondition(value);
  if (!isRecord(value)) throw invalid("Invalid Condition: must be a List or Object.");
  const [entry, ...others] = Object.entries(value);
  if (entry === undefined || others.length > 0) {
    throw invalid(
      "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
    );
  }
  const [name, expected] = entry;
  if (typeof expected !== "string") {
    throw invalid("Invalid Simple-Condition: value must be a string.");
  }
  return fieldCondition("eq", `$${name}`, expected);
}

function readListCondition(list: readonly unknown[]): Condition {
  const [operator, ...operands] = list;
  if (typeof operator !== "string") {
    throw invalid("Invalid Condition: missing operation identifier.");
  }
  // AWS says nothing of the case of operators, and clients write them as they like.
  const kind = operator.toLowerCase();
  if (kind !== "eq" && kind !== "starts-with" && kind !== "content-length-range") {
    throw invalid(`Invalid Condition: unknown operation '${operator}'.`);
  }
  const [first, second] = operands;
  if (operands.length !== 2) throw invalid(`Invalid ${kind}: wrong number of arguments.`);
  if (kind === "content-length-range") return readLengthRange(first, second);
  if (typeof first !== "string" || typeof second !== "string") {
    throw invalid(`Invalid ${kind}: arguments must be strings.`);
  }
  return fieldCondition(kind, first, second);
}

function fieldCondition(kind: "eq" | "starts-with", name: string, value: string): FieldCondition {
  const text = `[${[kind, name, value].map((part) => JSON.stringify(part)).join(", ")}]`;
  // A name without its "$" names no field, and so nothing can meet the condition.
  const field = name.startsWith("$") ? name.slice(1).toLowerCase() : `\0${name}`;
  return { kind, field, value, text };
}

function readLengthRange(first: unknown, second: unknown): Condition {
  const bytesMin = readLength(first);
  const bytesMax = readLength(second);
  if (bytesMin === undefined || bytesMax === undefined || bytesMin > bytesMax) {
    throw invalid("Invalid content-length-range: two lengths are needed, the smaller one first.");
  }
  return { kind: "length", range: { bytesMin, bytesMax } };
}

/** AWS takes lengths in quotes as well. */
function readLength(value: unknown): number | undefined {
  const bytes = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof bytes === "number" && Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined;
}

function intersection(left: LengthRange, right: LengthRange): LengthRange {
  return {
    bytesMin: Math.max(left.bytesMin, right.bytesMin),
    bytesMax: Math.min(left.bytesMax, right.bytesMax),
  };
}

function invalid(detail: string): S3Error {
  return new S3Error("InvalidPolicyDocument", { message: `Invalid Policy: ${detail}` });
}

function denied(detail: string): S3Error {
  return new S3Error("AccessDenied", { message: `Invalid according to Policy: ${detail}` });
}

import type { LogFields } from "./log.ts";

export const REDACTED = "[redacted]";
/** Deep enough for a request summary or a chain of causes; what is deeper is left out. */
const DEPTH_MAX = 4;

const secretNames = new Map<string, boolean>();

/**
 * The fields as they may be logged: values under names of secrets are cut, signatures inside URLs
 * are cut, and errors become plain facts. Fields without any of that come back as they are.
 */
export function redactFields(fields: LogFields): LogFields {
  return redactObject(fields, DEPTH_MAX);
}

function redactObject(fields: LogFields, depth: number): LogFields {
  let copy: Record<string, unknown> | undefined;
  for (const name in fields) {
    const value = fields[name];
    const allowed = isSecretName(name) && value !== undefined ? REDACTED : redact(value, depth);
    if (allowed !== value) {
      copy ??= { ...fields };
      copy[name] = allowed;
    }
  }
  return copy ?? fields;
}

function redact(value: unknown, depth: number): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return "[deeper]";
  if (value instanceof Error) return describeError(value, depth - 1);
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  if (Array.isArray(value)) return value.map((item) => redact(item, depth - 1));
  return redactObject(value as LogFields, depth - 1);
}

/**
 * The text without the signatures of URLs that may stand in it. A backslash ends one: the text may
 * be JSON, of which nothing must be cut that holds a string together.
 */
export function redactText(text: string): string {
  if (!text.includes("=")) return text;
  return text.replace(
    /(Signature|X-Amz-Security-Token|X-Amz-Credential|AWSAccessKeyId)=[^&\s"\\]*/gi,
    `$1=${REDACTED}`,
  );
}

function describeError(failure: Error, depth: number): LogFields {
  const facts: Record<string, unknown> = {
    name: failure.name,
    message: redactText(failure.message),
    stack: failure.stack === undefined ? undefined : redactText(failure.stack),
  };
  if (failure.cause !== undefined) facts["cause"] = redact(failure.cause, depth);
  return { ...facts, ...redactObject(ownFacts(failure), depth) };
}

/** What the error itself adds: `code` of a system call, `kind` and `hint` of a fault. */
function ownFacts(failure: Error): LogFields {
  const facts: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(failure)) {
    if (name !== "cause" && name !== "stack") facts[name] = value;
  }
  return facts;
}

function isSecretName(name: string): boolean {
  let secret = secretNames.get(name);
  if (secret === undefined) {
    const plain = name.toLowerCase().replaceAll(/[-_ ]/g, "");
    secret = /secret|password|authorization|signature|privatekey|cookie|token$/.test(plain);
    // Names come from code, so there are few; a stray flood of them must not fill the memory.
    if (secretNames.size < 1000) secretNames.set(name, secret);
  }
  return secret;
}

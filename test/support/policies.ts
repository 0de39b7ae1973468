import { parseAccessKeyId } from "../../src/core/names.ts";
import { type AccessRequest, resourceArn } from "../../src/s3api/policy/decide.ts";
import {
  type PolicyDocument,
  type PolicyKind,
  parsePolicy,
} from "../../src/s3api/policy/document.ts";
import type { Caller } from "../../src/s3api/policy/principal.ts";

/** One statement or several, as they would be written; the version that knows variables. */
export function documentOf(statements: unknown, kind: PolicyKind = "identity"): PolicyDocument {
  const json = JSON.stringify({ Version: "2012-10-17", Statement: statements });
  const parsed = parsePolicy(json, kind);
  if (parsed.outcome === "refused") throw new Error(`${parsed.reason}: ${json}`);
  return parsed.document;
}

export function callerOf(kind: Caller["kind"], id = "ALICEKEY1", name = "alice"): Caller {
  const accessKeyId = parseAccessKeyId(id);
  if (accessKeyId === undefined) throw new Error(`${id} is no access key id`);
  return { kind, id: accessKeyId, name };
}

type Asked = {
  readonly action?: string;
  readonly bucket?: string;
  readonly key?: string;
  readonly caller?: Caller;
  /** By condition key in lower case. */
  readonly values?: Readonly<Record<string, string | readonly string[]>>;
};

/** Alice gets `cats/one.jpg` of `photos`, unless told otherwise. */
export function requestOf(asked: Asked = {}): AccessRequest {
  const { action = "s3:GetObject", bucket = "photos", key = "cats/one.jpg" } = asked;
  const values = new Map(Object.entries(asked.values ?? {}));
  return {
    action,
    caller: asked.caller ?? callerOf("user"),
    resource: resourceArn(bucket, key === "" ? undefined : key),
    valuesOf: (name) => {
      const value = values.get(name);
      return typeof value === "string" ? [value] : value;
    },
  };
}

import type { AccessKeyId } from "../core/names.ts";
import { parseBucketName } from "../core/names.ts";
import type { Store } from "../storage/store.ts";
import { type AccessStore, judge } from "./access.ts";
import { ANONYMOUS, type Credential } from "./auth/credentials.ts";
import { tagsReader } from "./authorize.ts";
import { headersOf } from "./headers/header-list.ts";
import { checkBucketPolicy } from "./policy/bucket-policy-rules.ts";
import type { PolicyStatement } from "./policy/document.ts";
import { parsePolicy, readStoredPolicy } from "./policy/document.ts";
import { conditionKey } from "./policy/template.ts";
import { requestValues } from "./request-values.ts";
import { EMPTY_QUERY } from "./target.ts";

export type PolicyDeskDeps = {
  readonly store: AccessStore & Pick<Store, "accessKey" | "bucket">;
  readonly rootKeyId: () => AccessKeyId;
  readonly region: string;
  readonly nowMs: () => number;
};

type Inquiry = {
  readonly accessKey: AccessKeyId | undefined;
  readonly action: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  readonly values: ReadonlyMap<string, readonly string[]>;
};

type Answer = {
  readonly allowed: boolean;
  readonly reason: string;
  readonly statement: Pick<PolicyStatement, "policy" | "number" | "sid" | "effect"> | undefined;
};

/** Reads policies and explains decisions for the operator, by the code that judges requests. */
export function createPolicyDesk(deps: PolicyDeskDeps): {
  readonly problemOf: (json: string, bucket: string | undefined) => string | undefined;
  readonly judge: (inquiry: Inquiry) => Answer | undefined;
} {
  return { problemOf, judge: (inquiry) => answer(deps, inquiry) };
}

function problemOf(json: string, bucket: string | undefined): string | undefined {
  const parsed = parsePolicy(json, bucket === undefined ? "identity" : "resource");
  if (parsed.outcome === "refused") return parsed.reason;
  return bucket === undefined ? undefined : checkBucketPolicy(parsed.document, bucket);
}

/**
 * Answers as a request from this machine would be answered, except for the values that are given.
 */
function answer(deps: PolicyDeskDeps, inquiry: Inquiry): Answer | undefined {
  const { store, region, nowMs } = deps;
  const credential = credentialOf(deps, inquiry.accessKey);
  if (credential === undefined) return undefined;
  const { action, bucket: bucketName, key } = inquiry;
  const name = bucketName === undefined ? undefined : parseBucketName(bucketName);
  const bucket = name === undefined ? undefined : store.bucket(name);
  const known = new Map([...inquiry.values].map(([text, given]) => [conditionKey(text), given]));
  const facts = {
    ...{ region, nowMs, operation: undefined, query: EMPTY_QUERY, headers: headersOf([]) },
    exchange: { remoteAddress: "127.0.0.1", secure: false },
    auth: { credential, presigned: false },
  };
  const valuesOf = requestValues(facts, { bucket, key, known, tagsOf: tagsReader(store) });
  const version = known.get("s3:versionid")?.[0];
  const question = { credential, action, bucketName, bucket, key, version, valuesOf };
  const { allowed, reason, statement } = judge(question, store);
  if (statement === undefined) return { allowed, reason, statement: undefined };
  const { policy, number, sid, effect } = statement;
  return { allowed, reason, statement: { policy, number, sid, effect } };
}

function credentialOf(
  { store, rootKeyId }: PolicyDeskDeps,
  id: AccessKeyId | undefined,
): Credential | undefined {
  if (id === undefined) return ANONYMOUS;
  // Nothing is signed here, so that nobody's secret is needed.
  const secret = "";
  if (id === rootKeyId()) return { kind: "root", id, secret, name: "root", policies: [] };
  const record = store.accessKey(id);
  if (record === undefined || record.state !== "active") return undefined;
  const policies = record.policies.map(([name, json]) => readStoredPolicy(json, "identity", name));
  return { kind: "user", id, secret, name: record.name, policies };
}

import { z } from "zod";
import {
  ACCESS_KEY_RANDOM_BYTES,
  makeAccessKeyPair,
  secretKeyProblem,
} from "../core/access-key.ts";
import { canBeBound, type GrantName } from "../core/grants.ts";
import {
  type AccessKeyId,
  type BucketName,
  parseAccessKeyId,
  parseBucketName,
} from "../core/names.ts";
import type { AccessKeyRecord, AccessKeyState } from "../core/records.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Store } from "../storage/store.ts";
import { type AdminAnswer, adminProblem, decodedPart } from "./admin-call.ts";
import { readWish } from "./read-wish.ts";

/** What a key may be granted; each becomes a policy document. */
const GRANTS = [
  "read",
  "write",
  "read-write",
  "own",
  "admin:stats",
  "admin",
] as const satisfies readonly GrantName[];

export type AdminKeyDeps = {
  readonly clock: Clock;
  readonly random: Random;
  /** Seals a secret under the cluster key ring, bound to the key's id. */
  readonly seal: (id: AccessKeyId, secret: string) => Uint8Array;
  /** The policy document of a grant, as AWS's JSON; no buckets means all of them. */
  readonly policyOf: (grant: GrantName, buckets: readonly BucketName[]) => string;
  readonly policies: {
    /** Why a policy cannot be a key's; undefined when it can. */
    readonly problemOf: (json: string, bucket: undefined) => string | undefined;
  };
};

const CREATE = z
  .strictObject({
    name: z.string().max(128).default(""),
    access_key: z.string().optional(),
    secret_key: z.string().optional(),
    grants: z.array(z.enum(GRANTS)).max(GRANTS.length).default([]),
    buckets: z.array(z.string()).max(100).default([]),
    policy: z.record(z.string(), z.unknown()).optional(),
  })
  .refine(({ grants, policy }) => grants.length > 0 || policy !== undefined, {
    path: ["grants"],
    message: "at least one grant or a policy is needed",
  });

/** The name of the policy that a key is created with, beside those of its grants. */
const OWN_POLICY = "policy";

/** Every key that has not been removed, without secrets and policies. */
export function listKeys(store: Store): AdminAnswer {
  const keys = [];
  for (const record of store.accessKeys()) {
    if (record.state !== "revoked") keys.push(summary(record));
  }
  return { status: 200, body: { keys } };
}

/** Everything about a key but its secret. */
export function showKey(store: Store, idText: string): AdminAnswer {
  const record = findKey(store, idText);
  if (record === undefined) return noSuchKey(idText);
  const policies = Object.fromEntries(
    record.policies.map(([name, document]) => [name, JSON.parse(document)]),
  );
  return { status: 200, body: { ...summary(record), policies } };
}

/** Creates a key; the answer is the only one that ever holds its secret. */
export async function createKey(
  deps: AdminKeyDeps,
  store: Store,
  body: unknown,
): Promise<AdminAnswer> {
  const parsed = readWish(CREATE, body);
  if (!parsed.success) return parsed.refusal;
  const { grants, name } = parsed.data;
  const buckets: BucketName[] = [];
  for (const text of parsed.data.buckets) {
    const bucket = parseBucketName(text);
    if (bucket === undefined) return adminProblem(400, `"${text}" is not a bucket name.`);
    buckets.push(bucket);
  }
  const wide = grants.find((grant) => !canBeBound(grant));
  if (wide !== undefined && buckets.length > 0) {
    return adminProblem(400, `The grant ${wide} is for the whole site: give no bucket with it.`);
  }
  const own = parsed.data.policy === undefined ? undefined : JSON.stringify(parsed.data.policy);
  const problem = own === undefined ? undefined : deps.policies.problemOf(own, undefined);
  if (problem !== undefined) return adminProblem(400, `That policy cannot be used: ${problem}`);
  const pair = chooseKey(deps, parsed.data);
  if ("problem" in pair) return adminProblem(400, pair.problem);
  const existing = store.accessKey(pair.id);
  if (existing?.state === "revoked") {
    return adminProblem(
      409,
      `The access key ${pair.id} was deleted, and its id is not given again.`,
    );
  }
  if (existing !== undefined) {
    return adminProblem(409, `The access key ${pair.id} exists already.`);
  }
  const record: AccessKeyRecord = {
    id: pair.id,
    state: "active",
    name,
    sealedSecret: deps.seal(pair.id, pair.secret),
    policies: policiesOf(deps, grants, buckets, own),
    createdMs: deps.clock.nowMs(),
  };
  await store.putAccessKey(record);
  return { status: 201, body: { ...summary(record), secret_key: pair.secret } };
}

function policiesOf(
  { policyOf }: AdminKeyDeps,
  grants: readonly GrantName[],
  buckets: readonly BucketName[],
  own: string | undefined,
): AccessKeyRecord["policies"] {
  const granted = [...new Set(grants)].map(
    (grant) => [policyName(grant, buckets), policyOf(grant, buckets)] as const,
  );
  return own === undefined ? granted : [...granted, [OWN_POLICY, own]];
}

/** Disables, enables or removes a key. What is removed keeps no secret and no policy. */
export async function changeKey(
  store: Store,
  idText: string,
  state: AccessKeyState,
): Promise<AdminAnswer> {
  const record = findKey(store, idText);
  if (record === undefined) return noSuchKey(idText);
  const changed: AccessKeyRecord =
    state === "revoked"
      ? { ...record, state, sealedSecret: new Uint8Array(0), policies: [] }
      : { ...record, state };
  await store.putAccessKey(changed);
  return { status: 200, body: summary(changed) };
}

function chooseKey(
  deps: AdminKeyDeps,
  given: Pick<z.output<typeof CREATE>, "access_key" | "secret_key">,
): { readonly id: AccessKeyId; readonly secret: string } | { readonly problem: string } {
  if (given.access_key === undefined && given.secret_key === undefined) {
    return makeAccessKeyPair(deps.random.bytes(ACCESS_KEY_RANDOM_BYTES));
  }
  if (given.access_key === undefined || given.secret_key === undefined) {
    return { problem: "Give both the access key and its secret key, or neither." };
  }
  const id = parseAccessKeyId(given.access_key);
  if (id === undefined) return { problem: "An access key has 3 to 128 letters and digits." };
  const problem = secretKeyProblem(given.secret_key);
  return problem === undefined
    ? { id, secret: given.secret_key }
    : { problem: `That cannot be: ${problem}.` };
}

/** The id in a path; undefined when it cannot be one. */
export function keyIdOf(idText: string): AccessKeyId | undefined {
  return parseAccessKeyId(decodedPart(idText));
}

/** The key with this id; undefined for an unknown, malformed or removed one. */
export function findKey(store: Store, idText: string): AccessKeyRecord | undefined {
  const id = keyIdOf(idText);
  const record = id === undefined ? undefined : store.accessKey(id);
  return record?.state === "revoked" ? undefined : record;
}

/** The answer 404 for a key that is not there. */
export function noSuchKey(idText: string): AdminAnswer {
  return adminProblem(404, `There is no access key ${idText}.`);
}

function policyName(grant: GrantName, buckets: readonly BucketName[]): string {
  return buckets.length === 0 ? grant : `${grant} on ${buckets.join(", ")}`;
}

function summary(record: AccessKeyRecord): Record<string, unknown> {
  return {
    access_key: record.id,
    name: record.name,
    state: record.state,
    grants: record.policies.map(([name]) => name),
    created: new Date(record.createdMs).toISOString(),
  };
}

import { z } from "zod";
import { LIMITS } from "../core/limits.ts";
import { type AccessKeyId, parseAccessKeyId } from "../core/names.ts";
import type { AccessKeyRecord } from "../core/records.ts";
import type { Store } from "../storage/store.ts";
import { type AdminAnswer, adminProblem, decodedPart } from "./admin-call.ts";
import { findKey, noSuchKey } from "./admin-keys.ts";
import { readWish } from "./read-wish.ts";

/** May a key, or somebody without one, do something? */
export type AccessInquiry = {
  /** Undefined for a request without a signature. */
  readonly accessKey: AccessKeyId | undefined;
  readonly action: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** What the request says, by condition key. */
  readonly values: ReadonlyMap<string, readonly string[]>;
};

/** The answer, and the statement that gave it when one did. */
export type AccessAnswer = {
  readonly allowed: boolean;
  readonly reason: string;
  readonly statement:
    | {
        readonly policy: string;
        readonly number: number;
        readonly sid: string | undefined;
        readonly effect: string;
      }
    | undefined;
};

/** What reads and judges policies; it belongs to the S3 service. */
export type PolicyDesk = {
  /** Why a policy cannot be a key's, or that of a bucket when one is named; undefined if it can. */
  readonly problemOf: (json: string, bucket: string | undefined) => string | undefined;
  /** Answers exactly as a request would be answered; undefined when there is no such key. */
  readonly judge: (inquiry: AccessInquiry) => AccessAnswer | undefined;
};

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPolicy.html */
const NAME = /^[\w+=,.@-]{1,128}$/;

const PUT = z.strictObject({ policy: z.record(z.string(), z.unknown()) });
const VALIDATE = z.strictObject({ policy: z.unknown(), bucket: z.string().optional() });
const TEST = z.strictObject({
  access_key: z.string().optional(),
  action: z
    .string()
    .regex(/^[a-z0-9]+:[A-Za-z]+$/i, "an action is SERVICE:Name, like s3:GetObject"),
  bucket: z.string().optional(),
  key: z.string().optional(),
  values: z.record(z.string(), z.array(z.string())).default({}),
});

/** The policies of a key by name: all of them, or one. */
export function showPolicies(
  store: Store,
  idText: string,
  nameText: string | undefined,
): AdminAnswer {
  const record = findKey(store, idText);
  if (record === undefined) return noSuchKey(idText);
  if (nameText === undefined) {
    const policies = record.policies.map(([name]) => name);
    return { status: 200, body: { access_key: record.id, policies } };
  }
  const found = record.policies.find(([name]) => name === decodedPart(nameText));
  if (found === undefined) return noSuchPolicy(record, nameText);
  const [name, json] = found;
  return { status: 200, body: { access_key: record.id, name, policy: JSON.parse(json) } };
}

/** Gives a key a policy, or another one under the same name. Resolves when it is in force. */
export async function putPolicy(
  desk: PolicyDesk,
  store: Store,
  place: { readonly id: string; readonly name: string },
  body: unknown,
): Promise<AdminAnswer> {
  const parsed = readWish(PUT, body);
  if (!parsed.success) return parsed.refusal;
  const name = decodedPart(place.name);
  if (!NAME.test(name)) {
    return adminProblem(400, "A policy's name has 1 to 128 letters, digits or _+=,.@-");
  }
  const record = findKey(store, place.id);
  if (record === undefined) return noSuchKey(place.id);
  const json = JSON.stringify(parsed.data.policy);
  const problem = desk.problemOf(json, undefined);
  if (problem !== undefined) return adminProblem(400, `That policy cannot be used: ${problem}`);
  const others = record.policies.filter(([other]) => other !== name);
  if (others.length >= LIMITS.keyPoliciesMax) {
    return adminProblem(409, `A key has at most ${LIMITS.keyPoliciesMax} policies.`);
  }
  return change(store, record, [...others, [name, json]]);
}

/** Takes a policy away. Resolves when that is in force. */
export async function deletePolicy(
  store: Store,
  place: { readonly id: string; readonly name: string },
): Promise<AdminAnswer> {
  const record = findKey(store, place.id);
  if (record === undefined) return noSuchKey(place.id);
  const others = record.policies.filter(([name]) => name !== decodedPart(place.name));
  if (others.length === record.policies.length) return noSuchPolicy(record, place.name);
  return change(store, record, others);
}

async function change(
  store: Store,
  record: AccessKeyRecord,
  policies: AccessKeyRecord["policies"],
): Promise<AdminAnswer> {
  await store.putAccessKey({ ...record, policies });
  const names = policies.map(([name]) => name);
  return { status: 200, body: { access_key: record.id, policies: names } };
}

/** Says whether a policy could be used, without using it. */
export function validatePolicy(desk: PolicyDesk, body: unknown): AdminAnswer {
  const parsed = readWish(VALIDATE, body);
  if (!parsed.success) return parsed.refusal;
  const { policy, bucket } = parsed.data;
  const problem = desk.problemOf(JSON.stringify(policy ?? null), bucket);
  return problem === undefined
    ? { status: 200, body: { valid: true } }
    : { status: 200, body: { valid: false, problem } };
}

/** Explains a decision: the same one that a request would get now. */
export function testPolicy(desk: PolicyDesk, body: unknown): AdminAnswer {
  const parsed = readWish(TEST, body);
  if (!parsed.success) return parsed.refusal;
  const { access_key: idText, action, bucket, key, values } = parsed.data;
  if (key !== undefined && bucket === undefined) {
    return adminProblem(400, "A key is in a bucket: give that too.");
  }
  const accessKey = idText === undefined ? undefined : parseAccessKeyId(idText);
  if (idText !== undefined && accessKey === undefined) return noSuchKey(idText);
  const inquiry = { accessKey, action, bucket, key, values: new Map(Object.entries(values)) };
  const answer = desk.judge(inquiry);
  if (answer !== undefined) return { status: 200, body: answer };
  return adminProblem(404, `There is no access key ${idText ?? ""} that may sign.`);
}

function noSuchPolicy(record: AccessKeyRecord, name: string): AdminAnswer {
  return adminProblem(404, `The access key ${record.id} has no policy ${decodedPart(name)}.`);
}

import { type BucketName, parseObjectKey, parseVersionId } from "../core/names.ts";
import type { Store, StoredBucket, StoredObject } from "../storage/store.ts";
import type { Credential } from "./auth/credentials.ts";
import { objectAclOf } from "./headers/object-acl.ts";
import { bucketAclPolicy, OBJECT_ACL_ACTIONS, objectAclPolicy } from "./policy/canned-acl.ts";
import { type Decision, decide, resourceArn } from "./policy/decide.ts";
import type { PolicyDocument } from "./policy/document.ts";
import type { ConditionValues } from "./policy/template.ts";
import { aclsAreOff, bucketAclOf, grantedAcl } from "./settings/bucket-acl.ts";
import { BUCKET_POLICY } from "./settings/bucket-policy.ts";
import { PUBLIC_ACCESS_BLOCK } from "./settings/public-access-block.ts";

/** A question to the policies: may this caller do this? */
export type AccessQuestion = {
  readonly credential: Pick<Credential, "kind" | "id" | "name" | "policies">;
  readonly action: string;
  /** The bucket as it was named, and its row; undefined for the service. */
  readonly bucketName: string | undefined;
  readonly bucket: StoredBucket | undefined;
  readonly key: string | undefined;
  /** The version that is asked for; undefined for the current one. */
  readonly version: string | undefined;
  readonly valuesOf: ConditionValues;
};

/** What is looked up to answer. */
export type AccessStore = Pick<Store, "object" | "version">;

const MANAGE_POLICY = ["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"];

/**
 * Gathers the policies that apply and lets them decide: those of the caller's key, the bucket's,
 * and those that the ACLs of bucket and object stand for. Costs one look-up for a bucket without
 * policy and ACL. A setting that cannot be read throws, and so denies.
 */
export function judge(question: AccessQuestion, store: AccessStore): Decision {
  const { credential, action, bucket, key, valuesOf } = question;
  const request = {
    ...{ caller: credential, action, valuesOf },
    resource: resourceArn(question.bucketName, key),
  };
  if (bucket === undefined || bucket.settings.size === 0) {
    const decision = decide(request, credential.policies);
    return bucket === undefined ? decision : withObjectAcl(question, decision, store);
  }
  const own = credential.policies;
  const policy = policyOf(question, bucket);
  const acl = grantedAcl(bucket.settings, bucketAclOf(bucket.settings));
  const granted = acl === "private" ? undefined : bucketAclPolicy(acl, kindOf(credential));
  const policies =
    policy === undefined && granted === undefined
      ? own
      : [...own, policy, granted].filter((document) => document !== undefined);
  return withObjectAcl(question, decide(request, policies), store);
}

/** The part of the bucket's policy that applies to this caller. */
function policyOf(question: AccessQuestion, bucket: StoredBucket): PolicyDocument | undefined {
  const { kind } = question.credential;
  // AWS: the root user can always mend a policy that shuts everybody out.
  if (kind === "root" && MANAGE_POLICY.includes(question.action)) return undefined;
  const policy = BUCKET_POLICY.of(bucket.settings);
  if (policy === undefined) return undefined;
  const block = PUBLIC_ACCESS_BLOCK.of(bucket.settings);
  const keptOut = kind === "anonymous" && policy.isPublic && block?.RestrictPublicBuckets === true;
  return keptOut ? policy.denials : policy.document;
}

/**
 * Lets the ACL of the object decide, for callers who would be refused otherwise. When there is no
 * object, a caller who may list is let through, to be told that it does not exist.
 */
function withObjectAcl(question: AccessQuestion, decision: Decision, store: AccessStore): Decision {
  const { action, bucket, key, credential, valuesOf } = question;
  const asks = decision.reason === "no-allow" && OBJECT_ACL_ACTIONS.includes(action);
  if (!asks || bucket === undefined || key === undefined || aclsAreOff(bucket.settings)) {
    return decision;
  }
  const object = objectInQuestion(store, bucket.name, key, question.version);
  if (object === undefined) {
    const listing = judge({ ...question, action: "s3:ListBucket", key: undefined }, store);
    return listing.allowed ? listing : decision;
  }
  const acl = grantedAcl(bucket.settings, objectAclOf(object.record.attributes));
  const granted = objectAclPolicy(acl, kindOf(credential));
  if (granted === undefined) return decision;
  const resource = resourceArn(bucket.name, key);
  return decide({ caller: credential, action, resource, valuesOf }, [granted]);
}

function kindOf({ kind }: AccessQuestion["credential"]): "anonymous" | "signed" {
  return kind === "anonymous" ? "anonymous" : "signed";
}

/** The object in question: the version that is named, or the current one; never a delete marker. */
export function objectInQuestion(
  store: AccessStore,
  bucket: BucketName,
  keyText: string,
  version: string | undefined,
): StoredObject | undefined {
  const key = parseObjectKey(keyText);
  if (key === undefined) return undefined;
  if (version === undefined) return store.object(bucket, key);
  const id = version === "null" ? version : parseVersionId(version);
  const found = id === undefined ? undefined : store.version(bucket, key, id);
  return found?.kind === "object" ? found.object : undefined;
}

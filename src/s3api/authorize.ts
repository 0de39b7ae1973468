import { parseBucketName } from "../core/names.ts";
import type { Store, StoredBucket } from "../storage/store.ts";
import { type AccessStore, judge, objectInQuestion } from "./access.ts";
import { type AskedFor, type RequestFacts, requestValues } from "./request-values.ts";
import type { Tags } from "./settings/tag-set.ts";

/** Values of condition keys that only a handler knows, by key in lower case. */
export type KnownValues = ReadonlyMap<string, readonly string[]>;

/** Whether the caller may do this; a bucket or key left out means the service or the bucket. */
export type Allows = (
  action: string,
  bucket?: string,
  key?: string,
  known?: KnownValues,
) => boolean;

export type AuthorizerDeps = {
  readonly store: AccessStore & Pick<Store, "bucket">;
};

const NO_TAGS: Tags = [];

/** What the caller of a request may do. Nothing is looked up or computed before it is asked for. */
export function authorizer(
  facts: RequestFacts,
  { store }: AuthorizerDeps,
  addressed: StoredBucket | undefined,
): Allows {
  const { credential } = facts.auth;
  const rowOf = (name: string | undefined): StoredBucket | undefined => {
    if (name === undefined) return undefined;
    if (name === addressed?.name) return addressed;
    const bucket = parseBucketName(name);
    return bucket === undefined ? undefined : store.bucket(bucket);
  };
  const tagsOf = tagsReader(store);
  return (action, bucketName, key, known) => {
    const bucket = rowOf(bucketName);
    // Only a bucket's policy can keep the root key from what it owns.
    if (credential.kind === "root" && bucket?.settings.has("policy") !== true) return true;
    const valuesOf = requestValues(facts, { bucket, key, tagsOf, known });
    const version = known?.get("s3:versionid")?.[0] ?? facts.query.get("versionId");
    return judge({ credential, action, bucketName, bucket, key, version, valuesOf }, store).allowed;
  };
}

/** Reads the tags of what is asked for, for the conditions that name them. */
export function tagsReader(store: AccessStore): AskedFor["tagsOf"] {
  return (bucket, key, version) =>
    objectInQuestion(store, bucket.name, key, version)?.record.attributes.tags ?? NO_TAGS;
}

import { assert } from "./assert.ts";

/** What a key may be granted by name; each becomes a policy document. */
export type GrantName = "read" | "write" | "read-write" | "own" | "admin:stats" | "admin";

type Actions = {
  /** On the whole service. */
  readonly service: readonly string[];
  /** On buckets. */
  readonly bucket: readonly string[];
  /** On buckets too, but only for a key that is not bound to certain buckets. */
  readonly anyBucket: readonly string[];
  readonly object: readonly string[];
};

const READ: Actions = {
  service: ["s3:ListAllMyBuckets"],
  bucket: [
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:GetBucket*",
    "s3:GetAccelerateConfiguration",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration",
  ],
  anyBucket: [],
  object: ["s3:GetObject*", "s3:ListMultipartUploadParts"],
};

const WRITE: Actions = {
  service: [],
  bucket: ["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"],
  anyBucket: ["s3:CreateBucket", "s3:DeleteBucket"],
  object: [
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:DeleteObject",
    "s3:DeleteObjectTagging",
    "s3:DeleteObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
  ],
};

const READ_WRITE: Actions = {
  service: [...READ.service, ...WRITE.service],
  bucket: [...new Set([...READ.bucket, ...WRITE.bucket])],
  anyBucket: [...READ.anyBucket, ...WRITE.anyBucket],
  object: [...new Set([...READ.object, ...WRITE.object])],
};

const STATS: Actions = { service: ["atoll:Stats"], bucket: [], anyBucket: [], object: [] };
/** Actions of a key that makes its own buckets; what it may do inside them is in `OWN_BUCKETS`. */
const OWN: Actions = {
  ...{ bucket: [], anyBucket: [], object: [] },
  service: ["s3:ListAllMyBuckets", "s3:CreateBucket"],
};
/** Everything in the buckets that the key itself has made, and nothing in those of others. */
const OWN_BUCKETS = {
  ...statement("Own", ["s3:*"], ["*"]),
  Condition: { StringEquals: { "atoll:BucketCreator": `\${aws:userid}` } },
};

const ADMIN: Actions = { service: ["s3:*", "atoll:*"], bucket: [], anyBucket: [], object: [] };

const GRANTS = {
  read: READ,
  write: WRITE,
  "read-write": READ_WRITE,
  own: OWN,
  "admin:stats": STATS,
  admin: ADMIN,
} as const satisfies Record<GrantName, Actions>;

const ARN = "arn:aws:s3:::";
/** Grants that are not for certain buckets. */
const UNBOUND: readonly GrantName[] = ["own", "admin:stats", "admin"];

/** Whether a grant can be bound to buckets; the others are for the whole site. */
export function canBeBound(grant: GrantName): boolean {
  return !UNBOUND.includes(grant);
}

/**
 * The policy document, in AWS's JSON, that a grant stands for. Without buckets it is for all of
 * them, those to come included; some are for the whole site and take none, see `canBeBound`.
 */
export function grantPolicy(grant: GrantName, buckets: readonly string[]): string {
  const bound = buckets.length > 0;
  for (const bucket of buckets) assert(/^[a-z0-9.-]+$/.test(bucket), "a bucket name is plain");
  assert(!bound || canBeBound(grant), "that grant is for the whole site");
  const { service, bucket, anyBucket, object } = GRANTS[grant];
  const statements = [
    statement("Service", service, ["*"]),
    statement(
      "Buckets",
      bound ? bucket : [...bucket, ...anyBucket],
      bound ? buckets.map((name) => ARN + name) : [`${ARN}*`],
    ),
    statement("Objects", object, bound ? buckets.map((name) => `${ARN}${name}/*`) : [`${ARN}*/*`]),
  ];
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      ...statements.filter(({ Action }) => Action.length > 0),
      ...(grant === "own" ? [OWN_BUCKETS] : []),
    ],
  });
}

function statement(sid: string, actions: readonly string[], resources: readonly string[]) {
  return { Sid: sid, Effect: "Allow", Action: actions, Resource: resources };
}

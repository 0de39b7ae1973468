import { type PolicyDocument, readStoredPolicy } from "./document.ts";

/**
 * The ACLs that S3 has names for. What they grant to others becomes a policy, so that one place
 * judges; what they grant to the owner's account is the owner's anyway.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl
 */
export const CANNED_ACLS = [
  "private",
  "public-read",
  "public-read-write",
  "authenticated-read",
  "bucket-owner-read",
  "bucket-owner-full-control",
] as const;
export type CannedAcl = (typeof CANNED_ACLS)[number];

/** The ACLs that S3 names but that speak of AWS's own services. */
export const FOREIGN_ACLS: readonly string[] = ["aws-exec-read", "log-delivery-write"];

export type Permission = "READ" | "WRITE";
export type Grantees = "AllUsers" | "AuthenticatedUsers";

/** What an ACL grants to others than the owner. */
export const ACL_GRANTS = {
  private: [],
  "public-read": [["AllUsers", "READ"]],
  "public-read-write": [
    ["AllUsers", "READ"],
    ["AllUsers", "WRITE"],
  ],
  "authenticated-read": [["AuthenticatedUsers", "READ"]],
  "bucket-owner-read": [],
  "bucket-owner-full-control": [],
} as const satisfies Readonly<Record<CannedAcl, ReadonlyArray<readonly [Grantees, Permission]>>>;

/** AWS's table of what each permission of an ACL stands for in policies. */
const BUCKET_ACTIONS = {
  READ: ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"],
  WRITE: ["s3:PutObject", "s3:DeleteObject"],
} as const satisfies Readonly<Record<Permission, readonly string[]>>;
/** An object's ACL can grant no writing: who may replace it, the bucket's says. */
const OBJECT_ACTIONS = {
  READ: ["s3:GetObject", "s3:GetObjectVersion"],
  WRITE: [],
} as const satisfies Readonly<Record<Permission, readonly string[]>>;

/** The name of the setting in a bucket's row; its value is the ACL's own name. */
export const BUCKET_ACL = "acl";

/** The canned ACL of this name; undefined for any other text. */
export function parseCannedAcl(text: string): CannedAcl | undefined {
  return CANNED_ACLS.find((name) => name === text);
}

/** Whether an ACL lets in anyone but the owner: AWS's definition of a public ACL. */
export function isPublicAcl(acl: CannedAcl): boolean {
  return ACL_GRANTS[acl].length > 0;
}

/** Actions that the ACL of an object can allow; nothing else has to look for one. */
export const OBJECT_ACL_ACTIONS: readonly string[] = OBJECT_ACTIONS.READ;

const BUCKET_DOCUMENTS = documents(BUCKET_ACTIONS, "the bucket's ACL");
const OBJECT_DOCUMENTS = documents(OBJECT_ACTIONS, "the object's ACL");

/** The policy that a bucket's ACL stands for; undefined when it grants nothing to others. */
export function bucketAclPolicy(
  acl: CannedAcl,
  who: "anonymous" | "signed",
): PolicyDocument | undefined {
  return BUCKET_DOCUMENTS.get(`${who} ${acl}`);
}

/** The same for an object's ACL. */
export function objectAclPolicy(
  acl: CannedAcl,
  who: "anonymous" | "signed",
): PolicyDocument | undefined {
  return OBJECT_DOCUMENTS.get(`${who} ${acl}`);
}

/**
 * One document for each ACL and kind of caller. They name any resource: they are only ever judged
 * with the bucket or object whose ACL they stand for.
 */
function documents(
  actions: Readonly<Record<Permission, readonly string[]>>,
  name: string,
): ReadonlyMap<string, PolicyDocument> {
  const found = new Map<string, PolicyDocument>();
  for (const acl of CANNED_ACLS) {
    for (const who of ["anonymous", "signed"] as const) {
      const grants: ReadonlyArray<readonly [Grantees, Permission]> = ACL_GRANTS[acl];
      const allowed = grants
        .filter(([grantees]) => grantees === "AllUsers" || who === "signed")
        .flatMap(([, permission]) => actions[permission]);
      if (allowed.length === 0) continue;
      const statement = {
        ...{ Sid: acl, Effect: "Allow", Principal: "*" },
        ...{ Action: allowed, Resource: "*" },
      };
      found.set(
        `${who} ${acl}`,
        readStoredPolicy(JSON.stringify({ Statement: statement }), "resource", name),
      );
    }
  }
  return found;
}

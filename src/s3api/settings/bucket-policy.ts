import { S3Error } from "../errors.ts";
import { checkBucketPolicy } from "../policy/bucket-policy-rules.ts";
import { type PolicyDocument, type PolicyStatement, parsePolicy } from "../policy/document.ts";
import { isPublic } from "../policy/public-status.ts";
import { bucketSetting } from "./bucket-setting.ts";
import { PUBLIC_ACCESS_BLOCK } from "./public-access-block.ts";

/** A bucket's policy: as its owner wrote it, and as it is judged. */
export type BucketPolicy = {
  readonly json: string;
  readonly document: PolicyDocument;
  /** As AWS defines it; decides what a public access block does. */
  readonly isPublic: boolean;
  /** What is left of it for those whom a public access block keeps out. */
  readonly denials: PolicyDocument;
};

/** What stands for a policy in explanations. */
const NAME = "the bucket's policy";

/**
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
 */
export const BUCKET_POLICY = bucketSetting<BucketPolicy>({
  name: "policy",
  subresource: "policy",
  actions: { get: "GetBucketPolicy", put: "PutBucketPolicy", delete: "DeleteBucketPolicy" },
  document: { kind: "json", read: readPolicy, write: ({ json }) => json },
  absent: { error: "NoSuchBucketPolicy" },
  putStatus: 204,
  check: (policy, others) => {
    const block = PUBLIC_ACCESS_BLOCK.of(others);
    if (block?.BlockPublicPolicy === true && policy.isPublic) throw new S3Error("AccessDenied");
  },
});

function readPolicy(bytes: Uint8Array): BucketPolicy {
  const json = Buffer.from(bytes).toString("utf8");
  const parsed = parsePolicy(json, "resource", NAME);
  if (parsed.outcome === "refused") throw malformed(parsed.reason);
  const { document } = parsed;
  const denials = { statements: document.statements.filter(isDenial) };
  return { json, document, isPublic: isPublic(document), denials };
}

/** What a policy may not say on this bucket; AWS asks before it keeps one. */
export function requireFitting(policy: BucketPolicy, bucket: string): void {
  const problem = checkBucketPolicy(policy.document, bucket);
  if (problem !== undefined) throw malformed(problem);
}

function isDenial({ effect }: PolicyStatement): boolean {
  return effect === "Deny";
}

function malformed(message: string): S3Error {
  return new S3Error("MalformedPolicy", { message });
}

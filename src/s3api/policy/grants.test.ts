import { expect, test } from "vitest";
import { callerOf } from "../../../test/support/policies.ts";
import { type GrantName, grantPolicy } from "../../core/grants.ts";
import { decide, resourceArn } from "./decide.ts";
import { readStoredPolicy } from "./document.ts";

/** Grants are written in core and judged here, so their test stands where both are known. */
const ASKED: ReadonlyArray<readonly [string, string | undefined, string | undefined]> = [
  ["s3:ListAllMyBuckets", undefined, undefined],
  ["s3:ListBucket", "mine", undefined],
  ["s3:ListBucket", "other", undefined],
  ["s3:GetBucketVersioning", "mine", undefined],
  ["s3:CreateBucket", "mine", undefined],
  ["s3:DeleteBucket", "mine", undefined],
  ["s3:GetObject", "mine", "a/b"],
  ["s3:GetObject", "other", "a/b"],
  ["s3:GetObjectTagging", "mine", "a/b"],
  ["s3:PutObject", "mine", "a/b"],
  ["s3:PutObject", "other", "a/b"],
  ["s3:DeleteObject", "mine", "a/b"],
  ["s3:AbortMultipartUpload", "mine", "a/b"],
  ["s3:ListMultipartUploadParts", "mine", "a/b"],
  ["s3:PutBucketPolicy", "mine", undefined],
  ["atoll:Stats", undefined, undefined],
  ["atoll:Admin", undefined, undefined],
];

function allowed(grant: GrantName, buckets: readonly string[]): string[] {
  const policies = [readStoredPolicy(grantPolicy(grant, buckets))];
  return ASKED.filter(([action, bucket, key]) => {
    const resource = resourceArn(bucket, key);
    const request = { action, resource, caller: callerOf("user"), valuesOf: () => undefined };
    return decide(request, policies).allowed;
  }).map(([action, bucket]) => (bucket === undefined ? action : `${action} ${bucket}`));
}

test("read on every bucket reads and lists, and changes nothing", () => {
  expect(allowed("read", [])).toEqual([
    "s3:ListAllMyBuckets",
    "s3:ListBucket mine",
    "s3:ListBucket other",
    "s3:GetBucketVersioning mine",
    "s3:GetObject mine",
    "s3:GetObject other",
    "s3:GetObjectTagging mine",
    "s3:ListMultipartUploadParts mine",
  ]);
});

test("read bound to a bucket knows no other", () => {
  expect(allowed("read", ["mine"])).toEqual([
    "s3:ListAllMyBuckets",
    "s3:ListBucket mine",
    "s3:GetBucketVersioning mine",
    "s3:GetObject mine",
    "s3:GetObjectTagging mine",
    "s3:ListMultipartUploadParts mine",
  ]);
});

test("write bound to a bucket writes there and reads nowhere", () => {
  expect(allowed("write", ["mine"])).toEqual([
    "s3:PutObject mine",
    "s3:DeleteObject mine",
    "s3:AbortMultipartUpload mine",
    "s3:ListMultipartUploadParts mine",
  ]);
});

test("read-write makes and removes buckets only when it is bound to none", () => {
  const bound = allowed("read-write", ["mine"]);
  const free = allowed("read-write", []);
  expect(bound).not.toContain("s3:CreateBucket mine");
  expect(free).toContain("s3:CreateBucket mine");
  expect(free).toContain("s3:DeleteBucket mine");
  for (const grant of ["read", "write"] as const) {
    for (const right of allowed(grant, ["mine"])) expect(bound).toContain(right);
    for (const right of allowed(grant, [])) expect(free).toContain(right);
  }
  expect(free).not.toContain("s3:PutBucketPolicy mine");
  expect(free).not.toContain("atoll:Stats");
});

test("own is everything in buckets of one's own, and nothing in others", () => {
  expect(allowed("own", [])).toEqual(["s3:ListAllMyBuckets", "s3:CreateBucket mine"]);
  const policies = [readStoredPolicy(grantPolicy("own", []))];
  const judged = (creator: string) =>
    decide(
      {
        ...{ action: "s3:PutBucketPolicy", resource: resourceArn("mine", undefined) },
        caller: callerOf("user"),
        valuesOf: (key) => [key === "aws:userid" ? "ALICEKEY1" : creator],
      },
      policies,
    ).allowed;
  expect([judged("ALICEKEY1"), judged("BOBKEY001")]).toEqual([true, false]);
  expect(() => grantPolicy("own", ["mine"])).toThrow("whole site");
});

test("the admin grants are for the whole site", () => {
  expect(allowed("admin:stats", [])).toEqual(["atoll:Stats"]);
  expect(allowed("admin", [])).toHaveLength(ASKED.length);
  expect(() => grantPolicy("admin", ["mine"])).toThrow("whole site");
});

test("a bucket name that is a pattern is a mistake of ours", () => {
  expect(() => grantPolicy("read", ["*"])).toThrow("a bucket name is plain");
});

import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketAclCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketPolicyStatusCommand,
  GetObjectAclCommand,
  GetObjectCommand,
  type Grant,
  type ObjectCannedACL,
  PutBucketAclCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutPublicAccessBlockCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { arn, makeBucketWith, makeOtherKey, putPolicy, unsigned } from "../support/access.ts";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const DENIED = "403 AccessDenied";
const ALL = "http://acs.amazonaws.com/groups/global/AllUsers";
const SIGNED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

/** What an ACL grants to others than the owner. */
function granted(answer: { Grants?: Grant[] | undefined }): string[] {
  return (answer.Grants ?? []).flatMap(({ Grantee, Permission }) =>
    Grantee?.URI === undefined ? [] : [`${Grantee.URI} ${Permission}`],
  );
}

describe.each(ENGINES)("ACLs on %s", (engine) => {
  const server = useServer({ engine });
  const get = (Bucket: string, Key: string) => new GetObjectCommand({ Bucket, Key });
  const put = (Bucket: string, Key: string, ACL?: ObjectCannedACL) =>
    new PutObjectCommand({ Bucket, Key, Body: "body", ...(ACL === undefined ? {} : { ACL }) });

  test("without one, everything is the owner's and nobody else's", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(put(Bucket, "a"));
    const ofBucket = await s3.send(new GetBucketAclCommand({ Bucket }));
    const ofObject = await s3.send(new GetObjectAclCommand({ Bucket, Key: "a" }));
    for (const { Owner, Grants } of [ofBucket, ofObject]) {
      expect(Owner?.ID).toMatch(/^[0-9a-f]{64}$/);
      expect(Grants).toEqual([
        {
          Grantee: { ...Owner, Type: "CanonicalUser" },
          Permission: "FULL_CONTROL",
        },
      ]);
    }
    expect((await unsigned(server(), "GET", `/${Bucket}/a`)).said).toBe(DENIED);
  });

  test.each([
    ["private", []],
    ["bucket-owner-full-control", []],
    ["public-read", [`${ALL} READ`]],
    ["public-read-write", [`${ALL} READ`, `${ALL} WRITE`]],
    ["authenticated-read", [`${SIGNED} READ`]],
  ] as const)("%s of an object lets in whom it says", async (ACL, grants) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const other = await makeOtherKey(server());
    await s3.send(put(Bucket, "a", ACL));
    expect(granted(await s3.send(new GetObjectAclCommand({ Bucket, Key: "a" })))).toEqual(grants);
    const isPublic = ACL.startsWith("public");
    const read = await unsigned(server(), "GET", `/${Bucket}/a`);
    expect(read.said).toBe(isPublic ? "200" : DENIED);
    const bySomebody = other.s3.send(get(Bucket, "a"));
    if (grants.length > 0) await bySomebody;
    else expect(await refusalOf(bySomebody)).toBe(DENIED);
    expect((await unsigned(server(), "DELETE", `/${Bucket}/a`)).said).toBe(DENIED);
    expect((await unsigned(server(), "PUT", `/${Bucket}/a`)).said).toBe(DENIED);
    expect((await unsigned(server(), "GET", `/${Bucket}/b`)).said).toBe(DENIED);
    expect((await unsigned(server(), "GET", `/${Bucket}/a?acl`)).said).toBe(DENIED);
  });

  test("of an object changes, and goes with no copy and no later write", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const said = async (Key: string) => (await unsigned(server(), "GET", `/${Bucket}/${Key}`)).said;
    await s3.send(put(Bucket, "a"));
    const change = (ACL: ObjectCannedACL) => new PutObjectAclCommand({ Bucket, Key: "a", ACL });
    for (let again = 0; again < 2; again++) await s3.send(change("public-read"));
    expect(await said("a")).toBe("200");
    const copy = { Bucket, CopySource: `${Bucket}/a` };
    await s3.send(new CopyObjectCommand({ ...copy, Key: "b" }));
    await s3.send(new CopyObjectCommand({ ...copy, Key: "c", ACL: "public-read" }));
    expect([await said("b"), await said("c")]).toEqual([DENIED, "200"]);
    await s3.send(change("private"));
    expect(await said("a")).toBe(DENIED);
    await s3.send(change("public-read"));
    await s3.send(put(Bucket, "a"));
    expect(await said("a")).toBe(DENIED);
    const missing = new PutObjectAclCommand({ Bucket, Key: "none", ACL: "private" });
    expect(await refusalOf(s3.send(missing))).toBe("404 NoSuchKey");
  });

  test("asked for when an upload begins are those of the object it becomes", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const place = { Bucket, Key: "a" };
    const begun = new CreateMultipartUploadCommand({ ...place, ACL: "public-read" });
    const { UploadId } = await s3.send(begun);
    const part = { ...place, UploadId, PartNumber: 1 };
    const { ETag } = await s3.send(new UploadPartCommand({ ...part, Body: "whole" }));
    const MultipartUpload = { Parts: [{ ETag, PartNumber: 1 }] };
    await s3.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload }));
    const read = await unsigned(server(), "GET", `/${Bucket}/a`);
    expect([read.said, read.body]).toEqual(["200", "whole"]);
    expect(read.headers.get("x-amz-acl")).toBeNull();
  });

  test("belong to one version", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const VersioningConfiguration = { Status: "Enabled" as const };
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    const first = await s3.send(put(Bucket, "a"));
    await s3.send(put(Bucket, "a"));
    const VersionId = first.VersionId ?? "";
    const change = { Bucket, Key: "a", VersionId, ACL: "public-read" as const };
    await s3.send(new PutObjectAclCommand(change));
    const shown = await s3.send(new GetObjectAclCommand({ Bucket, Key: "a", VersionId }));
    expect(granted(shown)).toEqual([`${ALL} READ`]);
    expect(granted(await s3.send(new GetObjectAclCommand({ Bucket, Key: "a" })))).toEqual([]);
    const path = `/${Bucket}/a`;
    expect((await unsigned(server(), "GET", `${path}?versionId=${VersionId}`)).said).toBe("200");
    expect((await unsigned(server(), "GET", path)).said).toBe(DENIED);
    const marker = await s3.send(new DeleteObjectCommand({ Bucket, Key: "a" }));
    const onMarker = { ...change, VersionId: marker.VersionId ?? "" };
    const refused = s3.send(new PutObjectAclCommand(onMarker));
    expect(await refusalOf(refused)).toBe("405 MethodNotAllowed");
    const never = { ...change, VersionId: "0".repeat(32) };
    expect(await refusalOf(s3.send(new PutObjectAclCommand(never)))).toBe("404 NoSuchVersion");
  });

  test("of a bucket let others list it, and write in it when they say so", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucketWith(s3, { ACL: "public-read" });
    await s3.send(put(Bucket, "a"));
    const status = await s3.send(new GetBucketPolicyStatusCommand({ Bucket }));
    expect(status.PolicyStatus?.IsPublic).toBe(true);
    const listed = await unsigned(server(), "GET", `/${Bucket}`);
    expect([listed.said, listed.body]).toEqual(["200", expect.stringContaining("<Key>a</Key>")]);
    expect((await unsigned(server(), "GET", `/${Bucket}/a`)).said).toBe(DENIED);
    expect((await unsigned(server(), "GET", `/${Bucket}/none`)).said).toBe("404 NoSuchKey");
    expect((await unsigned(server(), "PUT", `/${Bucket}/b`, { body: "x" })).said).toBe(DENIED);
    await s3.send(new PutBucketAclCommand({ Bucket, ACL: "public-read-write" }));
    expect(granted(await s3.send(new GetBucketAclCommand({ Bucket })))).toHaveLength(2);
    expect((await unsigned(server(), "PUT", `/${Bucket}/b`, { body: "x" })).said).toBe("200");
    expect((await unsigned(server(), "DELETE", `/${Bucket}/b`)).said).toBe("204");
    expect((await unsigned(server(), "PUT", `/${Bucket}?acl`)).said).toBe(DENIED);
    const taken = { body: "x", headers: { "x-amz-acl": "public-read" } };
    expect((await unsigned(server(), "PUT", `/${Bucket}/c`, taken)).said).toBe(DENIED);
    await s3.send(new PutBucketAclCommand({ Bucket, ACL: "authenticated-read" }));
    expect((await unsigned(server(), "GET", `/${Bucket}`)).said).toBe(DENIED);
    await s3.send(new PutBucketAclCommand({ Bucket, ACL: "private" }));
    expect(granted(await s3.send(new GetBucketAclCommand({ Bucket })))).toEqual([]);
  });

  test("come as documents too, when their grants have a name", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(put(Bucket, "a"));
    const { Owner } = await s3.send(new GetBucketAclCommand({ Bucket }));
    const grant = (URI: string, Permission: "READ" | "WRITE") => ({
      Grantee: { Type: "Group" as const, URI },
      Permission,
    });
    const own = {
      Grantee: { Type: "CanonicalUser" as const, ID: Owner?.ID },
      Permission: "FULL_CONTROL" as const,
    };
    const policy = (...Grants: Array<typeof own | ReturnType<typeof grant>>) => ({
      Bucket,
      AccessControlPolicy: { ...(Owner === undefined ? {} : { Owner }), Grants },
    });
    await s3.send(new PutBucketAclCommand(policy(own, grant(ALL, "READ"))));
    expect((await unsigned(server(), "GET", `/${Bucket}`)).said).toBe("200");
    await s3.send(new PutObjectAclCommand({ ...policy(grant(ALL, "READ"), own), Key: "a" }));
    expect((await unsigned(server(), "GET", `/${Bucket}/a`)).said).toBe("200");
    for (const [said, ...grants] of [
      ["501 NotImplemented", own, grant(ALL, "WRITE")],
      ["501 NotImplemented", grant(ALL, "READ")],
      ["501 NotImplemented"],
      ["400 InvalidArgument", own, grant("http://acs.amazonaws.com/groups/global/X", "READ")],
    ] as const) {
      const refused = s3.send(new PutBucketAclCommand(policy(...grants)));
      expect(await refusalOf(refused)).toBe(said);
    }
    const foreign = { ID: "0".repeat(64), DisplayName: "x" };
    const stranger = { ...own, Grantee: { ...own.Grantee, ...foreign } };
    const put2 = s3.send(new PutBucketAclCommand(policy(own, stranger)));
    expect(await refusalOf(put2)).toBe("400 InvalidArgument");
    const owned = { Bucket, AccessControlPolicy: { Owner: foreign, Grants: [own] } };
    expect(await refusalOf(s3.send(new PutBucketAclCommand(owned)))).toBe(DENIED);
    expect(granted(await s3.send(new GetBucketAclCommand({ Bucket })))).toEqual([`${ALL} READ`]);
  });

  test.each([
    ["", { "x-amz-acl": "public-wish" }, "400 InvalidArgument"],
    ["", { "x-amz-acl": "log-delivery-write" }, "501 NotImplemented"],
    ["", {}, "400 MissingSecurityHeader"],
    ["<AccessControlPolicy/>", {}, "400 MalformedACLError"],
    ["no XML", {}, "400 MalformedACLError"],
    ["<AccessControlPolicy/>", { "x-amz-acl": "private" }, "400 UnexpectedContent"],
    ["", { "x-amz-grant-read": `uri="${ALL}"` }, "501 NotImplemented"],
  ])("%j with %j is %s, for a bucket and for an object", async (body, headers, said) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(put(Bucket, "a"));
    for (const path of [`/${Bucket}?acl`, `/${Bucket}/a?acl`]) {
      const answer = await sendSigned(server(), { method: "PUT", path, headers, body });
      expect(`${answer.status} ${answer.code}`).toBe(said);
    }
  });

  test("are refused, and count for nothing, where the bucket's owner owns everything", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(put(Bucket, "a", "public-read"));
    const Rules = [{ ObjectOwnership: "BucketOwnerEnforced" as const }];
    const OwnershipControls = { Rules };
    await s3.send(new PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls }));
    expect((await unsigned(server(), "GET", `/${Bucket}/a`)).said).toBe(DENIED);
    expect(granted(await s3.send(new GetObjectAclCommand({ Bucket, Key: "a" })))).toEqual([]);
    const refused = "400 AccessControlListNotSupported";
    expect(await refusalOf(s3.send(put(Bucket, "b", "public-read")))).toBe(refused);
    const acl = new PutBucketAclCommand({ Bucket, ACL: "public-read" });
    expect(await refusalOf(s3.send(acl))).toBe(refused);
    await s3.send(put(Bucket, "b", "bucket-owner-full-control"));
    const open = await makeBucketWith(s3, { ACL: "public-read" });
    const own = new PutBucketOwnershipControlsCommand({ Bucket: open, OwnershipControls });
    const clash = "400 InvalidBucketAclWithObjectOwnership";
    expect(await refusalOf(s3.send(own))).toBe(clash);
    const both = makeBucketWith(s3, { ObjectOwnership: "BucketOwnerEnforced", ACL: "public-read" });
    expect(await refusalOf(both)).toBe(clash);
    const none = new GetBucketOwnershipControlsCommand({ Bucket: open });
    expect(await refusalOf(s3.send(none))).toBe("404 OwnershipControlsNotFoundError");
  });

  test("that are public are refused or ignored where public access is blocked", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucketWith(s3, { ACL: "public-read" });
    await s3.send(put(Bucket, "a", "public-read"));
    const block = (PublicAccessBlockConfiguration: object) =>
      s3.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration }));
    const isPublic = async () => {
      const { PolicyStatus } = await s3.send(new GetBucketPolicyStatusCommand({ Bucket }));
      return PolicyStatus?.IsPublic;
    };
    await block({ IgnorePublicAcls: true });
    expect(await isPublic()).toBe(false);
    for (const path of [`/${Bucket}`, `/${Bucket}/a`]) {
      expect((await unsigned(server(), "GET", path)).said).toBe(DENIED);
    }
    await s3.send(put(Bucket, "b", "public-read"));
    await block({ BlockPublicAcls: true });
    expect(await isPublic()).toBe(true);
    expect((await unsigned(server(), "GET", `/${Bucket}/a`)).said).toBe("200");
    expect(await refusalOf(s3.send(put(Bucket, "c", "public-read")))).toBe(DENIED);
    const upload = { Bucket, Key: "c", ACL: "public-read" as const };
    expect(await refusalOf(s3.send(new CreateMultipartUploadCommand(upload)))).toBe(DENIED);
    const ofBucket = new PutBucketAclCommand({ Bucket, ACL: "public-read-write" });
    expect(await refusalOf(s3.send(ofBucket))).toBe(DENIED);
    const ofObject = new PutObjectAclCommand({ Bucket, Key: "a", ACL: "authenticated-read" });
    expect(await refusalOf(s3.send(ofObject))).toBe(DENIED);
    await s3.send(put(Bucket, "c", "private"));
  });

  test("are for those who may give them: writing alone is not enough", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const other = await makeOtherKey(server());
    const allow = { Effect: "Allow", Principal: { AWS: `arn:aws:iam:::user/${other.id}` } };
    const write = { ...allow, Action: "s3:PutObject", Resource: arn(Bucket, "*") };
    await putPolicy(s3, Bucket, write);
    expect(await refusalOf(other.s3.send(put(Bucket, "a", "public-read")))).toBe(DENIED);
    const tagged = new PutObjectCommand({ Bucket, Key: "a", Body: "x", Tagging: "a=b" });
    expect(await refusalOf(other.s3.send(tagged))).toBe(DENIED);
    await other.s3.send(put(Bucket, "a", "private"));
    const gives = { ...write, Action: ["s3:PutObjectAcl", "s3:PutObjectTagging"] };
    await putPolicy(s3, Bucket, write, gives);
    await other.s3.send(put(Bucket, "a", "public-read"));
    await other.s3.send(tagged);
    const onlyPrivate = {
      ...{ ...gives, Effect: "Deny", Action: "s3:PutObject" },
      Condition: { StringLike: { "s3:x-amz-acl": "public-*" } },
    };
    await putPolicy(s3, Bucket, write, gives, onlyPrivate);
    expect(await refusalOf(other.s3.send(put(Bucket, "a", "public-read")))).toBe(DENIED);
    await other.s3.send(put(Bucket, "a", "authenticated-read"));
    expect(await refusalOf(other.s3.send(new DeleteObjectCommand({ Bucket, Key: "a" })))).toBe(
      DENIED,
    );
  });
});

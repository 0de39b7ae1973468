import {
  CopyObjectCommand,
  DeleteBucketPolicyCommand,
  DeleteObjectsCommand,
  GetBucketPolicyCommand,
  GetBucketPolicyStatusCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  PutObjectCommand,
  PutPublicAccessBlockCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { describe, expect, test } from "vitest";
import { arn, makeOtherKey, type OtherKey, putPolicy, unsigned } from "../support/access.ts";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const DENIED = "403 AccessDenied";

describe.each(ENGINES)("bucket policies on %s", (engine) => {
  const server = useServer({ engine });

  let known: Promise<OtherKey> | undefined;

  /** A bucket of the root key's with an object in it, and a key that may do nothing there. */
  async function stage(): Promise<{ Bucket: string; other: OtherKey }> {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "a/b", Body: "hello" }));
    known ??= makeOtherKey(server());
    return { Bucket, other: await known };
  }

  const get = (Bucket: string, Key = "a/b") => new GetObjectCommand({ Bucket, Key });

  test("are kept as they were written, replaced, and taken away", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const none = s3.send(new GetBucketPolicyCommand({ Bucket }));
    expect(await refusalOf(none)).toBe("404 NoSuchBucketPolicy");
    const statement = {
      ...{ Effect: "Allow", Principal: "*" },
      ...{ Action: "s3:GetObject", Resource: arn(Bucket, "*") },
    };
    const Policy =
      `  ${JSON.stringify({ Version: "2012-10-17", Statement: [statement] })}\n`.trim();
    const put = await s3.send(new PutBucketPolicyCommand({ Bucket, Policy }));
    expect(put.$metadata.httpStatusCode).toBe(204);
    expect((await s3.send(new GetBucketPolicyCommand({ Bucket }))).Policy).toBe(Policy);
    const status = await s3.send(new GetBucketPolicyStatusCommand({ Bucket }));
    expect(status.PolicyStatus?.IsPublic).toBe(true);
    await putPolicy(s3, Bucket, { ...statement, Principal: { AWS: "arn:aws:iam:::user/x" } });
    const closed = await s3.send(new GetBucketPolicyStatusCommand({ Bucket }));
    expect(closed.PolicyStatus?.IsPublic).toBe(false);
    for (let again = 0; again < 2; again++) {
      const removed = await s3.send(new DeleteBucketPolicyCommand({ Bucket }));
      expect(removed.$metadata.httpStatusCode).toBe(204);
    }
    const gone = s3.send(new GetBucketPolicyCommand({ Bucket }));
    expect(await refusalOf(gone)).toBe("404 NoSuchBucketPolicy");
    const without = await s3.send(new GetBucketPolicyStatusCommand({ Bucket }));
    expect(without.PolicyStatus?.IsPublic).toBe(false);
  });

  test.each([
    ["", "Policies must be valid JSON and the first byte must be '{'"],
    ["{", "Policies must be valid JSON and the first byte must be '{'"],
    ['{"Version":"2012-10-17"}', "Missing required field Statement"],
    [
      '{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::BUCKET/*"}}',
      "Missing required field Principal",
    ],
    [
      '{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::other/*"}}',
      "Policy has invalid resource",
    ],
    [
      '{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:Eat","Resource":"arn:aws:s3:::BUCKET/*"}}',
      "Policy has invalid action",
    ],
    [
      '{"Statement":{"Effect":"Allow","Principal":"bob","Action":"s3:*","Resource":"arn:aws:s3:::BUCKET"}}',
      "Invalid principal in policy",
    ],
  ])("%s is malformed, and the bucket keeps the policy it had", async (template, message) => {
    const { Bucket } = await stage();
    const allow = { Effect: "Allow", Principal: "*", Action: "s3:ListBucket" };
    await putPolicy(sdkFor(server()), Bucket, { ...allow, Resource: arn(Bucket) });
    const body = template.replaceAll("BUCKET", Bucket);
    const answer = await sendSigned(server(), { method: "PUT", path: `/${Bucket}?policy`, body });
    expect([answer.status, answer.code]).toEqual([400, "MalformedPolicy"]);
    expect(answer.body.replaceAll("&apos;", "'")).toContain(`<Message>${message}</Message>`);
    expect((await unsigned(server(), "GET", `/${Bucket}`)).said).toBe("200");
  });

  test("let another key in as far as they say, and no further", async () => {
    const { Bucket, other } = await stage();
    expect(await refusalOf(other.s3.send(get(Bucket)))).toBe(DENIED);
    const Principal = { AWS: `arn:aws:iam:::user/${other.name}` };
    const allow = { Effect: "Allow", Principal };
    await putPolicy(
      sdkFor(server()),
      Bucket,
      { ...allow, Action: ["s3:GetObject", "s3:PutObject"], Resource: arn(Bucket, "a/*") },
      {
        ...{ ...allow, Action: "s3:ListBucket", Resource: arn(Bucket) },
        Condition: { StringLike: { "s3:prefix": "a/*" } },
      },
    );
    const { Body } = await other.s3.send(get(Bucket));
    expect(await Body?.transformToString()).toBe("hello");
    await other.s3.send(new PutObjectCommand({ Bucket, Key: "a/c", Body: "mine" }));
    const list = (Prefix: string) => new ListObjectsV2Command({ Bucket, Prefix });
    expect((await other.s3.send(list("a/"))).KeyCount).toBe(2);
    for (const refused of [
      get(Bucket, "b"),
      new PutObjectCommand({ Bucket, Key: "b", Body: "x" }),
      list(""),
      new HeadBucketCommand({ Bucket }),
      new DeleteBucketPolicyCommand({ Bucket }),
      new CopyObjectCommand({ Bucket, Key: "a/d", CopySource: `${Bucket}/b` }),
    ]) {
      const said = await refusalOf(other.s3.send(refused as GetObjectCommand));
      expect([DENIED, "403 Unknown"]).toContain(said);
    }
    expect((await unsigned(server(), "GET", `/${Bucket}/a/b`)).said).toBe(DENIED);
  });

  test("who may not list is told of a missing key what is told of any: 403, and else 404", async () => {
    const { Bucket, other } = await stage();
    const allow = { Effect: "Allow", Principal: "*" };
    const read = { ...allow, Action: "s3:GetObject", Resource: arn(Bucket, "*") };
    await putPolicy(sdkFor(server()), Bucket, read);
    expect(await refusalOf(other.s3.send(get(Bucket, "none")))).toBe(DENIED);
    expect((await unsigned(server(), "GET", `/${Bucket}/none`)).said).toBe(DENIED);
    const list = { ...allow, Action: "s3:ListBucket", Resource: arn(Bucket) };
    await putPolicy(sdkFor(server()), Bucket, read, list);
    expect(await refusalOf(other.s3.send(get(Bucket, "none")))).toBe("404 NoSuchKey");
    expect((await unsigned(server(), "GET", `/${Bucket}/none`)).said).toBe("404 NoSuchKey");
  });

  test("let everybody read, list and write where they say so, without any signature", async () => {
    const { Bucket } = await stage();
    const allow = { Effect: "Allow", Principal: "*" };
    await putPolicy(
      sdkFor(server()),
      Bucket,
      { ...allow, Action: ["s3:GetObject"], Resource: arn(Bucket, "*") },
      { ...allow, Action: ["s3:ListBucket"], Resource: arn(Bucket) },
      { ...allow, Action: ["s3:PutObject"], Resource: arn(Bucket, "drop/*") },
    );
    const read = await unsigned(server(), "GET", `/${Bucket}/a/b`);
    expect([read.said, read.body]).toEqual(["200", "hello"]);
    expect((await unsigned(server(), "HEAD", `/${Bucket}`)).said).toBe("200");
    const listed = await unsigned(server(), "GET", `/${Bucket}?list-type=2`);
    expect([listed.said, listed.body]).toEqual(["200", expect.stringContaining("<Key>a/b</Key>")]);
    const put = await unsigned(server(), "PUT", `/${Bucket}/drop/x`, { body: "dropped" });
    expect(put.said).toBe("200");
    for (const [method, path] of [
      ["PUT", `/${Bucket}/elsewhere`],
      ["DELETE", `/${Bucket}/a/b`],
      ["GET", `/${Bucket}?policy`],
      ["DELETE", `/${Bucket}`],
      ["GET", "/"],
    ] as const) {
      expect([path, (await unsigned(server(), method, path)).said]).toEqual([path, DENIED]);
    }
    const tampered = await unsigned(server(), "PUT", `/${Bucket}/drop/y`, {
      body: "dropped",
      headers: { "x-amz-content-sha256": "0".repeat(64) },
    });
    expect(tampered.said).toBe("400 XAmzContentSHA256Mismatch");
    const missing = sdkFor(server()).send(new HeadObjectCommand({ Bucket, Key: "drop/y" }));
    expect(await refusalOf(missing)).toBe("404 NotFound");
  });

  test("answer an anonymous request for other headers as AWS does", async () => {
    const { Bucket } = await stage();
    const allow = { Effect: "Allow", Principal: "*", Action: "s3:GetObject" };
    await putPolicy(sdkFor(server()), Bucket, { ...allow, Resource: arn(Bucket, "*") });
    const path = `/${Bucket}/a/b?response-content-type=text/html`;
    expect((await unsigned(server(), "GET", path)).said).toBe("400 InvalidRequest");
  });

  test("deny everybody but whom they name", async () => {
    const { Bucket, other } = await stage();
    const s3 = sdkFor(server());
    const about = { Action: "s3:GetObject", Resource: arn(Bucket, "*") };
    const allow = { ...about, Effect: "Allow", Principal: "*" };
    const users = [`arn:aws:iam:::user/${other.name}`, "arn:aws:iam::000000000000:root"];
    await putPolicy(s3, Bucket, allow, { ...about, Effect: "Deny", NotPrincipal: { AWS: users } });
    await other.s3.send(get(Bucket));
    await s3.send(get(Bucket));
    expect((await unsigned(server(), "GET", `/${Bucket}/a/b`)).said).toBe(DENIED);
    const wide = { ...about, Effect: "Allow", NotPrincipal: { AWS: users } };
    expect(await refusalOf(putPolicy(s3, Bucket, wide))).toBe("400 MalformedPolicy");
  });

  test("deny even the root key, which can always mend them", async () => {
    const { Bucket } = await stage();
    const s3 = sdkFor(server());
    const deny = { Effect: "Deny", Principal: "*", Action: "s3:*" };
    await putPolicy(s3, Bucket, { ...deny, Resource: [arn(Bucket), arn(Bucket, "*")] });
    expect(await refusalOf(s3.send(get(Bucket)))).toBe(DENIED);
    expect(await refusalOf(s3.send(new ListObjectsV2Command({ Bucket })))).toBe(DENIED);
    await s3.send(new GetBucketPolicyCommand({ Bucket }));
    await s3.send(new DeleteBucketPolicyCommand({ Bucket }));
    await s3.send(get(Bucket));
  });

  test.each([
    ["PutObject without a tag", { Null: { "s3:RequestObjectTag/team": "true" } }, {}, DENIED],
    ["with one", { Null: { "s3:RequestObjectTag/team": "true" } }, { Tagging: "team=a" }, "200"],
    [
      "with more tags than allowed",
      { "ForAnyValue:StringNotEquals": { "s3:RequestObjectTagKeys": ["team"] } },
      { Tagging: "team=a&more=b" },
      DENIED,
    ],
    ["over an open line", { Bool: { "aws:SecureTransport": "false" } }, {}, DENIED],
    ["from here", { IpAddress: { "aws:SourceIp": "127.0.0.0/8" } }, {}, DENIED],
    ["from elsewhere", { NotIpAddress: { "aws:SourceIp": "127.0.0.0/8" } }, {}, "200"],
    ["in the past", { DateLessThan: { "aws:CurrentTime": "2020-01-01T00:00:00Z" } }, {}, "200"],
    ["not only if new", { StringNotEquals: { "s3:if-none-match": "*" } }, {}, DENIED],
    ["only if new", { StringNotEquals: { "s3:if-none-match": "*" } }, { IfNoneMatch: "*" }, "200"],
    [
      "in another class",
      { StringNotEqualsIfExists: { "s3:x-amz-storage-class": "STANDARD" } },
      { StorageClass: "STANDARD_IA" },
      DENIED,
    ],
    ["signed like this", { StringEquals: { "s3:authType": "REST-HEADER" } }, {}, DENIED],
  ] as const)("hold their conditions: %s", async (_name, Condition, input, expected) => {
    const { Bucket } = await stage();
    const s3 = sdkFor(server());
    const deny = { Effect: "Deny", Principal: "*", Action: "s3:PutObject" };
    await putPolicy(s3, Bucket, { ...deny, Resource: arn(Bucket, "*"), Condition });
    const put = s3.send(new PutObjectCommand({ Bucket, Key: "new", Body: "x", ...input }));
    const said = expected === "200" ? `${(await put).$metadata.httpStatusCode}` : refusalOf(put);
    expect(await said).toBe(expected);
  });

  test("look at the tags an object has", async () => {
    const { Bucket, other } = await stage();
    const s3 = sdkFor(server());
    for (const [Key, Tagging] of [
      ["open", "class=public"],
      ["shut", "class=secret"],
    ] as const) {
      await s3.send(new PutObjectCommand({ Bucket, Key, Tagging, Body: "x" }));
    }
    await putPolicy(s3, Bucket, {
      ...{ Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: arn(Bucket, "*") },
      Condition: { StringEquals: { "s3:ExistingObjectTag/class": "public" } },
    });
    await other.s3.send(get(Bucket, "open"));
    expect(await refusalOf(other.s3.send(get(Bucket, "shut")))).toBe(DENIED);
    expect(await refusalOf(other.s3.send(get(Bucket)))).toBe(DENIED);
  });

  test("judge each key of a DeleteObjects, and the source of a copy", async () => {
    const { Bucket, other } = await stage();
    const s3 = sdkFor(server());
    const from = await makeBucket(s3);
    for (const Key of ["public/x", "private/x"]) {
      await s3.send(new PutObjectCommand({ Bucket: from, Key, Body: Key }));
    }
    const Principal = { AWS: [`arn:aws:iam:::user/${other.id}`] };
    const allow = { Effect: "Allow", Principal };
    await putPolicy(s3, from, {
      ...{ ...allow, Action: "s3:GetObject", Resource: arn(from, "*") },
    });
    await putPolicy(
      s3,
      Bucket,
      { ...allow, Action: ["s3:DeleteObject"], Resource: arn(Bucket, "a/*") },
      {
        ...{ ...allow, Action: "s3:PutObject", Resource: arn(Bucket, "*") },
        Condition: { StringLike: { "s3:x-amz-copy-source": `${from}/public/*` } },
      },
    );
    const copy = (CopySource: string) => new CopyObjectCommand({ Bucket, Key: "c", CopySource });
    await other.s3.send(copy(`${from}/public/x`));
    await other.s3.send(copy(`/${from}/public%2Fx`));
    expect(await refusalOf(other.s3.send(copy(`${from}/private/x`)))).toBe(DENIED);
    const Objects = [{ Key: "a/b" }, { Key: "c" }];
    const deleted = await other.s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect(deleted.Deleted?.map(({ Key }) => Key)).toEqual(["a/b"]);
    expect(deleted.Errors).toEqual([expect.objectContaining({ Key: "c", Code: "AccessDenied" })]);
  });

  test("count for presigned URLs too", async () => {
    const { Bucket, other } = await stage();
    const url = await getSignedUrl(other.s3, get(Bucket), { expiresIn: 60 });
    expect((await fetch(url)).status).toBe(403);
    await putPolicy(sdkFor(server()), Bucket, {
      ...{ Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: arn(Bucket, "*") },
      Condition: { StringEquals: { "s3:authType": "REST-QUERY-STRING" } },
    });
    expect((await fetch(url)).status).toBe(200);
    expect(await refusalOf(other.s3.send(get(Bucket)))).toBe(DENIED);
  });

  test("are shut by a public access block when they are public", async () => {
    const { Bucket, other } = await stage();
    const s3 = sdkFor(server());
    const allow = { Effect: "Allow", Action: "s3:GetObject", Resource: arn(Bucket, "*") };
    const everyone = { ...allow, Principal: "*" };
    await putPolicy(s3, Bucket, everyone);
    const block = (PublicAccessBlockConfiguration: object) =>
      s3.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration }));
    await block({ RestrictPublicBuckets: true });
    expect((await unsigned(server(), "GET", `/${Bucket}/a/b`)).said).toBe(DENIED);
    await other.s3.send(get(Bucket));
    await block({ BlockPublicPolicy: true });
    expect((await unsigned(server(), "GET", `/${Bucket}/a/b`)).said).toBe("200");
    expect(await refusalOf(putPolicy(s3, Bucket, everyone))).toBe(DENIED);
    const narrow = { IpAddress: { "aws:SourceIp": "127.0.0.1" } };
    await putPolicy(s3, Bucket, { ...everyone, Condition: narrow });
  });
});

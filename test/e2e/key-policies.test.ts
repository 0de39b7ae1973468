import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  GetBucketPolicyCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  PutBucketAclCommand,
  PutBucketPolicyCommand,
  PutObjectAclCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  arn,
  atollJson,
  makeBucketWith,
  makeOtherKey,
  type OtherKey,
  putPolicy,
  unsigned,
} from "../support/access.ts";
import { runProgram } from "../support/run-program.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import {
  ENGINES,
  MAIN,
  ROOT_KEY,
  startServer,
  type TestServer,
  useServer,
} from "../support/server.ts";

const DENIED = "403 AccessDenied";

describe.each(ENGINES)("policies of keys on %s", (engine) => {
  const server = useServer({ engine });

  function policyFile(policy: unknown): string {
    const path = join(server().dataDirectory, "policy.json");
    writeFileSync(path, JSON.stringify(policy));
    return path;
  }

  const admin = (...typed: string[]) => atollJson(server(), ...typed);

  test("are in force as soon as the command ends, and gone as soon", async () => {
    const Bucket = await makeBucket(sdkFor(server()));
    const other = await makeOtherKey(server());
    const put = (Key: string) => new PutObjectCommand({ Bucket, Key, Body: "x" });
    expect(await refusalOf(other.s3.send(put(`${other.name}/a`)))).toBe(DENIED);
    const file = policyFile({
      Version: "2012-10-17",
      Statement: {
        ...{ Sid: "Home", Effect: "Allow", Action: "s3:PutObject" },
        Resource: arn(Bucket, `\${aws:username}/*`),
      },
    });
    const given = await admin("keys", "policy", "put", other.id, "home", file);
    expect(given["policies"]).toContain("home");
    await other.s3.send(put(`${other.name}/a`));
    expect(await refusalOf(other.s3.send(put("elsewhere/a")))).toBe(DENIED);
    const shown = await admin("keys", "policy", "get", other.id, "home");
    expect(shown["policy"]).toMatchObject({ Statement: { Sid: "Home" } });
    const question = ["--key", other.id, "--action", "s3:PutObject", "--bucket", Bucket];
    const yes = await admin("policy", "test", ...question, "--object", `${other.name}/b`);
    expect(yes).toMatchObject({
      ...{ allowed: true, reason: "allowed" },
      statement: { policy: "home", number: 1, sid: "Home", effect: "Allow" },
    });
    const no = await admin("policy", "test", ...question, "--object", "elsewhere/b");
    expect(no).toMatchObject({ allowed: false, reason: "no-allow" });
    await admin("keys", "policy", "delete", other.id, "home");
    expect(await refusalOf(other.s3.send(put(`${other.name}/a`)))).toBe(DENIED);
  });

  test("that cannot be used are refused, and say why", async () => {
    const other = await makeOtherKey(server());
    const file = policyFile({
      Statement: { Effect: "Allow", Principal: "*", Action: "s3:*", Resource: "*" },
    });
    const put = ["keys", "policy", "put", other.id, "p", file, "--data", server().dataDirectory];
    const refused = await runProgram(process.execPath, [MAIN, ...put]);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain("should not specify a principal");
    const validate = [MAIN, "policy", "validate", file, "--data", server().dataDirectory];
    expect((await runProgram(process.execPath, validate)).status).toBe(1);
    const forBucket = await runProgram(process.execPath, [...validate, "--bucket", "photos"]);
    expect([forBucket.status, forBucket.stdout]).toEqual([0, "The policy is fine.\n"]);
  });

  test("are explained together with those of the bucket, for nobody in particular too", async () => {
    const Bucket = await makeBucket(sdkFor(server()));
    const about = ["--action", "s3:GetObject", "--bucket", Bucket, "--object", "a"];
    expect(await admin("policy", "test", "--anonymous", ...about)).toMatchObject({
      reason: "no-allow",
    });
    await putPolicy(sdkFor(server()), Bucket, {
      ...{ Sid: "Near", Effect: "Deny", Principal: "*", Action: "s3:GetObject" },
      ...{ Resource: arn(Bucket, "*"), Condition: { Bool: { "aws:SecureTransport": "false" } } },
    });
    const denied = await admin("policy", "test", "--key", ROOT_KEY.accessKey, ...about);
    expect(denied).toMatchObject({
      ...{ allowed: false, reason: "explicit-deny" },
      statement: { policy: "the bucket's policy", number: 1, sid: "Near", effect: "Deny" },
    });
    const secure = ["--with", "aws:SecureTransport=true"];
    const root = await admin("policy", "test", "--key", ROOT_KEY.accessKey, ...about, ...secure);
    expect(root).toMatchObject({ allowed: true, reason: "root" });
  });

  test("that grant what a key has made itself keep it out of everything else", async () => {
    const key = await admin("keys", "create", "--grant", "own");
    const credentials = {
      accessKeyId: String(key["access_key"]),
      secretAccessKey: String(key["secret_key"]),
    };
    const tenant = sdkFor(server(), { credentials });
    const foreign = await makeBucket(sdkFor(server()));
    const lockable = { ObjectLockEnabledForBucket: true, ObjectOwnership: "ObjectWriter" } as const;
    const own = await makeBucketWith(tenant, { ACL: "public-read", ...lockable });
    await tenant.send(new PutObjectCommand({ Bucket: own, Key: "a", Body: "x" }));
    await tenant.send(new PutBucketAclCommand({ Bucket: own, ACL: "private" }));
    const { Buckets } = await tenant.send(new ListBucketsCommand({}));
    expect(Buckets?.map(({ Name }) => Name)).toEqual([own]);
    const put = new PutObjectCommand({ Bucket: foreign, Key: "a", Body: "x" });
    expect(await refusalOf(tenant.send(put))).toBe(DENIED);
    expect(await refusalOf(tenant.send(new HeadBucketCommand({ Bucket: foreign })))).toMatch(
      /^403/,
    );
    const nowhere = new PutObjectCommand({ Bucket: `${foreign}-gone`, Key: "a", Body: "x" });
    expect(await refusalOf(tenant.send(nowhere))).toBe("404 NoSuchBucket");
    const again = tenant.send(new CreateBucketCommand({ Bucket: foreign }));
    expect(await refusalOf(again)).toBe("409 BucketAlreadyExists");
    const removed = tenant.send(new DeleteBucketCommand({ Bucket: foreign }));
    expect(await refusalOf(removed)).toBe(DENIED);
  });
});

describe("what is said about access", () => {
  let server: TestServer;
  let other: OtherKey;
  let Bucket: string;

  beforeAll(async () => {
    server = await startServer();
    other = await makeOtherKey(server);
    const s3 = sdkFor(server);
    Bucket = await makeBucketWith(s3, { ACL: "public-read" });
    await s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "x" }));
    await s3.send(new PutObjectAclCommand({ Bucket, Key: "a", ACL: "public-read" }));
    await putPolicy(s3, Bucket, {
      ...{ Effect: "Deny", Principal: { AWS: `arn:aws:iam:::user/${other.name}` } },
      ...{ Action: "s3:GetObject", Resource: arn(Bucket, "*") },
    });
  });

  afterAll(async () => {
    await server.stop();
    rmSync(server.dataDirectory, { recursive: true, force: true });
  });

  async function expectInForce(): Promise<void> {
    expect((await unsigned(server, "GET", `/${Bucket}`)).said).toBe("200");
    expect((await unsigned(server, "GET", `/${Bucket}/a`)).said).toBe("200");
    const get = other.s3.send(new GetObjectCommand({ Bucket, Key: "a" }));
    expect(await refusalOf(get)).toBe(DENIED);
    const { Policy } = await sdkFor(server).send(new GetBucketPolicyCommand({ Bucket }));
    expect(JSON.parse(Policy ?? "")).toMatchObject({ Statement: [{ Effect: "Deny" }] });
  }

  test("survives a kill, and an index built anew", async () => {
    await expectInForce();
    const { dataDirectory } = server;
    const clients = { root: sdkFor(server), other };
    await server.kill("SIGKILL");
    const typed = [MAIN, "rebuild-index", "--data", dataDirectory];
    expect((await runProgram(process.execPath, typed)).status).toBe(0);
    server = await startServer({ dataDirectory });
    other = { ...clients.other, s3: sdkFor(server, { credentials: other.s3.config.credentials }) };
    await expectInForce();
  });

  test("is the last one said, when many say it at once", async () => {
    const s3 = sdkFor(server);
    const put = (Sid: string) => {
      const statement = { Sid, Effect: "Allow", Principal: "*", Action: "s3:GetObject" };
      const Statement = [{ ...statement, Resource: arn(Bucket, "*") }];
      const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
      return s3.send(new PutBucketPolicyCommand({ Bucket, Policy }));
    };
    await Promise.all(Array.from({ length: 20 }, (_, at) => put(`S${at}`)));
    const { Policy } = await s3.send(new GetBucketPolicyCommand({ Bucket }));
    expect(JSON.parse(Policy ?? "").Statement[0].Sid).toMatch(/^S\d+$/);
    await put("Last");
    const last = await s3.send(new GetBucketPolicyCommand({ Bucket }));
    expect(last.Policy).toContain('"Last"');
  });
});

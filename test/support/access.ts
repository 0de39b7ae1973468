import { CreateBucketCommand, PutBucketPolicyCommand, type S3Client } from "@aws-sdk/client-s3";
import { expect } from "vitest";
import { runProgram } from "./run-program.ts";
import { sdkFor } from "./sdk.ts";
import { MAIN, type TestServer } from "./server.ts";

/** What `atoll … --json` answers; it has to succeed. */
export async function atollJson(
  server: Pick<TestServer, "dataDirectory">,
  ...typed: readonly string[]
): Promise<Record<string, unknown>> {
  const args = [MAIN, ...typed, "--data", server.dataDirectory, "--json"];
  const { status, stdout, stderr } = await runProgram(process.execPath, args);
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

export type OtherKey = { readonly id: string; readonly name: string; readonly s3: S3Client };

let keysMade = 0;

/** A key that may do nothing but what policies of buckets let it. */
export async function makeOtherKey(server: TestServer): Promise<OtherKey> {
  keysMade += 1;
  const name = `other-${process.pid}-${keysMade}`;
  const bound = ["--grant", "read", "--bucket", "no-such-bucket-ever"];
  const key = await atollJson(server, "keys", "create", "--name", name, ...bound);
  const accessKeyId = String(key["access_key"]);
  const secretAccessKey = String(key["secret_key"]);
  const s3 = sdkFor(server, { credentials: { accessKeyId, secretAccessKey } });
  return { id: accessKeyId, name, s3 };
}

/** Puts a policy of these statements on a bucket. */
export async function putPolicy(
  s3: S3Client,
  Bucket: string,
  ...statements: readonly object[]
): Promise<void> {
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: statements });
  await s3.send(new PutBucketPolicyCommand({ Bucket, Policy }));
}

export const arn = (bucket: string, key?: string): string =>
  `arn:aws:s3:::${bucket}${key === undefined ? "" : `/${key}`}`;

/** Status and S3 code of a request that nobody signed. */
export async function unsigned(
  server: TestServer,
  method: string,
  path: string,
  request: { readonly body?: string; readonly headers?: Record<string, string> } = {},
): Promise<{ readonly said: string; readonly body: string; readonly headers: Headers }> {
  const answer = await fetch(server.endpoint + path, { method, ...request });
  const body = await answer.text();
  const code = /<Code>([^<]*)<\/Code>/.exec(body)?.[1] ?? "";
  return { said: `${answer.status} ${code}`.trim(), body, headers: answer.headers };
}

let bucketsMade = 0;

/** Makes a bucket with what CreateBucket can be told. */
export async function makeBucketWith(
  s3: S3Client,
  input: Omit<ConstructorParameters<typeof CreateBucketCommand>[0], "Bucket">,
): Promise<string> {
  bucketsMade += 1;
  const Bucket = `access-${process.pid}-${bucketsMade}`;
  await s3.send(new CreateBucketCommand({ Bucket, ...input }));
  return Bucket;
}

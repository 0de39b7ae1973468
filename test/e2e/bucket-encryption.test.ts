import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteBucketEncryptionCommand,
  GetBucketEncryptionCommand,
  HeadObjectCommand,
  PutBucketEncryptionCommand,
  PutObjectCommand,
  type S3Client,
  type ServerSideEncryptionRule,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const AES256_RULE: ServerSideEncryptionRule = {
  ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" },
};
const CUSTOMER = {
  SSECustomerAlgorithm: "AES256",
  SSECustomerKey: patternBytes(32, 5).toString("base64"),
};

function putRule(s3: S3Client, Bucket: string, rule: ServerSideEncryptionRule) {
  const ServerSideEncryptionConfiguration = { Rules: [rule] };
  return s3.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration }));
}

describe.each(ENGINES)("the encryption of buckets on %s", (engine) => {
  const server = useServer({ engine });

  test("is told as it was put, and nothing is told of a bucket without", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const get = () => s3.send(new GetBucketEncryptionCommand({ Bucket }));
    const absent = "404 ServerSideEncryptionConfigurationNotFoundError";
    expect(await refusalOf(get())).toBe(absent);
    for (const rule of [
      AES256_RULE,
      { ...AES256_RULE, BucketKeyEnabled: false },
      { ...AES256_RULE, BlockedEncryptionTypes: { EncryptionType: ["SSE-C" as const] } },
    ]) {
      await putRule(s3, Bucket, rule);
      expect((await get()).ServerSideEncryptionConfiguration?.Rules).toEqual([rule]);
    }
    const gone = await s3.send(new DeleteBucketEncryptionCommand({ Bucket }));
    expect(gone.$metadata.httpStatusCode).toBe(204);
    expect(await refusalOf(get())).toBe(absent);
    await s3.send(new DeleteBucketEncryptionCommand({ Bucket }));
  });

  test("holds for puts, copies and uploads that say nothing, from then on", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const headOf = async (Key: string) =>
      (await s3.send(new HeadObjectCommand({ Bucket, Key }))).ServerSideEncryption;
    await s3.send(new PutObjectCommand({ Bucket, Key: "before", Body: "a" }));
    await putRule(s3, Bucket, AES256_RULE);
    const put = await s3.send(new PutObjectCommand({ Bucket, Key: "after", Body: "a" }));
    expect(put.ServerSideEncryption).toBe("AES256");
    const copied = await s3.send(
      new CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/before` }),
    );
    expect(copied.ServerSideEncryption).toBe("AES256");
    const begun = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "parts" }));
    expect(begun.ServerSideEncryption).toBe("AES256");
    expect(await headOf("before")).toBeUndefined();
    const onItself = { Bucket, Key: "before", CopySource: `${Bucket}/before` };
    await s3.send(new CopyObjectCommand(onItself));
    expect(await headOf("before")).toBe("AES256");
    expect(await headOf("after")).toBe("AES256");
    await s3.send(new DeleteBucketEncryptionCommand({ Bucket }));
    const later = await s3.send(new PutObjectCommand({ Bucket, Key: "later", Body: "a" }));
    expect(later.ServerSideEncryption).toBeUndefined();
    expect(await headOf("after")).toBe("AES256");
  });

  test("gives way to a client's key, unless that is what it blocks", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await putRule(s3, Bucket, AES256_RULE);
    const put = (Key: string) =>
      s3.send(new PutObjectCommand({ Bucket, Key, Body: "a", ...CUSTOMER }));
    const stored = await put("theirs");
    expect([stored.SSECustomerAlgorithm, stored.ServerSideEncryption]).toEqual([
      "AES256",
      undefined,
    ]);
    const EncryptionType = ["SSE-C" as const];
    await putRule(s3, Bucket, { ...AES256_RULE, BlockedEncryptionTypes: { EncryptionType } });
    expect(await refusalOf(put("more"))).toBe("403 AccessDenied");
    await s3.send(new HeadObjectCommand({ Bucket, Key: "theirs", ...CUSTOMER }));
  });

  const document = (inside: string) =>
    `<ServerSideEncryptionConfiguration>${inside}</ServerSideEncryptionConfiguration>`;
  const rule = (inside: string) =>
    document(
      `<Rule><ApplyServerSideEncryptionByDefault>${inside}</ApplyServerSideEncryptionByDefault></Rule>`,
    );

  test.each([
    ["", 400, "MissingRequestBodyError"],
    ["no xml", 400, "MalformedXML"],
    [document(""), 400, "MalformedXML"],
    [document("<Rule></Rule>"), 400, "MalformedXML"],
    [rule(""), 400, "MalformedXML"],
    [rule("<SSEAlgorithm>AES128</SSEAlgorithm>"), 400, "MalformedXML"],
    [rule("<SSEAlgorithm>AES256</SSEAlgorithm>").repeat(2), 400, "MalformedXML"],
    [rule("<SSEAlgorithm>AES256</SSEAlgorithm><Other>1</Other>"), 400, "MalformedXML"],
    [
      rule("<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>a</KMSMasterKeyID>"),
      400,
      "InvalidArgument",
    ],
    [rule("<SSEAlgorithm>aws:kms</SSEAlgorithm>"), 501, "NotImplemented"],
  ])("%j is refused with %i %s", async (body, status, code) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const request = { method: "PUT", path: `/${Bucket}?encryption`, body };
    const answer = await sendSigned(server(), request);
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(await refusalOf(s3.send(new GetBucketEncryptionCommand({ Bucket })))).toMatch(/^404 /);
  });
});

import { createHash } from "node:crypto";
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { postForm, signedFields } from "../support/forms.ts";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";
import { standsOnDisk } from "../support/stored-bytes.ts";

const MIB = 1024 * 1024;

const digestOf = (bytes: Uint8Array) => createHash("md5").update(bytes).digest();
const RIGHT = patternBytes(32, 61);
const WRONG = patternBytes(32, 62);
const withKey = (key: Buffer) => ({
  SSECustomerAlgorithm: "AES256",
  SSECustomerKey: key.toString("base64"),
});
const fromKey = (key: Buffer) => ({
  CopySourceSSECustomerAlgorithm: "AES256",
  CopySourceSSECustomerKey: key.toString("base64"),
});
const MINE = withKey(RIGHT);
const MD5 = digestOf(RIGHT).toString("base64");

async function read(
  s3: S3Client,
  input: { Bucket: string; Key: string; Range?: string; PartNumber?: number },
  key: Buffer = RIGHT,
) {
  const got = await s3.send(new GetObjectCommand({ ...input, ...withKey(key) }));
  return { got, bytes: Buffer.from((await got.Body?.transformToByteArray()) ?? []) };
}

/** The three headers, as a client writes them. */
function keyHeaders(key: Buffer, prefix = "x-amz-server-side-encryption-customer-") {
  return {
    [`${prefix}algorithm`]: "AES256",
    [`${prefix}key`]: key.toString("base64"),
    [`${prefix}key-MD5`]: digestOf(key).toString("base64"),
  };
}

describe.each(ENGINES)("objects encrypted with keys of clients on %s", (engine) => {
  const server = useServer({ engine });

  test.each([0, 100, 128 * 1024, 5 * MIB + 1])("%i bytes come back for their key", async (size) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Body = patternBytes(size, size + 71);
    const put = await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body, ...MINE }));
    expect([put.SSECustomerAlgorithm, put.SSECustomerKeyMD5]).toEqual(["AES256", MD5]);
    expect(put.ETag).toMatch(/^"[0-9a-f]{32}"$/);
    expect(put.ETag).not.toBe(`"${digestOf(Body).toString("hex")}"`);
    const { got, bytes } = await read(s3, { Bucket, Key: "k" });
    expect([got.SSECustomerAlgorithm, got.SSECustomerKeyMD5]).toEqual(["AES256", MD5]);
    expect([got.ETag, got.ServerSideEncryption]).toEqual([put.ETag, undefined]);
    expect(bytes.equals(Body)).toBe(true);
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "k", ...MINE }));
    expect([head.ContentLength, head.SSECustomerKeyMD5]).toEqual([size, MD5]);
  });

  test("without the key, or with another, there is neither body nor description", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const at = { Bucket, Key: "k" };
    await s3.send(new PutObjectCommand({ ...at, Body: "text", ...MINE }));
    const get = (more: object) => refusalOf(s3.send(new GetObjectCommand({ ...at, ...more })));
    const head = (more: object) => refusalOf(s3.send(new HeadObjectCommand({ ...at, ...more })));
    expect(await get({})).toBe("400 InvalidRequest");
    expect(await get({ Range: "bytes=0-0" })).toBe("400 InvalidRequest");
    expect(await head({})).toMatch(/^400 /);
    expect(await get(withKey(WRONG))).toBe("403 AccessDenied");
    expect(await head(withKey(WRONG))).toMatch(/^403 /);
    const asked = { ...at, ObjectAttributes: ["ObjectSize"] as const };
    const attributes = (more: object) =>
      s3.send(
        new GetObjectAttributesCommand({ ...asked, ObjectAttributes: ["ObjectSize"], ...more }),
      );
    expect(await refusalOf(attributes({}))).toBe("400 InvalidRequest");
    expect((await attributes(MINE)).ObjectSize).toBe(4);
    const copy = { Bucket, Key: "to", CopySource: `${Bucket}/k` };
    expect(await refusalOf(s3.send(new CopyObjectCommand(copy)))).toBe("400 InvalidRequest");
    const wrong = new CopyObjectCommand({ ...copy, ...fromKey(WRONG) });
    expect(await refusalOf(s3.send(wrong))).toBe("403 AccessDenied");
  });

  test("a key for an object that has none of its own is refused", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "plain", Body: "a" }));
    const sealed = { Bucket, Key: "sealed", Body: "a", ServerSideEncryption: "AES256" } as const;
    await s3.send(new PutObjectCommand(sealed));
    for (const Key of ["plain", "sealed"]) {
      expect(await refusalOf(read(s3, { Bucket, Key }))).toBe("400 InvalidRequest");
    }
  });

  test.each([
    ["algorithm", undefined, "InvalidArgument"],
    ["algorithm", "AES128", "InvalidEncryptionAlgorithmError"],
    ["key", undefined, "InvalidArgument"],
    ["key", WRONG.toString("base64"), "InvalidArgument"],
    ["key", RIGHT.subarray(1).toString("base64"), "InvalidArgument"],
    ["key", "not base64 at all", "InvalidArgument"],
    ["key-MD5", undefined, "InvalidArgument"],
    ["key-MD5", digestOf(WRONG).toString("base64"), "InvalidArgument"],
  ])("a PUT whose %s is %s is refused with 400 %s", async (part, value, code) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const name = `x-amz-server-side-encryption-customer-${part}`;
    const headers: Record<string, string> = { ...keyHeaders(RIGHT) };
    if (value === undefined) delete headers[name];
    else headers[name] = value;
    const request = { method: "PUT", path: `/${Bucket}/k`, headers, body: "text" };
    const answer = await sendSigned(server(), request);
    expect([answer.status, answer.code]).toEqual([400, code]);
    expect(answer.body).not.toContain(
      headers["x-amz-server-side-encryption-customer-key"] ?? "no key",
    );
    const missing = await refusalOf(s3.send(new HeadObjectCommand({ Bucket, Key: "k" })));
    expect(missing).toBe("404 NotFound");
  });

  test.each(["AES256", "aws:kms"])("a client's key does not go with %s", async (algorithm) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const headers = { ...keyHeaders(RIGHT), "x-amz-server-side-encryption": algorithm };
    const request = { method: "PUT", path: `/${Bucket}/k`, headers, body: "text" };
    const answer = await sendSigned(server(), request);
    expect([answer.status, answer.code]).toEqual([400, "InvalidArgument"]);
  });

  test("every part comes with the key of its upload", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const begun = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "k", ...MINE }));
    expect(begun.SSECustomerKeyMD5).toBe(MD5);
    const upload = { Bucket, Key: "k", UploadId: begun.UploadId ?? "" };
    const bodies = [patternBytes(5 * MIB, 81), patternBytes(70_000, 82)];
    const send = (PartNumber: number, key: object) =>
      s3.send(
        new UploadPartCommand({
          ...upload,
          PartNumber,
          Body: bodies[PartNumber - 1] ?? "",
          ...key,
        }),
      );
    expect(await refusalOf(send(2, {}))).toBe("400 InvalidRequest");
    expect(await refusalOf(send(2, withKey(WRONG)))).toBe("400 InvalidRequest");
    const Parts: Array<{ PartNumber: number; ETag: string | undefined }> = [];
    for (const PartNumber of [1, 2]) {
      const sent = await send(PartNumber, MINE);
      expect(sent.SSECustomerKeyMD5).toBe(MD5);
      Parts.push({ PartNumber, ETag: sent.ETag });
    }
    const complete = (key: object) =>
      s3.send(
        new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts }, ...key }),
      );
    expect(await refusalOf(complete(withKey(WRONG)))).toBe("400 InvalidRequest");
    const done = await complete({});
    expect(done.ETag).toMatch(/^"[0-9a-f]{32}-2"$/);
    const whole = Buffer.concat(bodies);
    expect((await read(s3, { Bucket, Key: "k" })).bytes.equals(whole)).toBe(true);
    const across = await read(s3, {
      Bucket,
      Key: "k",
      Range: `bytes=${5 * MIB - 5}-${5 * MIB + 4}`,
    });
    expect(across.bytes.equals(whole.subarray(5 * MIB - 5, 5 * MIB + 5))).toBe(true);
    const last = await read(s3, { Bucket, Key: "k", PartNumber: 2 });
    expect(bodies[1]?.equals(last.bytes)).toBe(true);
    expect(await refusalOf(read(s3, { Bucket, Key: "k" }, WRONG))).toBe("403 AccessDenied");
  });

  test("an upload in the clear takes no key with its parts", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const begun = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "k" }));
    const part = { Bucket, Key: "k", UploadId: begun.UploadId ?? "", PartNumber: 1, Body: "a" };
    const refused = s3.send(new UploadPartCommand({ ...part, ...MINE }));
    expect(await refusalOf(refused)).toBe("400 InvalidRequest");
  });

  test.each([64, 5 * MIB])(
    "a copy of %i bytes changes from key to key, and to none",
    async (size) => {
      const s3 = sdkFor(server());
      const Bucket = await makeBucket(s3);
      const Body = patternBytes(size, size + 91);
      await s3.send(new PutObjectCommand({ Bucket, Key: "first", Body, ...MINE }));
      const copy = (from: string, Key: string, more: object) =>
        s3.send(new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${from}`, ...more }));
      const second = await copy("first", "second", { ...fromKey(RIGHT), ...withKey(WRONG) });
      expect(second.SSECustomerKeyMD5).toBe(digestOf(WRONG).toString("base64"));
      expect((await read(s3, { Bucket, Key: "second" }, WRONG)).bytes.equals(Body)).toBe(true);
      expect(await refusalOf(read(s3, { Bucket, Key: "second" }))).toBe("403 AccessDenied");
      await copy("second", "ours", { ...fromKey(WRONG), ServerSideEncryption: "AES256" });
      await copy("ours", "theirs", MINE);
      expect((await read(s3, { Bucket, Key: "theirs" })).bytes.equals(Body)).toBe(true);
      const clear = await copy("theirs", "clear", fromKey(RIGHT));
      expect(clear.CopyObjectResult?.ETag).toBe(`"${digestOf(Body).toString("hex")}"`);
      const got = await s3.send(new GetObjectCommand({ Bucket, Key: "clear" }));
      expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(Body)).toBe(true);
    },
  );

  test("a part is copied out of an object with one key into an upload with another", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Body = patternBytes(200_000, 95);
    await s3.send(new PutObjectCommand({ Bucket, Key: "from", Body, ...MINE }));
    const theirs = withKey(WRONG);
    const begun = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "to", ...theirs }));
    const upload = { Bucket, Key: "to", UploadId: begun.UploadId ?? "" };
    const copy = {
      ...{ ...upload, PartNumber: 1, CopySource: `${Bucket}/from` },
      CopySourceRange: "bytes=65000-130999",
    };
    const without = new UploadPartCopyCommand({ ...copy, ...theirs });
    expect(await refusalOf(s3.send(without))).toBe("400 InvalidRequest");
    const copied = await s3.send(
      new UploadPartCopyCommand({ ...copy, ...theirs, ...fromKey(RIGHT) }),
    );
    const Parts = [{ PartNumber: 1, ETag: copied.CopyPartResult?.ETag }];
    await s3.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }));
    const { bytes } = await read(s3, { Bucket, Key: "to" }, WRONG);
    expect(bytes.equals(Body.subarray(65_000, 131_000))).toBe(true);
  });

  test("a form brings a key along as a PUT does", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const fields = Object.entries(keyHeaders(RIGHT));
    const conditions = [{ bucket: Bucket }, { key: "k" }];
    const named = fields.map(([name, value]) => ({ [name]: value }));
    const signed = signedFields([...conditions, ...named]);
    const form = { fields: [["key", "k"] as const, ...fields, ...signed], file: "content" };
    const answer = await postForm(server(), Bucket, form);
    expect([answer.status, answer.body]).toEqual([204, ""]);
    expect(answer.headers["x-amz-server-side-encryption-customer-key-md5"]).toBe(MD5);
    expect((await read(s3, { Bucket, Key: "k" })).bytes.toString()).toBe("content");
    expect(await refusalOf(read(s3, { Bucket, Key: "k" }, WRONG))).toBe("403 AccessDenied");
  });

  test("neither log nor disk tell a client's key", () => {
    expect(standsOnDisk(server().dataDirectory, RIGHT)).toBe(false);
    expect(server().log()).not.toContain(RIGHT.toString("base64"));
    expect(server().log()).not.toContain(WRONG.toString("base64"));
  });
});

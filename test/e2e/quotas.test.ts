import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { runProgram } from "../support/run-program.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const MAIN = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "dist", "main.cjs");
const MIB = 1024 * 1024;
const EXCEEDED = "403 QuotaExceeded";

describe.each(ENGINES)("quotas of buckets on %s", (engine) => {
  const server = useServer({ engine });
  let s3: S3Client;
  let Bucket = "";

  beforeAll(() => {
    s3 = sdkFor(server());
  });

  beforeEach(async () => {
    Bucket = await makeBucket(s3);
  });

  function atoll(...args: string[]) {
    const typed = [MAIN, "quota", ...args, "--data", server().dataDirectory];
    return runProgram(process.execPath, typed);
  }

  async function told(...args: string[]): Promise<Record<string, unknown>> {
    const { status, stdout, stderr } = await atoll(...args, "--json");
    expect([status, stderr]).toEqual([0, ""]);
    return JSON.parse(stdout);
  }

  const put = (Key: string, bytes: number) =>
    s3.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(bytes, "x") }));

  test("are set, shown, listed and removed", async () => {
    await put("a", 100);
    const set = await told("set", Bucket, "--bytes", "1KiB", "--objects", "5");
    const used = { bucket: Bucket, used_bytes: 100, used_objects: 1 };
    expect(set).toMatchObject({ ...used, bytes: 1024, objects: 5 });
    expect(await told("show", Bucket)).toMatchObject({ ...used, bytes: 1024, objects: 5 });
    const listed = await told("list");
    expect(listed["quotas"]).toContainEqual({ ...used, bytes: 1024, objects: 5 });
    const removed = await told("remove", Bucket);
    expect(removed).toMatchObject(used);
    expect(removed["bytes"]).toBeUndefined();
    const left = (await told("list"))["quotas"];
    expect(JSON.stringify(left)).not.toContain(`"${Bucket}"`);
    expect((await atoll("show", Bucket)).stdout).toContain("100 of unlimited");
  });

  test("of a key bound all buckets that it makes, whoever writes to them", async () => {
    const granted = await runProgram(process.execPath, [
      ...[MAIN, "keys", "create", "--grant", "own", "--json", "--data", server().dataDirectory],
    ]);
    const pair = JSON.parse(granted.stdout);
    const own = sdkFor(server(), {
      credentials: { accessKeyId: pair.access_key, secretAccessKey: pair.secret_key },
    });
    const buckets = [await makeBucket(own), await makeBucket(own)];
    const write = (client: S3Client, at: number, bytes: number) =>
      client.send(
        new PutObjectCommand({ Bucket: buckets[at], Key: "a", Body: Buffer.alloc(bytes) }),
      );
    const set = await told("set", "--key", pair.access_key, "--bytes", "300000");
    expect(set).toMatchObject({ access_key: pair.access_key, buckets: 2, used_bytes: 0 });
    await write(own, 0, 200_000);
    expect(await refusalOf(write(own, 1, 100_001))).toBe(EXCEEDED);
    expect(await refusalOf(write(s3, 1, 100_001))).toBe(EXCEEDED);
    await write(s3, 1, 100_000);
    await put("of-root", 300_001);
    const listed = (await told("list"))["keys"];
    const shown = { access_key: pair.access_key, buckets: 2, bytes: 300_000 };
    expect(listed).toEqual([{ ...shown, used_bytes: 300_000, used_objects: 2 }]);
    expect((await atoll("list")).stdout).toContain(`${pair.access_key}  300000`);
    expect((await atoll("show", "--key", pair.access_key)).stdout).toContain("300000 of 300000");
    const removed = await told("remove", "--key", pair.access_key);
    expect(removed["bytes"]).toBeUndefined();
    await write(own, 1, 300_001);
  });

  test("refuse small and large bodies, copies and appends, and take what fits", async () => {
    await put("source", 300_000);
    await told("set", Bucket, "--bytes", "600000");
    expect(await refusalOf(put("a", 300_001))).toBe(EXCEEDED);
    await put("small", 1000);
    const copy = new CopyObjectCommand({ Bucket, Key: "b", CopySource: `${Bucket}/source` });
    expect(await refusalOf(s3.send(copy))).toBe(EXCEEDED);
    const grow = (WriteOffsetBytes: number, bytes: number) =>
      s3.send(
        new PutObjectCommand({
          ...{ Bucket, Key: "small", WriteOffsetBytes, Body: Buffer.alloc(bytes, "y") },
        }),
      );
    expect(await refusalOf(grow(1000, 299_001))).toBe(EXCEEDED);
    await grow(1000, 299_000);
    expect(await refusalOf(put("c", 1))).toBe(EXCEEDED);
    await put("source", 300_000);
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "source" }));
    await put("c", 300_000);
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket }));
    expect(Contents.map(({ Key, Size }) => [Key, Size])).toEqual([
      ["c", 300_000],
      ["small", 300_000],
    ]);
  });

  test("refuse parts that alone are too large, and uploads that all together are", async () => {
    await told("set", Bucket, "--bytes", String(9 * MIB));
    const place = { Bucket, Key: "a" };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(place));
    const part = (PartNumber: number, bytes: number) =>
      s3.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body: Buffer.alloc(bytes) }));
    expect(await refusalOf(part(1, 9 * MIB + 1))).toBe(EXCEEDED);
    const parts = [await part(1, 5 * MIB), await part(2, 5 * MIB)];
    const Parts = parts.map(({ ETag }, at) => ({ ETag, PartNumber: at + 1 }));
    const complete = (count: number) =>
      s3.send(
        new CompleteMultipartUploadCommand({
          ...{ ...place, UploadId, MultipartUpload: { Parts: Parts.slice(0, count) } },
        }),
      );
    expect(await refusalOf(complete(2))).toBe(EXCEEDED);
    expect(await refusalOf(s3.send(new HeadObjectCommand(place)))).toBe("404 NotFound");
    await complete(1);
    const again = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "b" }));
    const copy = new UploadPartCopyCommand({
      ...{ Bucket, Key: "b", UploadId: again.UploadId, PartNumber: 1 },
      CopySource: `${Bucket}/a`,
    });
    expect(await refusalOf(s3.send(copy))).toBe(EXCEEDED);
  });

  test("answer with the code and the bucket, and store nothing", async () => {
    await told("set", Bucket, "--objects", "0");
    const answer = await sendSigned(server(), { method: "PUT", path: `/${Bucket}/a`, body: "x" });
    expect([answer.status, answer.code]).toEqual([403, "QuotaExceeded"]);
    expect(answer.body).toContain(`<BucketName>${Bucket}</BucketName>`);
    expect(answer.body).toContain("at most 0 objects");
    expect(await refusalOf(s3.send(new HeadObjectCommand({ Bucket, Key: "a" })))).toBe(
      "404 NotFound",
    );
  });

  test.each([
    [["set", "BUCKET"]],
    [["set", "BUCKET", "--bytes", "many"]],
    [["set", "BUCKET", "--bytes", "-1"]],
    [["set", "BUCKET", "--bytes", "9999999TiB"]],
    [["set", "BUCKET", "--objects", "1.5"]],
    [["set", "no-such-bucket", "--objects", "1"]],
    [["set", "--objects", "1"]],
    [["set", "BUCKET", "--key", "ATOLEXAMPLE", "--objects", "1"]],
    [["set", "--key", "no-such-key", "--objects", "1"]],
    [["set", "--key", "../x", "--objects", "1"]],
    [["show", "--key", ""]],
    [["show", "no-such-bucket"]],
    [["remove", "../x"]],
  ] as const)("%j is told what is wrong, and changes nothing", async (args) => {
    const finished = await atoll(...args.map((word) => word.replace("BUCKET", Bucket)));
    expect([finished.status, finished.stdout]).toEqual([2, ""]);
    expect(finished.stderr).not.toBe("");
    await put("a", 1);
  });
});

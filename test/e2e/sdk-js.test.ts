import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { patternBytes } from "../support/sdk.ts";
import { ENGINES, REGION, ROOT_KEY, type TestServer, useServer } from "../support/server.ts";

const MIB = 1024 * 1024;

/** Nothing set but where to go and who to be. */
function plainClient(server: TestServer): S3Client {
  return new S3Client({
    endpoint: server.endpoint,
    region: REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: ROOT_KEY.accessKey, secretAccessKey: ROOT_KEY.secretKey },
  });
}

describe.each(ENGINES)("the SDK for JavaScript with default settings on %s", (engine) => {
  const server = useServer({ engine });

  test("a day in the life of an application", async () => {
    const s3 = plainClient(server());
    const Bucket = "application";
    await s3.send(new CreateBucketCommand({ Bucket }));
    const buckets = await s3.send(new ListBucketsCommand({}));
    expect(buckets.Buckets?.map((row) => row.Name)).toEqual([Bucket]);

    const text = await s3.send(new PutObjectCommand({ Bucket, Key: "text", Body: "hello" }));
    expect(text.ChecksumCRC32).toBeTruthy();
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "text" }));
    expect(await got.Body?.transformToString()).toBe("hello");

    const large = patternBytes(17 * MIB + 1, 17);
    const place = { Bucket, Key: "large" };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(place));
    const Parts = await Promise.all(
      [0, 1, 2, 3].map(async (at) => {
        const Body = large.subarray(at * 5 * MIB, (at + 1) * 5 * MIB);
        const PartNumber = at + 1;
        const part = { ...place, UploadId, PartNumber, Body };
        const sent = await s3.send(new UploadPartCommand(part));
        return { PartNumber, ETag: sent.ETag, ChecksumCRC32: sent.ChecksumCRC32 };
      }),
    );
    await s3.send(
      new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }),
    );
    const back = await s3.send(new GetObjectCommand(place));
    expect(Buffer.from((await back.Body?.transformToByteArray()) ?? []).equals(large)).toBe(true);

    const Objects = [{ Key: "text" }, { Key: "large" }];
    await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    const left = await s3.send(new ListObjectsV2Command({ Bucket }));
    expect(left.KeyCount).toBe(0);
  });

  test("a stream goes out in signed or unsigned chunks with a CRC trailer", async () => {
    const s3 = plainClient(server());
    const Bucket = "streams";
    await s3.send(new CreateBucketCommand({ Bucket }));
    const seen: string[] = [];
    s3.middlewareStack.add(
      (next) => (input) => {
        const { headers } = input.request as { headers: Record<string, string> };
        seen.push(headers["x-amz-trailer"] ?? "none");
        return next(input);
      },
      { step: "finalizeRequest", priority: "low" },
    );
    const bytes = patternBytes(6 * MIB + 5, 6);
    const pieces = [];
    for (let at = 0; at < bytes.length; at += 64 * 1024) {
      pieces.push(bytes.subarray(at, at + 64 * 1024));
    }
    await s3.send(
      new PutObjectCommand({
        ...{ Bucket, Key: "stream", ContentLength: bytes.length },
        Body: Readable.from(pieces),
      }),
    );
    expect(seen).toEqual(["x-amz-checksum-crc32"]);
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "stream" }));
    const back = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
    expect(createHash("sha256").update(back).digest("hex")).toBe(
      createHash("sha256").update(bytes).digest("hex"),
    );
  });
});

import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

describe.each(ENGINES)("copies on %s", (engine) => {
  const server = useServer({ engine });

  test.each([0, 10, 128 * 1024 + 1, 9 * 1024 * 1024])(
    "a copy of %i bytes outlives its source",
    async (size) => {
      const s3 = sdkFor(server());
      const Bucket = await makeBucket(s3);
      const other = await makeBucket(s3);
      const Body = patternBytes(size, size + 1);
      const put = await s3.send(new PutObjectCommand({ Bucket, Key: "from/ä b+c", Body }));
      const CopySource = `${Bucket}/${encodeURIComponent("from/ä b+c")}`;
      const copied = await s3.send(new CopyObjectCommand({ Bucket: other, Key: "to", CopySource }));
      expect(copied.CopyObjectResult?.ETag).toBe(put.ETag);
      expect(copied.CopyObjectResult?.LastModified).toBeInstanceOf(Date);
      await s3.send(new DeleteObjectCommand({ Bucket, Key: "from/ä b+c" }));
      const got = await s3.send(new GetObjectCommand({ Bucket: other, Key: "to" }));
      const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
      expect(bytes.equals(Body)).toBe(true);
    },
  );

  test("a source may be encoded as a path or as a form", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "a b+c", Body: "x" }));
    const copy = (key: string) =>
      s3.send(new CopyObjectCommand({ Bucket, Key: "to", CopySource: `${Bucket}/${key}` }));
    const form = new URLSearchParams({ "a b+c": "" }).toString().slice(0, -1);
    expect(form).toBe("a+b%2Bc");
    for (const key of [form, "a%20b%2Bc", "a%20b%2bc"]) {
      expect((await copy(key)).CopyObjectResult?.ETag).toBeTruthy();
    }
    expect(await refusalOf(copy("a%20b+c"))).toBe("404 NoSuchKey");
  });

  test("metadata comes along, or is replaced when the directive says so", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Metadata = { colour: "blue" };
    await s3.send(
      new PutObjectCommand({ Bucket, Key: "from", Body: "x", Metadata, ContentType: "text/css" }),
    );
    const CopySource = `/${Bucket}/from`;
    await s3.send(new CopyObjectCommand({ Bucket, Key: "kept", CopySource }));
    await s3.send(
      new CopyObjectCommand({
        ...{ Bucket, Key: "replaced", CopySource, MetadataDirective: "REPLACE" },
        ...{ Metadata: { size: "small" }, ContentType: "text/html" },
      }),
    );
    const kept = await s3.send(new GetObjectCommand({ Bucket, Key: "kept" }));
    expect(kept).toMatchObject({ Metadata, ContentType: "text/css" });
    const replaced = await s3.send(new GetObjectCommand({ Bucket, Key: "replaced" }));
    expect(replaced).toMatchObject({ Metadata: { size: "small" }, ContentType: "text/html" });
  });

  test("an object can be copied onto itself only to change something", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const place = { Bucket, Key: "self", CopySource: `${Bucket}/self` };
    await s3.send(new PutObjectCommand({ Bucket, Key: "self", Body: "x" }));
    expect(await refusalOf(s3.send(new CopyObjectCommand(place)))).toBe("400 InvalidRequest");
    const Metadata = { changed: "yes" };
    await s3.send(new CopyObjectCommand({ ...place, Metadata, MetadataDirective: "REPLACE" }));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "self" }));
    expect(got.Metadata).toEqual(Metadata);
    expect(await got.Body?.transformToString()).toBe("x");
    // To name a storage class is enough, be it the one that the object has.
    for (const StorageClass of ["STANDARD", "STANDARD_IA", "STANDARD_IA"] as const) {
      await s3.send(new CopyObjectCommand({ ...place, StorageClass }));
    }
    expect(await refusalOf(s3.send(new CopyObjectCommand(place)))).toBe("400 InvalidRequest");
  });

  test.each([
    ["missing-bucket-0/key", "404 NoSuchBucket"],
    ["HERE/missing", "404 NoSuchKey"],
    ["no-slash", "400 InvalidArgument"],
    ["HERE/", "400 InvalidArgument"],
    ["HERE/%FF", "400 InvalidArgument"],
    [`HERE/${"x".repeat(1025)}`, "400 KeyTooLongError"],
  ])("the source %s is refused", async (source, refusal) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const CopySource = source.replace("HERE", Bucket);
    const copy = s3.send(new CopyObjectCommand({ Bucket, Key: "to", CopySource }));
    expect(await refusalOf(copy)).toBe(refusal);
    const got = s3.send(new GetObjectCommand({ Bucket, Key: "to" }));
    expect(await refusalOf(got)).toBe("404 NoSuchKey");
  });

  test("a range of an object is no copy: all of it would have been copied", async () => {
    const Bucket = await makeBucket(sdkFor(server()));
    await sendSigned(server(), { method: "PUT", path: `/${Bucket}/from`, body: "0123456789" });
    const headers = {
      "x-amz-copy-source": `/${Bucket}/from`,
      "x-amz-copy-source-range": "bytes=0-1",
    };
    const copy = await sendSigned(server(), { method: "PUT", path: `/${Bucket}/to`, headers });
    expect([copy.status, copy.code]).toEqual([400, "InvalidArgument"]);
    const got = await sendSigned(server(), { method: "GET", path: `/${Bucket}/to` });
    expect(got.code).toBe("NoSuchKey");
  });

  test("a part copied from beyond the end of its source is refused", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "from", Body: "0123456789" }));
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "to" }));
    const input = { Bucket, Key: "to", UploadId, PartNumber: 1, CopySource: `${Bucket}/from` };
    for (const CopySourceRange of ["bytes=0-10", "bytes=5-4", "bytes=-3", "junk"]) {
      const copy = s3.send(new UploadPartCopyCommand({ ...input, CopySourceRange }));
      expect(await refusalOf(copy)).toBe("400 InvalidArgument");
    }
    const beyond = new UploadPartCopyCommand({ ...input, CopySourceRange: "bytes=10-11" });
    expect(await refusalOf(s3.send(beyond))).toBe("400 InvalidRequest");
  });
});

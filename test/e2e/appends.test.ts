import {
  CopyObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type PutObjectCommandOutput,
  RenameObjectCommand,
  type RenameObjectCommandInput,
  type S3Client,
} from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

describe.each(ENGINES)("appends and renames on %s", (engine) => {
  const server = useServer({ engine });
  let s3: S3Client;
  let Bucket = "";

  beforeAll(async () => {
    s3 = sdkFor(server());
    Bucket = await makeBucket(s3);
  });

  function put(
    Key: string,
    Body: string | Buffer,
    more: Partial<PutObjectCommandInput> = {},
  ): Promise<PutObjectCommandOutput> {
    return s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
  }

  function append(
    Key: string,
    WriteOffsetBytes: number,
    Body: string | Buffer,
    more: Partial<PutObjectCommandInput> = {},
  ): Promise<PutObjectCommandOutput> {
    return put(Key, Body, { WriteOffsetBytes, ...more });
  }

  async function read(Key: string): Promise<Buffer> {
    const got = await s3.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));
    return Buffer.from((await got.Body?.transformToByteArray()) ?? []);
  }

  function rename(
    RenameSource: string,
    Key: string,
    more: Partial<RenameObjectCommandInput> = {},
  ): Promise<unknown> {
    return s3.send(new RenameObjectCommand({ Bucket, Key, RenameSource, ...more }));
  }

  test("an object grows by appends, with its checksum and its metadata", async () => {
    const pieces = [patternBytes(100, 1), patternBytes(300_000, 2), patternBytes(5, 3)];
    const Metadata = { colour: "blue" };
    let whole: Buffer = Buffer.alloc(0);
    let etag: string | undefined;
    for (const piece of pieces) {
      const first = whole.length === 0;
      const done = await append("log", whole.length, piece, first ? { Metadata } : {});
      whole = Buffer.concat([whole, piece]);
      expect(done.Size).toBe(whole.length);
      expect(done.ETag).not.toBe(etag);
      etag = done.ETag;
      // The SDK compares the bytes with the checksum that comes along.
      expect((await read("log")).equals(whole)).toBe(true);
    }
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "log" }));
    expect(head).toMatchObject({ ETag: etag, ContentLength: whole.length, Metadata });
    expect(etag).toMatch(/^"[0-9a-f]{32}-3"$/);
  });

  test("an append is refused anywhere but at the end", async () => {
    await put("end", "text");
    for (const offset of [0, 3, 5]) {
      expect(await refusalOf(append("end", offset, "x"))).toBe("400 InvalidWriteOffset");
    }
    expect(await refusalOf(append("nothing", 1, "x"))).toBe("400 InvalidWriteOffset");
    expect((await read("end")).toString()).toBe("text");
  });

  test("an append is refused for what it cannot mean", async () => {
    await put("strict", "text");
    expect(await refusalOf(append("strict", 4, ""))).toBe("400 InvalidRequest");
    const Metadata = { colour: "red" };
    expect(await refusalOf(append("strict", 4, "x", { Metadata }))).toBe("400 InvalidRequest");
    const ChecksumAlgorithm = "SHA256";
    expect(await refusalOf(append("strict", 4, "x", { ChecksumAlgorithm }))).toBe(
      "400 InvalidRequest",
    );
    const IfMatch = '"0123456789abcdef0123456789abcdef"';
    expect(await refusalOf(append("strict", 4, "x", { IfMatch }))).toBe("412 PreconditionFailed");
    const ServerSideEncryption = "AES256";
    expect(await refusalOf(append("strict", 4, "x", { ServerSideEncryption }))).toBe(
      "400 InvalidRequest",
    );
    expect((await read("strict")).toString()).toBe("text");
  });

  test.each(["", "-1", "1.5", "x", "9".repeat(16)])(
    "an offset of %j is no number",
    async (offset) => {
      const answer = await sendSigned(server(), {
        ...{ method: "PUT", path: `/${Bucket}/offset`, body: "x" },
        headers: { "x-amz-write-offset-bytes": offset },
      });
      expect(answer.status).toBe(400);
      expect(answer.body.toString()).toContain("<Code>InvalidArgument</Code>");
    },
  );

  test("an offset means nothing to other writes, and is not passed over", async () => {
    await put("copied", "text");
    const headers = { "x-amz-write-offset-bytes": "0", "x-amz-copy-source": `${Bucket}/copied` };
    const copy = await sendSigned(server(), { method: "PUT", path: `/${Bucket}/to`, headers });
    expect(copy.status).toBe(501);
    const begin = await sendSigned(server(), {
      ...{ method: "POST", path: `/${Bucket}/to?uploads` },
      headers: { "x-amz-write-offset-bytes": "0" },
    });
    expect(begin.status).toBe(501);
  });

  test("of appends to one end, one is taken", async () => {
    await put("race", "0");
    const all = await Promise.allSettled(
      Array.from({ length: 6 }, (_, index) => append("race", 1, `${index}`)),
    );
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await read("race")).length).toBe(2);
  });

  test("a copy of an object that has grown is whole", async () => {
    const [front, end] = [patternBytes(200_000, 4), patternBytes(7, 5)];
    await put("grown", front);
    await append("grown", front.length, end);
    const CopySource = `${Bucket}/grown`;
    await s3.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource }));
    expect((await read("copy")).equals(Buffer.concat([front, end]))).toBe(true);
  });

  test.each([0, 10, 300_000])("an object of %i bytes is renamed with all it has", async (size) => {
    const body = patternBytes(size, 6);
    const Metadata = { colour: "green" };
    await put("from ä+b", body, { Metadata, ContentType: "text/css", Tagging: "a=1" });
    const before = await s3.send(new HeadObjectCommand({ Bucket, Key: "from ä+b" }));
    await rename(`/${Bucket}/${encodeURIComponent("from ä+b")}`, "dir/to");
    expect((await read("dir/to")).equals(body)).toBe(true);
    const after = await s3.send(new HeadObjectCommand({ Bucket, Key: "dir/to" }));
    expect(after).toMatchObject({ Metadata, ContentType: "text/css", ETag: before.ETag });
    expect(after.LastModified).toEqual(before.LastModified);
    expect(after.TagCount).toBe(1);
    expect(await refusalOf(read("from ä+b"))).toBe("404 NoSuchKey");
  });

  test("a rename names its source with or without the bucket", async () => {
    await put("dir/one", "1");
    await rename("/dir/one", "dir/two");
    await rename("dir/two", "dir/three");
    await rename(`${Bucket}/dir/three`, "dir/four");
    expect((await read("dir/four")).toString()).toBe("1");
    expect(await refusalOf(rename("dir/never", "x"))).toBe("404 NoSuchKey");
    expect(await refusalOf(rename("/", "x"))).toBe("400 InvalidArgument");
    const missing = await sendSigned(server(), {
      ...{ method: "PUT", path: `/${Bucket}/x?renameObject` },
    });
    expect(missing.status).toBe(400);
  });

  test("a rename obeys the conditions on both keys", async () => {
    const { ETag = "" } = await put("src", "source");
    await put("dst", "destination");
    const absent = { DestinationIfNoneMatch: "*" };
    expect(await refusalOf(rename("src", "dst", absent))).toBe("412 PreconditionFailed");
    const other = '"0123456789abcdef0123456789abcdef"';
    for (const more of [
      { DestinationIfMatch: other },
      { SourceIfMatch: other },
      { SourceIfNoneMatch: "*" },
      { SourceIfNoneMatch: ETag },
      { SourceIfModifiedSince: new Date() },
      { SourceIfUnmodifiedSince: new Date(0) },
    ]) {
      expect(await refusalOf(rename("src", "dst", more))).toBe("412 PreconditionFailed");
    }
    await rename("src", "dst", { SourceIfMatch: ETag });
    expect((await read("dst")).toString()).toBe("source");
  });

  test("a rename that is sent again under its token is done once", async () => {
    await put("once", "1");
    const ClientToken = "a-token";
    await rename("once", "twice", { ClientToken });
    await put("once", "2");
    await rename("once", "twice", { ClientToken });
    expect((await read("once")).toString()).toBe("2");
    expect(await refusalOf(rename("once", "thrice", { ClientToken }))).toBe(
      "400 IdempotencyParameterMismatch",
    );
  });

  test("appends and renames leave versions where there are versions", async () => {
    const versioned = await makeBucket(s3);
    const place = { Bucket: versioned, Key: "log" };
    await s3.send(
      new PutBucketVersioningCommand({
        ...{ Bucket: versioned, VersioningConfiguration: { Status: "Enabled" } },
      }),
    );
    await s3.send(new PutObjectCommand({ ...place, Body: "one" }));
    const appended = await s3.send(
      new PutObjectCommand({ ...place, Body: "two", WriteOffsetBytes: 3 }),
    );
    expect(appended.VersionId).toBeDefined();
    await s3.send(new RenameObjectCommand({ Bucket: versioned, Key: "new", RenameSource: "log" }));
    const list = await s3.send(new ListObjectVersionsCommand({ Bucket: versioned }));
    expect(list.Versions?.map(({ Key, Size }) => `${Key} ${Size}`)).toEqual([
      "log 6",
      "log 3",
      "new 6",
    ]);
    expect(list.DeleteMarkers?.map(({ Key, IsLatest }) => `${Key} ${IsLatest}`)).toEqual([
      "log true",
    ]);
  });
});

import { createHash } from "node:crypto";
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Sizes at which bodies are stored in another way: inline, staged, in several chunks. */
const SIZES = [
  ...[0, 1, 4 * KIB - 1, 4 * KIB, 64 * KIB + 1],
  ...[128 * KIB - 1, 128 * KIB, 128 * KIB + 1, MIB, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 9 * MIB + 7],
];

/** Keys that other stores turn into paths, decode twice or lose. */
const AWKWARD_KEYS = [
  ...[
    "a//b",
    "/leading",
    "trailing/",
    "//",
    ".",
    "..",
    "../up",
    "a/../b",
    "a/./b",
    "C:\\dir\\file",
  ],
  ...["a+b", "a b", " leading", "trailing ", "100%", "%2F", "a%2fb", "%25", "a?b", "a#b", "a&b=c"],
  ...["tab\there", "line\nbreak", "bell\u0007", "quote\"'", "<xml>&amp;", "semi;colon", "a=b"],
  ...[
    "déjà",
    "de\u0301ja\u0300",
    "日本語",
    "🐟/🐠",
    "\u{10FFFF}",
    "\uFFFD",
    "x".repeat(1024),
    "é".repeat(512),
  ],
];

function md5(bytes: Uint8Array): string {
  return `"${createHash("md5").update(bytes).digest("hex")}"`;
}

describe.each(ENGINES)("objects on %s", (engine) => {
  const server = useServer({ engine });

  test.each(SIZES)("a body of %i bytes comes back as it went", async (size) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Body = patternBytes(size, size + 1);
    const put = await s3.send(new PutObjectCommand({ Bucket, Key: "body", Body }));
    expect(put.ETag).toBe(md5(Body));
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "body" }));
    expect(head.ContentLength).toBe(size);
    expect(head.ETag).toBe(put.ETag);
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "body" }));
    const bytes = await got.Body?.transformToByteArray();
    expect(Buffer.compare(bytes ?? Buffer.from("nothing"), Body)).toBe(0);
    expect(got.ETag).toBe(put.ETag);
    expect(got.AcceptRanges).toBe("bytes");
  });

  test.each(AWKWARD_KEYS)("the key %j stays as it is", async (Key) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Body = `body of ${Key}`;
    await s3.send(new PutObjectCommand({ Bucket, Key, Body }));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key }));
    expect(await got.Body?.transformToString()).toBe(Body);
    const listed = await s3.send(new ListObjectsV2Command({ Bucket, EncodingType: "url" }));
    const keys = (listed.Contents ?? []).map((row) =>
      decodeURIComponent((row.Key ?? "").replaceAll("+", "%20")),
    );
    expect(keys).toEqual([Key]);
    await s3.send(new DeleteObjectCommand({ Bucket, Key }));
    const gone = s3.send(new GetObjectCommand({ Bucket, Key }));
    expect(await refusalOf(gone)).toBe("404 NoSuchKey");
  });

  test("an overwrite replaces body, metadata and ETag at once", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Key = "twice";
    await s3.send(
      new PutObjectCommand({ Bucket, Key, Body: patternBytes(MIB), Metadata: { first: "yes" } }),
    );
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "small" }));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key }));
    expect(await got.Body?.transformToString()).toBe("small");
    expect(got.Metadata).toEqual({});
    expect(got.ETag).toBe(md5(Buffer.from("small")));
  });

  test("metadata of user and system come back", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Key = "described";
    const described = {
      ContentType: "text/plain; charset=utf-8",
      CacheControl: "max-age=60",
      ContentDisposition: 'attachment; filename="a b.txt"',
      ContentEncoding: "gzip",
      ContentLanguage: "de, en",
      Metadata: { colour: "blue", "with-dash": "v a l u e", empty: "" },
    };
    const Expires = new Date("2030-01-02T03:04:05Z");
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x", Expires, ...described }));
    for (const command of [
      new HeadObjectCommand({ Bucket, Key }),
      new GetObjectCommand({ Bucket, Key }),
    ]) {
      const answer = await s3.send(command as GetObjectCommand);
      expect(answer).toMatchObject(described);
      expect(answer.ExpiresString).toBe("Wed, 02 Jan 2030 03:04:05 GMT");
    }
    const plain = await s3.send(new PutObjectCommand({ Bucket, Key: "plain", Body: "x" }));
    expect(plain.$metadata.httpStatusCode).toBe(200);
    const signed = await sendSigned(server(), {
      ...{ method: "PUT", path: `/${Bucket}/bare` },
      headers: { "Content-Length": "0" },
    });
    expect(signed.status).toBe(200);
    const bare = await s3.send(new HeadObjectCommand({ Bucket, Key: "bare" }));
    expect(bare.ContentType).toBe("binary/octet-stream");
  });

  test("too much metadata is refused", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Metadata = { large: "x".repeat(2049) };
    const put = s3.send(new PutObjectCommand({ Bucket, Key: "large", Body: "x", Metadata }));
    expect(await refusalOf(put)).toBe("400 MetadataTooLarge");
    const head = s3.send(new HeadObjectCommand({ Bucket, Key: "large" }));
    expect(await refusalOf(head)).toBe("404 NotFound");
  });

  test("response-* parameters override what is stored, on a signed request", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Key = "shown";
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x", ContentType: "text/plain" }));
    const got = await s3.send(
      new GetObjectCommand({
        Bucket,
        Key,
        ResponseContentType: "application/json",
        ResponseCacheControl: "no-store",
        ResponseContentDisposition: "inline",
        ResponseContentLanguage: "fr",
        ResponseContentEncoding: "identity",
      }),
    );
    expect(got).toMatchObject({
      ContentType: "application/json",
      CacheControl: "no-store",
      ContentDisposition: "inline",
      ContentLanguage: "fr",
      ContentEncoding: "identity",
    });
  });

  test("deleting what is not there succeeds", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const deleted = await s3.send(new DeleteObjectCommand({ Bucket, Key: "never" }));
    expect(deleted.$metadata.httpStatusCode).toBe(204);
  });

  test("many objects are deleted by one request, each with its own result", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const keys = Array.from({ length: 20 }, (_, at) => `many/${at} & <${at}>`);
    await Promise.all(keys.map((Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }))));
    const Objects = [...keys, "never-there"].map((Key) => ({ Key }));
    const loud = await s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: Objects.slice(0, 5) } }),
    );
    expect(loud.Deleted?.map((row) => row.Key)).toEqual(keys.slice(0, 5));
    const quiet = await s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
    );
    expect(quiet.Deleted ?? []).toEqual([]);
    expect(quiet.Errors ?? []).toEqual([]);
    const left = await s3.send(new ListObjectsV2Command({ Bucket }));
    expect(left.KeyCount).toBe(0);
  });

  test("more than 1,000 keys in one delete are refused and nothing is deleted", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "0", Body: "x" }));
    const Objects = Array.from({ length: 1001 }, (_, at) => ({ Key: String(at) }));
    const request = s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect(await refusalOf(request)).toBe("400 MalformedXML");
    await s3.send(new HeadObjectCommand({ Bucket, Key: "0" }));
  });

  test("100 writers of one key leave one whole body", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const bodies = Array.from({ length: 100 }, (_, at) => patternBytes(10 * KIB, at + 1));
    await Promise.all(
      bodies.map((Body) => s3.send(new PutObjectCommand({ Bucket, Key: "contended", Body }))),
    );
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "contended" }));
    const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
    expect(bodies.some((body) => body.equals(bytes))).toBe(true);
    expect(got.ETag).toBe(md5(bytes));
  });

  test("every answer says who gave it and under which id", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    for (const path of [`/${Bucket}?list-type=2`, `/${Bucket}/missing`, "/"]) {
      const answer = await sendSigned(server(), { method: "GET", path });
      expect(answer.headers["server"]).toBe("Atoll");
      expect(answer.headers["x-amz-request-id"]).toMatch(/^[0-9A-Za-z]{8,}$/);
      expect(answer.headers["x-amz-id-2"]).toBeTruthy();
      if (answer.status >= 400) {
        expect(answer.body).toContain(
          `<RequestId>${answer.headers["x-amz-request-id"]}</RequestId>`,
        );
      }
    }
  });
});

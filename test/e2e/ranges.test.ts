import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const SMALL = patternBytes(1000, 3);
/** More than two chunks of 4 MiB, so that ranges cross their boundaries. */
const LARGE = patternBytes(9 * 1024 * 1024, 4);
const CHUNK = 4 * 1024 * 1024;

describe.each(ENGINES)("ranges on %s", (engine) => {
  const server = useServer({ engine });
  let Bucket = "";

  beforeAll(async () => {
    const s3 = sdkFor(server());
    Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "small", Body: SMALL }));
    await s3.send(new PutObjectCommand({ Bucket, Key: "large", Body: LARGE }));
    await s3.send(new PutObjectCommand({ Bucket, Key: "empty", Body: "" }));
  });

  test.each([
    ["bytes=0-0", 0, 1],
    ["bytes=0-", 0, 1000],
    ["bytes=5-9", 5, 10],
    ["bytes=999-", 999, 1000],
    ["bytes=990-5000", 990, 1000],
    ["bytes=-5", 995, 1000],
    ["bytes=-5000", 0, 1000],
  ])("%s of 1,000 bytes is [%i, %i)", async (Range, start, end) => {
    const s3 = sdkFor(server());
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "small", Range }));
    expect(got.$metadata.httpStatusCode).toBe(206);
    expect(got.ContentRange).toBe(`bytes ${start}-${end - 1}/1000`);
    expect(got.ContentLength).toBe(end - start);
    const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
    expect(bytes.equals(SMALL.subarray(start, end))).toBe(true);
  });

  test.each([
    [CHUNK - 1, CHUNK + 1],
    [0, CHUNK],
    [CHUNK, 2 * CHUNK],
    [1024 * 1024 - 3, 3 * 1024 * 1024 + 3],
    [1, LARGE.length - 1],
    [LARGE.length - 1, LARGE.length],
  ])("[%i, %i) of a large body crosses its chunks", async (start, end) => {
    const s3 = sdkFor(server());
    const Range = `bytes=${start}-${end - 1}`;
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "large", Range }));
    expect(got.ContentRange).toBe(`bytes ${start}-${end - 1}/${LARGE.length}`);
    const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
    expect(bytes.equals(LARGE.subarray(start, end))).toBe(true);
  });

  test.each([
    ["small", "bytes=1000-"],
    ["small", "bytes=1000-2000"],
    ["small", "bytes=-0"],
    ["empty", "bytes=0-0"],
  ])("of %s, %s cannot be satisfied", async (Key, Range) => {
    const s3 = sdkFor(server());
    const got = s3.send(new GetObjectCommand({ Bucket, Key, Range }));
    expect(await refusalOf(got)).toBe("416 InvalidRange");
  });

  test("the last bytes of an empty object are all of it, as readers of tails expect", async () => {
    const headers = { Range: "bytes=-512", Connection: "close" };
    for (const method of ["GET", "HEAD"]) {
      const answer = await sendSigned(server(), { method, path: `/${Bucket}/empty`, headers });
      expect([answer.status, answer.headers["content-length"]]).toEqual([200, "0"]);
      expect(answer.headers["content-range"]).toBeUndefined();
    }
  });

  test.each([
    "bytes=5-3",
    "bytes=0-0,2-3",
    "bytes=a-b",
    "bytes=",
    "bytes=-",
    "lines=0-1",
    "0-1",
    "bytes=1-2-3",
    "bytes=99999999999999999999-3",
  ])("%s is no range we know: the whole body comes with 200", async (range) => {
    const answer = await sendSigned(server(), {
      method: "GET",
      path: `/${Bucket}/small`,
      headers: { Range: range },
    });
    expect([answer.status, answer.headers["content-length"]]).toEqual([200, "1000"]);
    expect(answer.headers["content-range"]).toBeUndefined();
  });

  test("HEAD tells what a ranged GET would send", async () => {
    const s3 = sdkFor(server());
    const head = await s3.send(
      new HeadObjectCommand({ Bucket, Key: "small", Range: "bytes=10-19" }),
    );
    expect(head.$metadata.httpStatusCode).toBe(206);
    expect(head.ContentLength).toBe(10);
  });

  test("part 1 of an object that was put whole is all of it", async () => {
    const s3 = sdkFor(server());
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "small", PartNumber: 1 }));
    expect(got.$metadata.httpStatusCode).toBe(206);
    expect(got.ContentLength).toBe(1000);
    const second = s3.send(new GetObjectCommand({ Bucket, Key: "small", PartNumber: 2 }));
    expect(await refusalOf(second)).toBe("416 InvalidPartNumber");
  });

  test.each([
    ["missing?partNumber=abc", {}, "400 InvalidArgument"],
    ["small?partNumber=0", { "If-None-Match": "*" }, "400 InvalidArgument"],
    ["small?partNumber=1", { "If-None-Match": "*", Range: "bytes=0-0" }, "400 InvalidRequest"],
    ["missing?partNumber=1", { Range: "bytes=0-0" }, "400 InvalidRequest"],
    ["missing?partNumber=1", {}, "404 NoSuchKey"],
  ])("a part is named rightly before %s with %j is looked for", async (name, headers, refusal) => {
    const path = `/${Bucket}/${name}`;
    const answer = await sendSigned(server(), { method: "GET", path, headers });
    expect(`${answer.status} ${answer.code}`).toBe(refusal);
  });

  test("a range and a part number together are refused", async () => {
    const s3 = sdkFor(server());
    const both = new GetObjectCommand({ Bucket, Key: "small", PartNumber: 1, Range: "bytes=0-1" });
    expect(await refusalOf(s3.send(both))).toBe("400 InvalidRequest");
  });
});

import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const HOUR_MS = 3_600_000;
const OTHER = '"0123456789abcdef0123456789abcdef"';

/** The read conditions by what they ask; "right" and "wrong" ETags, dates before and after. */
const READS = [
  ["If-Match right", { IfMatch: "right" }, 200],
  ["If-Match *", { IfMatch: "*" }, 200],
  ["If-Match wrong", { IfMatch: "wrong" }, 412],
  ["If-None-Match wrong", { IfNoneMatch: "wrong" }, 200],
  ["If-None-Match right", { IfNoneMatch: "right" }, 304],
  ["If-None-Match *", { IfNoneMatch: "*" }, 304],
  ["If-Modified-Since before", { IfModifiedSince: "before" }, 200],
  ["If-Modified-Since after", { IfModifiedSince: "after" }, 304],
  ["If-Unmodified-Since after", { IfUnmodifiedSince: "after" }, 200],
  ["If-Unmodified-Since before", { IfUnmodifiedSince: "before" }, 412],
  // AWS: a match outweighs a date that says otherwise.
  ["If-Match right beats a date", { IfMatch: "right", IfUnmodifiedSince: "before" }, 200],
  ["If-None-Match right beats a date", { IfNoneMatch: "right", IfModifiedSince: "before" }, 304],
  ["If-None-Match wrong beats a date", { IfNoneMatch: "wrong", IfModifiedSince: "after" }, 200],
] as const;

describe.each(ENGINES)("conditional requests on %s", (engine) => {
  const server = useServer({ engine });

  test.each(READS)("GET and HEAD with %s answer as AWS does", async (_name, asked, status) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const put = await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }));
    const { LastModified } = await s3.send(new HeadObjectCommand({ Bucket, Key: "k" }));
    const modifiedMs = LastModified?.getTime() ?? 0;
    const words: Record<string, string | Date> = {
      right: put.ETag ?? "",
      wrong: OTHER,
      "*": "*",
      before: new Date(modifiedMs - HOUR_MS),
      // Whole seconds: a date in the future would be ignored.
      after: new Date(modifiedMs),
    };
    const conditions = Object.fromEntries(
      Object.entries(asked).map(([name, word]) => [name, words[word]]),
    );
    const input = { Bucket, Key: "k", ...conditions };
    for (const command of [new GetObjectCommand(input), new HeadObjectCommand(input)]) {
      const answered = await s3.send(command as GetObjectCommand).then(
        (answer) => answer.$metadata.httpStatusCode,
        (failure: { $metadata?: { httpStatusCode?: number } }) => failure.$metadata?.httpStatusCode,
      );
      expect(answered).toBe(status);
    }
  });

  test("of 20 writers that want a new key one wins", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const attempts = Array.from({ length: 20 }, (_, at) =>
      s3.send(new PutObjectCommand({ Bucket, Key: "lock", Body: `${at}`, IfNoneMatch: "*" })).then(
        () => `won ${at}`,
        (failure: Error) => failure.name,
      ),
    );
    const outcomes = await Promise.all(attempts);
    const winners = outcomes.filter((outcome) => outcome.startsWith("won"));
    expect(winners).toHaveLength(1);
    const losers = outcomes.filter((outcome) => !outcome.startsWith("won"));
    expect(new Set(losers)).toEqual(new Set(["PreconditionFailed"]));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "lock" }));
    expect(`won ${await got.Body?.transformToString()}`).toBe(winners[0]);
  });

  test("a counter raised by compare-and-swap misses no step", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "n", Body: "0" }));
    const raise = async (): Promise<void> => {
      for (;;) {
        const got = await s3.send(new GetObjectCommand({ Bucket, Key: "n" }));
        const n = Number(await got.Body?.transformToString());
        const put = s3.send(
          new PutObjectCommand({ Bucket, Key: "n", Body: `${n + 1}`, IfMatch: got.ETag }),
        );
        const outcome = await put.then(
          () => "raised",
          (failure: Error) => failure.name,
        );
        if (outcome === "raised") return;
        expect(outcome).toBe("PreconditionFailed");
      }
    };
    await Promise.all(Array.from({ length: 8 }, raise));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "n" }));
    expect(await got.Body?.transformToString()).toBe("8");
  });

  test("If-Match on a key that is not there is refused as NoSuchKey", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const put = s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x", IfMatch: OTHER }));
    expect(await refusalOf(put)).toBe("404 NoSuchKey");
  });

  test("deletes obey If-Match", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const put = await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }));
    const wrong = s3.send(new DeleteObjectCommand({ Bucket, Key: "k", IfMatch: OTHER }));
    expect(await refusalOf(wrong)).toBe("412 PreconditionFailed");
    await s3.send(new HeadObjectCommand({ Bucket, Key: "k" }));
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "k", IfMatch: put.ETag }));
    const head = s3.send(new HeadObjectCommand({ Bucket, Key: "k" }));
    expect(await refusalOf(head)).toBe("404 NotFound");
  });

  test("a completion that demands a new key yields to one that came first", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Key = "assembled";
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const part = { Bucket, Key, UploadId, PartNumber: 1 };
    const { ETag } = await s3.send(new UploadPartCommand({ ...part, Body: "parts" }));
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "first" }));
    const complete = s3.send(
      new CompleteMultipartUploadCommand({
        ...{ Bucket, Key, UploadId, IfNoneMatch: "*" },
        MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
      }),
    );
    expect(await refusalOf(complete)).toBe("412 PreconditionFailed");
    const got = await s3.send(new GetObjectCommand({ Bucket, Key }));
    expect(await got.Body?.transformToString()).toBe("first");
  });

  test("a copy obeys conditions on its source and on its destination", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key: "from", Body: "x" }));
    const copy = { Bucket, Key: "to", CopySource: `${Bucket}/from` };
    for (const refused of [
      { CopySourceIfMatch: OTHER },
      { CopySourceIfNoneMatch: ETag },
      { CopySourceIfUnmodifiedSince: new Date(Date.now() - HOUR_MS) },
    ]) {
      const request = s3.send(new CopyObjectCommand({ ...copy, ...refused }));
      expect(await refusalOf(request)).toBe("412 PreconditionFailed");
    }
    await s3.send(new CopyObjectCommand({ ...copy, CopySourceIfMatch: ETag, IfNoneMatch: "*" }));
    const again = s3.send(new CopyObjectCommand({ ...copy, IfNoneMatch: "*" }));
    expect(await refusalOf(again)).toBe("412 PreconditionFailed");
  });
});

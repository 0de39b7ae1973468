import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  HeadObjectCommand,
  ObjectAttributes,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const ALL = Object.values(ObjectAttributes);
const PART_BYTES = 5 * 1024 * 1024;

/** Uploads an object whose parts are numbered as given; all but the last one are of 5 MiB. */
async function uploadParts(
  s3: S3Client,
  target: { Bucket: string; Key: string },
  numbers: readonly number[],
): Promise<void> {
  const { UploadId } = await s3.send(
    new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: "SHA256" }),
  );
  const Parts = [];
  for (const PartNumber of numbers) {
    const size = PartNumber === numbers.at(-1) ? 10 : PART_BYTES;
    const Body = patternBytes(size, PartNumber);
    const part = { ...target, UploadId, PartNumber, Body, ChecksumAlgorithm: "SHA256" } as const;
    const { ETag, ChecksumSHA256 } = await s3.send(new UploadPartCommand(part));
    Parts.push({ PartNumber, ETag, ChecksumSHA256 });
  }
  await s3.send(
    new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }),
  );
}

describe.each(ENGINES)("GetObjectAttributes on %s", (engine) => {
  const server = useServer({ engine });

  test("an object in one piece has everything but parts", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const put = { Bucket, Key: "k", Body: "hello world!", ChecksumAlgorithm: "CRC32C" } as const;
    const stored = await s3.send(new PutObjectCommand(put));
    const got = await s3.send(
      new GetObjectAttributesCommand({ Bucket, Key: "k", ObjectAttributes: ALL }),
    );
    expect(got.ETag).toBe("fc3ff98e8c6a0d3087d515c0473f8677");
    expect(got.ObjectSize).toBe(12);
    expect(got.StorageClass).toBe("STANDARD");
    expect(got.Checksum?.ChecksumCRC32C).toBe(stored.ChecksumCRC32C);
    expect(got.Checksum?.ChecksumType).toBe("FULL_OBJECT");
    expect(got.ObjectParts).toBeUndefined();
    expect(got.LastModified).toBeInstanceOf(Date);
    expect(got.VersionId).toBeUndefined();
    expect(got.DeleteMarker).toBeUndefined();
  });

  test("only what is asked for is answered, in several header lines or one", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const put = { Bucket, Key: "k", Body: "x", StorageClass: "STANDARD_IA" } as const;
    await s3.send(new PutObjectCommand(put));
    const ask = (names: string) =>
      sendSigned(server(), {
        method: "GET",
        path: `/${Bucket}/k?attributes`,
        headers: { "x-amz-object-attributes": names },
      });
    const one = await ask("ObjectSize");
    expect(one.status).toBe(200);
    expect(one.headers["content-type"]).toBe("application/xml");
    expect(one.body).toMatch(/<GetObjectAttributesResponse [^>]*><ObjectSize>1<\/ObjectSize><\//);
    const two = await ask("StorageClass , ETag");
    expect(two.body).toContain("<ETag>9dd4e461268c8034f5c8564e155c67a6</ETag>");
    expect(two.body).toContain("<StorageClass>STANDARD_IA</StorageClass>");
    expect(two.body).not.toContain("ObjectSize");
    const parts = await ask("ObjectParts");
    expect([parts.status, parts.body.includes("ObjectParts")]).toEqual([200, false]);
  });

  test("parts keep their numbers and come in pages", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await uploadParts(s3, { Bucket, Key: "parts" }, [2, 3, 7]);
    const head = await s3.send(
      new HeadObjectCommand({ Bucket, Key: "parts", ChecksumMode: "ENABLED" }),
    );
    expect(head.ChecksumSHA256).toMatch(/^.{43}=-3$/);
    const ask = async (page: { MaxParts?: number; PartNumberMarker?: string }) => {
      const request = { Bucket, Key: "parts", ObjectAttributes: ALL, ...page };
      const shown = await s3.send(new GetObjectAttributesCommand(request));
      const { ObjectParts, ETag, Checksum } = shown;
      expect(Checksum?.ChecksumType).toBe("COMPOSITE");
      expect(`${Checksum?.ChecksumSHA256}-3`).toBe(head.ChecksumSHA256);
      expect(ETag).toMatch(/^[0-9a-f]{32}-3$/);
      expect(ObjectParts?.TotalPartsCount).toBe(3);
      return ObjectParts;
    };
    const whole = await ask({});
    expect(whole?.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
      [2, PART_BYTES],
      [3, PART_BYTES],
      [7, 10],
    ]);
    for (const part of whole?.Parts ?? []) expect(part.ChecksumSHA256).toHaveLength(44);
    expect(whole?.IsTruncated).toBe(false);
    expect(whole?.MaxParts).toBe(1000);
    expect(whole?.PartNumberMarker).toBe("0");

    const first = await ask({ MaxParts: 2 });
    expect(first?.Parts?.map(({ PartNumber }) => PartNumber)).toEqual([2, 3]);
    expect([first?.IsTruncated, first?.NextPartNumberMarker]).toEqual([true, "3"]);
    const second = await ask({ MaxParts: 2, PartNumberMarker: "3" });
    expect(second?.Parts?.map(({ PartNumber }) => PartNumber)).toEqual([7]);
    expect([second?.IsTruncated, second?.PartNumberMarker]).toEqual([false, "3"]);
    const past = await ask({ PartNumberMarker: "9000" });
    expect([past?.Parts, past?.IsTruncated]).toEqual([undefined, false]);
    const none = await ask({ MaxParts: 0 });
    expect([none?.Parts, none?.IsTruncated, none?.MaxParts]).toEqual([undefined, false, 0]);
    const many = await ask({ MaxParts: 5000 });
    expect(many?.MaxParts).toBe(1000);
    for (const text of ["-1", "ten", "2147483648"]) {
      const headers = { "x-amz-object-attributes": "ObjectParts", "x-amz-max-parts": text };
      const path = `/${Bucket}/parts?attributes`;
      const answer = await sendSigned(server(), { method: "GET", path, headers });
      expect(answer.body).toContain("<MaxParts>1000</MaxParts>");
    }
  });

  test.each([
    ["without the list", {}],
    ["with an empty list", { "x-amz-object-attributes": "" }],
  ])("a request %s is refused", async (_what, headers) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }));
    const path = `/${Bucket}/k?attributes`;
    const answer = await sendSigned(server(), { method: "GET", path, headers });
    expect(`${answer.status} ${answer.code}`).toBe("400 InvalidRequest");
    expect(answer.body).toContain("is either missing or empty</Message>");
  });

  test.each([["etag"], ["ETag,"], ["ETag,Owner"], ["constructor"]])(
    "the list %j is refused",
    async (names) => {
      const s3 = sdkFor(server());
      const Bucket = await makeBucket(s3);
      await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }));
      const answer = await sendSigned(server(), {
        method: "GET",
        path: `/${Bucket}/k?attributes`,
        headers: { "x-amz-object-attributes": names },
      });
      expect(`${answer.status} ${answer.code}`).toBe("400 InvalidArgument");
      expect(answer.body).toContain("<Message>Invalid attribute name specified.</Message>");
      expect(answer.body).toContain("<ArgumentName>x-amz-object-attributes</ArgumentName>");
    },
  );

  test.each([
    ["x-amz-part-number-marker", "ten"],
    ["x-amz-part-number-marker", "2147483648"],
  ])("%s: %s is refused", async (name, value) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }));
    const answer = await sendSigned(server(), {
      method: "GET",
      path: `/${Bucket}/k?attributes`,
      headers: { "x-amz-object-attributes": "ObjectParts", [name]: value },
    });
    expect(`${answer.status} ${answer.code}`).toBe("400 InvalidArgument");
    expect(answer.body).toContain(`<ArgumentName>${name}</ArgumentName>`);
  });

  test("what is not there has no attributes", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const ask = (Key: string, bucket = Bucket) =>
      refusalOf(
        s3.send(
          new GetObjectAttributesCommand({ Bucket: bucket, Key, ObjectAttributes: ["ETag"] }),
        ),
      );
    expect(await ask("missing")).toBe("404 NoSuchKey");
    expect(await ask("k", "not-there")).toBe("404 NoSuchBucket");
  });
});

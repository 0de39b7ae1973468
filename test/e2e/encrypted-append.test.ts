import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketEncryptionCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const MIB = 1024 * 1024;
const AES256 = { ServerSideEncryption: "AES256" } as const;
// What the SDK sends with an append too, which has to bring what the object has.
const CRC32 = { ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT" } as const;
const keyOf = (seed: number) => ({
  SSECustomerAlgorithm: "AES256",
  SSECustomerKey: patternBytes(32, seed).toString("base64"),
});
const THEIRS = keyOf(3);

type Place = { readonly Bucket: string; readonly Key: string };

function append(s3: S3Client, place: Place, at: number, Body: Uint8Array, more: object = {}) {
  return s3.send(new PutObjectCommand({ ...place, Body, WriteOffsetBytes: at, ...more }));
}

async function read(s3: S3Client, place: Place, more: object = {}): Promise<Buffer> {
  const got = await s3.send(new GetObjectCommand({ ...place, ...more }));
  return Buffer.from((await got.Body?.transformToByteArray()) ?? []);
}

async function expectContents(
  s3: S3Client,
  place: Place,
  expected: Buffer,
  key: object = {},
): Promise<void> {
  expect((await read(s3, place, key)).equals(expected)).toBe(true);
  for (const at of [0, 65_507, Math.floor(expected.length / 2), expected.length - 1]) {
    const last = Math.min(at + 70_000, expected.length - 1);
    if (at > last) continue;
    const Range = `bytes=${at}-${last}`;
    const bytes = await read(s3, place, { ...key, Range });
    expect(bytes.equals(expected.subarray(at, last + 1)), Range).toBe(true);
  }
}

describe.each(ENGINES)("appending to encrypted objects on %s", (engine) => {
  const server = useServer({ engine });

  test.each([
    ["with a key of the site", AES256, {}, {}],
    ["with a key of the client", THEIRS, THEIRS, THEIRS],
  ])("grows them piece by piece, %s", async (_how, begun, added, asked) => {
    const s3 = sdkFor(server());
    const place = { Bucket: await makeBucket(s3), Key: "log" };
    // Small beside small, small beside chunks, chunks beside chunks.
    const pieces = [10, 1, 65_508, 90_000, 6 * MIB, 7].map((size, at) =>
      patternBytes(size, at + 1),
    );
    let whole = Buffer.alloc(0);
    for (const piece of pieces) {
      const more = whole.length === 0 ? begun : added;
      const answer = await append(s3, place, whole.length, piece, more);
      whole = Buffer.concat([whole, piece]);
      expect(answer.Size).toBe(whole.length);
      expect(answer.ServerSideEncryption ?? answer.SSECustomerAlgorithm).toBe("AES256");
      await expectContents(s3, place, whole, asked);
    }
    const to = { Bucket: place.Bucket, Key: "copy" };
    const CopySource = `${place.Bucket}/${place.Key}`;
    if (begun === AES256) {
      await s3.send(new CopyObjectCommand({ ...to, CopySource, ...AES256 }));
      await expectContents(s3, to, whole);
    }
  });

  test("adds to an object of parts, encrypted as they are", async () => {
    const s3 = sdkFor(server());
    const place = { Bucket: await makeBucket(s3), Key: "parts" };
    const { UploadId = "" } = await s3.send(
      new CreateMultipartUploadCommand({ ...place, ...AES256, ...CRC32 }),
    );
    const bodies = [patternBytes(5 * MIB, 11), patternBytes(1000, 12)];
    const Parts = [];
    for (const [at, Body] of bodies.entries()) {
      const PartNumber = at + 1;
      const sent = await s3.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body }));
      Parts.push({ PartNumber, ETag: sent.ETag });
    }
    await s3.send(
      new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }),
    );
    const added = patternBytes(200_000, 13);
    await append(s3, place, 5 * MIB + 1000, added);
    await append(s3, place, 5 * MIB + 201_000, Buffer.from("end"));
    await expectContents(s3, place, Buffer.concat([...bodies, added, Buffer.from("end")]));
  });

  test("takes the key that the object has, and no other encryption", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const at = (Key: string) => ({ Bucket, Key });
    const body = Buffer.from("more");
    await append(s3, at("theirs"), 0, body, THEIRS);
    expect(await refusalOf(append(s3, at("theirs"), 4, body))).toBe("400 InvalidRequest");
    expect(await refusalOf(append(s3, at("theirs"), 4, body, keyOf(4)))).toBe("403 AccessDenied");
    await append(s3, at("ours"), 0, body, AES256);
    expect(await refusalOf(append(s3, at("ours"), 4, body, THEIRS))).toBe("400 InvalidRequest");
    await append(s3, at("plain"), 0, body);
    expect(await refusalOf(append(s3, at("plain"), 4, body, AES256))).toBe("400 InvalidRequest");
    expect(await refusalOf(append(s3, at("plain"), 4, body, THEIRS))).toBe("400 InvalidRequest");
    expect(await refusalOf(append(s3, at("ours"), 3, body))).toBe("400 InvalidWriteOffset");
    expect((await read(s3, at("ours"))).toString()).toBe("more");
  });

  test("leaves an object in the clear that was begun so, whatever its bucket wants now", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await append(s3, { Bucket, Key: "before" }, 0, Buffer.from("a"));
    const rule = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" as const } };
    const ServerSideEncryptionConfiguration = { Rules: [rule] };
    await s3.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration }));
    for (const [Key, expected] of [
      ["before", undefined],
      ["after", "AES256"],
    ] as const) {
      if (Key === "after") await append(s3, { Bucket, Key }, 0, Buffer.from("a"));
      const added = await append(s3, { Bucket, Key }, 1, Buffer.from("b"));
      expect(added.ServerSideEncryption).toBe(expected);
      const head = await s3.send(new HeadObjectCommand({ Bucket, Key }));
      expect([head.ServerSideEncryption, head.ContentLength]).toEqual([expected, 2]);
      expect((await read(s3, { Bucket, Key })).toString()).toBe("ab");
    }
  });
});

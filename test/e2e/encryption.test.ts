import { createHash } from "node:crypto";
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";
import { standsOnDisk } from "../support/stored-bytes.ts";

const MIB = 1024 * 1024;
const AES256 = { ServerSideEncryption: "AES256" } as const;

const md5 = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex");

async function read(
  s3: S3Client,
  input: { Bucket: string; Key: string; Range?: string; PartNumber?: number },
) {
  const got = await s3.send(new GetObjectCommand(input));
  return { got, bytes: Buffer.from((await got.Body?.transformToByteArray()) ?? []) };
}

describe.each(ENGINES)("objects encrypted with the site's keys on %s", (engine) => {
  const server = useServer({ engine });

  // Around the end of a block (65,508 bytes), of what lives beside its operation, and of a chunk.
  test.each([0, 1, 65_508, 65_509, 128 * 1024, 128 * 1024 + 1, 5 * MIB + 7])(
    "%i bytes come back, and nothing of them stands on the disk",
    async (size) => {
      const s3 = sdkFor(server());
      const Bucket = await makeBucket(s3);
      const Body = patternBytes(size, size + 3);
      const put = await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body, ...AES256 }));
      expect(put.ServerSideEncryption).toBe("AES256");
      expect(put.ETag).toBe(`"${md5(Body)}"`);
      const { got, bytes } = await read(s3, { Bucket, Key: "k" });
      expect(got.ServerSideEncryption).toBe("AES256");
      expect(got.ContentLength).toBe(size);
      expect(bytes.equals(Body)).toBe(true);
      const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "k" }));
      expect([head.ContentLength, head.ServerSideEncryption, head.ETag]).toEqual([
        size,
        "AES256",
        put.ETag,
      ]);
      const piece = Body.subarray(Math.floor(size / 2), Math.floor(size / 2) + 32);
      if (piece.length === 32) expect(standsOnDisk(server().dataDirectory, piece)).toBe(false);
    },
  );

  test("what is stored in the clear would have been found on the disk", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Body = patternBytes(100_000, 99);
    const put = await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body }));
    expect(put.ServerSideEncryption).toBeUndefined();
    expect(standsOnDisk(server().dataDirectory, Body.subarray(500, 532))).toBe(true);
  });

  test("ranges give exactly what they name", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Body = patternBytes(5 * MIB + 7, 21);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body, ...AES256 }));
    for (const [first, last] of [
      [0, 0],
      [65_507, 65_508],
      [65_508, 65_508],
      [4 * MIB - 70_000, 4 * MIB + 70_000],
      [5 * MIB, 5 * MIB + 6],
    ] as const) {
      const { got, bytes } = await read(s3, { Bucket, Key: "k", Range: `bytes=${first}-${last}` });
      expect(got.ContentRange).toBe(`bytes ${first}-${last}/${Body.length}`);
      expect(bytes.equals(Body.subarray(first, last + 1))).toBe(true);
    }
    const tail = await read(s3, { Bucket, Key: "k", Range: "bytes=-9" });
    expect(tail.bytes.equals(Body.subarray(-9))).toBe(true);
    const beyond = read(s3, { Bucket, Key: "k", Range: `bytes=${Body.length}-` });
    expect(await refusalOf(beyond)).toBe("416 InvalidRange");
  });

  test("parts are encrypted one by one, and one sent again takes the place of the first", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const begun = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "k", ...AES256 }));
    expect(begun.ServerSideEncryption).toBe("AES256");
    const upload = { Bucket, Key: "k", UploadId: begun.UploadId ?? "" };
    const bodies = [patternBytes(5 * MIB + 3, 31), patternBytes(6 * MIB, 32), Buffer.from("end")];
    await s3.send(
      new UploadPartCommand({ ...upload, PartNumber: 4, Body: patternBytes(6 * MIB, 33) }),
    );
    const Parts = [];
    for (const [at, Body] of bodies.entries()) {
      const PartNumber = at + 3;
      const sent = await s3.send(new UploadPartCommand({ ...upload, PartNumber, Body }));
      expect(sent.ServerSideEncryption).toBe("AES256");
      expect(sent.ETag).toBe(`"${md5(Body)}"`);
      Parts.push({ PartNumber, ETag: sent.ETag });
    }
    const listed = await s3.send(new ListPartsCommand(upload));
    expect(listed.Parts?.map(({ Size }) => Size)).toEqual(bodies.map(({ length }) => length));
    const done = await s3.send(
      new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }),
    );
    expect(done.ServerSideEncryption).toBe("AES256");
    const digests = bodies.map((body) => createHash("md5").update(body).digest());
    expect(done.ETag).toBe(`"${md5(Buffer.concat(digests))}-3"`);
    const whole = Buffer.concat(bodies);
    expect((await read(s3, { Bucket, Key: "k" })).bytes.equals(whole)).toBe(true);
    const across = await read(s3, { Bucket, Key: "k", Range: `bytes=${5 * MIB}-${5 * MIB + 9}` });
    expect(across.bytes.equals(whole.subarray(5 * MIB, 5 * MIB + 10))).toBe(true);
    for (const [at, body] of bodies.entries()) {
      const part = await read(s3, { Bucket, Key: "k", PartNumber: at + 1 });
      expect(part.got.PartsCount).toBe(3);
      expect(part.bytes.equals(body)).toBe(true);
    }
  });

  test.each([10, 128 * 1024, 5 * MIB])(
    "a copy of %i bytes is encrypted or not as it is asked for, both ways",
    async (size) => {
      const s3 = sdkFor(server());
      const Bucket = await makeBucket(s3);
      const other = await makeBucket(s3);
      const Body = patternBytes(size, size + 41);
      await s3.send(new PutObjectCommand({ Bucket, Key: "plain", Body }));
      const steps = [
        { from: `${Bucket}/plain`, Key: "sealed", ask: AES256 },
        { from: `${other}/sealed`, Key: "again", ask: AES256 },
        { from: `${other}/again`, Key: "clear", ask: {} },
      ];
      for (const { from: CopySource, Key, ask } of steps) {
        const copied = await s3.send(
          new CopyObjectCommand({ Bucket: other, Key, CopySource, ...ask }),
        );
        const expected = "ServerSideEncryption" in ask ? "AES256" : undefined;
        expect(copied.ServerSideEncryption).toBe(expected);
        expect(copied.CopyObjectResult?.ETag).toBe(`"${md5(Body)}"`);
        const { got, bytes } = await read(s3, { Bucket: other, Key });
        expect(got.ServerSideEncryption).toBe(expected);
        expect(bytes.equals(Body)).toBe(true);
      }
    },
  );

  test("copying an object onto itself encrypts it", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const onto = { Bucket, Key: "k", CopySource: `${Bucket}/k` };
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "text" }));
    expect(await refusalOf(s3.send(new CopyObjectCommand(onto)))).toBe("400 InvalidRequest");
    await s3.send(new CopyObjectCommand({ ...onto, ...AES256 }));
    const { got, bytes } = await read(s3, { Bucket, Key: "k" });
    expect([got.ServerSideEncryption, bytes.toString()]).toEqual(["AES256", "text"]);
  });

  test("parts are copied out of encrypted objects and into encrypted uploads", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const Body = patternBytes(6 * MIB, 51);
    await s3.send(new PutObjectCommand({ Bucket, Key: "sealed", Body, ...AES256 }));
    await s3.send(new PutObjectCommand({ Bucket, Key: "plain", Body }));
    const begun = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "k", ...AES256 }));
    const upload = { Bucket, Key: "k", UploadId: begun.UploadId ?? "" };
    const Parts = [];
    for (const [at, name] of ["sealed", "plain"].entries()) {
      const copied = await s3.send(
        new UploadPartCopyCommand({
          ...{ ...upload, PartNumber: at + 1, CopySource: `${Bucket}/${name}` },
          CopySourceRange: `bytes=${65_500 + at}-${6 * MIB - 1}`,
        }),
      );
      expect(copied.ServerSideEncryption).toBe("AES256");
      Parts.push({ PartNumber: at + 1, ETag: copied.CopyPartResult?.ETag });
    }
    await s3.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }));
    const expected = Buffer.concat([Body.subarray(65_500), Body.subarray(65_501)]);
    expect((await read(s3, { Bucket, Key: "k" })).bytes.equals(expected)).toBe(true);
  });

  test.each([
    [{ "x-amz-server-side-encryption": "aws:kms" }, 501, "NotImplemented"],
    [{ "x-amz-server-side-encryption": "aws:kms:dsse" }, 501, "NotImplemented"],
    [{ "x-amz-server-side-encryption": "aes:kms" }, 400, "InvalidArgument"],
    [{ "x-amz-server-side-encryption": "" }, 400, "InvalidArgument"],
    [{ "x-amz-server-side-encryption-aws-kms-key-id": "a" }, 400, "InvalidArgument"],
    [
      {
        "x-amz-server-side-encryption": "AES256",
        "x-amz-server-side-encryption-aws-kms-key-id": "a",
      },
      400,
      "InvalidArgument",
    ],
  ])("a PUT with %j is %i %s, and stores nothing", async (headers, status, code) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const request = { method: "PUT", path: `/${Bucket}/k`, headers, body: "text" };
    const answer = await sendSigned(server(), request);
    expect([answer.status, answer.code]).toEqual([status, code]);
    const missing = await refusalOf(s3.send(new HeadObjectCommand({ Bucket, Key: "k" })));
    expect(missing).toBe("404 NotFound");
  });

  test("a GET, a HEAD and a part cannot ask for encryption", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "text", ...AES256 }));
    const headers = { "x-amz-server-side-encryption": "AES256" };
    const ask = (method: string, query = "") =>
      sendSigned(server(), { method, path: `/${Bucket}/k${query}`, headers });
    expect((await ask("GET")).code).toBe("InvalidArgument");
    expect((await ask("HEAD")).status).toBe(400);
    const begun = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "k" }));
    const part = await ask("PUT", `?partNumber=1&uploadId=${begun.UploadId}`);
    expect([part.status, part.code]).toEqual([400, "InvalidArgument"]);
  });

  test("completing an upload may say again that it is encrypted, where it is", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const complete = async (Key: string, encryption: object) => {
      const begun = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ...encryption }));
      const upload = { Bucket, Key, UploadId: begun.UploadId ?? "" };
      const sent = await s3.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: Key }));
      const part = `<Part><PartNumber>1</PartNumber><ETag>${sent.ETag}</ETag></Part>`;
      const body = `<CompleteMultipartUpload>${part}</CompleteMultipartUpload>`;
      const path = `/${Bucket}/${Key}?uploadId=${begun.UploadId}`;
      const headers = { "x-amz-server-side-encryption": "AES256" };
      const request = { method: "POST", path, headers, body };
      return { first: await sendSigned(server(), request), request };
    };
    const sealed = await complete("sealed", AES256);
    expect([sealed.first.status, sealed.first.code]).toEqual([200, ""]);
    const { got, bytes } = await read(s3, { Bucket, Key: "sealed" });
    expect([got.ServerSideEncryption, bytes.toString()]).toEqual(["AES256", "sealed"]);
    const retry = await sendSigned(server(), sealed.request);
    expect([retry.status, retry.body]).toEqual([200, sealed.first.body]);
    const clear = await complete("clear", {});
    expect([clear.first.status, clear.first.code]).toEqual([400, "InvalidArgument"]);
    const missing = await refusalOf(s3.send(new HeadObjectCommand({ Bucket, Key: "clear" })));
    expect(missing).toBe("404 NotFound");
  });
});

import { createHash } from "node:crypto";
import {
  type ChecksumAlgorithm,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, patternBytes, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const NINE = "123456789";
/** Checksums of "123456789": the CRC catalogue's check values, and SHA by Node. */
const CHECK_VALUES = {
  CRC32: Buffer.from("cbf43926", "hex").toString("base64"),
  CRC32C: Buffer.from("e3069283", "hex").toString("base64"),
  CRC64NVME: Buffer.from("ae8b14860a799888", "hex").toString("base64"),
  SHA1: createHash("sha1").update(NINE).digest("base64"),
  SHA256: createHash("sha256").update(NINE).digest("base64"),
} as const;
type Algorithm = keyof typeof CHECK_VALUES;
const ALGORITHMS = Object.keys(CHECK_VALUES) as Algorithm[];
/** What this SDK computes without an extra package. */
const BY_SDK = ["CRC32", "CRC32C", "SHA1", "SHA256"] as const satisfies ChecksumAlgorithm[];

const header = (algorithm: Algorithm): string => `x-amz-checksum-${algorithm.toLowerCase()}`;
const MIB = 1024 * 1024;

describe.each(ENGINES)("checksums on %s", (engine) => {
  const server = useServer({ engine });

  test.each(ALGORITHMS)("%s in a header is stored and returned", async (algorithm) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const path = `/${Bucket}/nine`;
    const headers = { [header(algorithm)]: CHECK_VALUES[algorithm] };
    const put = await sendSigned(server(), { method: "PUT", path, headers, body: NINE });
    expect(put.status).toBe(200);
    expect(put.headers[header(algorithm)]).toBe(CHECK_VALUES[algorithm]);
    const asked = { "x-amz-checksum-mode": "ENABLED" };
    const got = await sendSigned(server(), { method: "GET", path, headers: asked });
    expect(got.headers[header(algorithm)]).toBe(CHECK_VALUES[algorithm]);
    expect(got.headers["x-amz-checksum-type"]).toBe("FULL_OBJECT");
    const silent = await sendSigned(server(), { method: "GET", path });
    expect(silent.headers[header(algorithm)]).toBeUndefined();
  });

  test.each(ALGORITHMS)("a wrong %s is refused and nothing is stored", async (algorithm) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const path = `/${Bucket}/nine`;
    const headers = { [header(algorithm)]: CHECK_VALUES[algorithm] };
    const put = await sendSigned(server(), { method: "PUT", path, headers, body: "987654321" });
    expect([put.status, put.code]).toEqual([400, "BadDigest"]);
    const junk = { [header(algorithm)]: "AAAA=" };
    const second = await sendSigned(server(), { method: "PUT", path, headers: junk, body: NINE });
    expect([second.status, second.code]).toEqual([400, "InvalidRequest"]);
    const head = s3.send(new HeadObjectCommand({ Bucket, Key: "nine" }));
    expect(await refusalOf(head)).toBe("404 NotFound");
  });

  test.each(BY_SDK)("the SDK sends %s and checks it on the way back", async (algorithm) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    for (const Body of [Buffer.from(NINE), patternBytes(5 * MIB + 3)]) {
      const put = await s3.send(
        new PutObjectCommand({ Bucket, Key: "k", Body, ChecksumAlgorithm: algorithm }),
      );
      const got = await s3.send(
        new GetObjectCommand({ Bucket, Key: "k", ChecksumMode: "ENABLED" }),
      );
      expect(got[`Checksum${algorithm}`]).toBe(put[`Checksum${algorithm}`]);
      expect(got[`Checksum${algorithm}`]).toBeTruthy();
      const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
      expect(bytes.equals(Body)).toBe(true);
    }
  });

  test("who sends no checksum gets CRC64NVME", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const path = `/${Bucket}/nine`;
    await sendSigned(server(), { method: "PUT", path, body: NINE });
    const head = await s3.send(
      new HeadObjectCommand({ Bucket, Key: "nine", ChecksumMode: "ENABLED" }),
    );
    expect(head.ChecksumCRC64NVME).toBe(CHECK_VALUES.CRC64NVME);
    expect(head.ChecksumType).toBe("FULL_OBJECT");
  });

  test("a copy has the checksum of its source", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(
      new PutObjectCommand({ Bucket, Key: "from", Body: NINE, ChecksumAlgorithm: "SHA256" }),
    );
    await s3.send(new CopyObjectCommand({ Bucket, Key: "to", CopySource: `${Bucket}/from` }));
    const head = await s3.send(
      new HeadObjectCommand({ Bucket, Key: "to", ChecksumMode: "ENABLED" }),
    );
    expect(head.ChecksumSHA256).toBe(CHECK_VALUES.SHA256);
  });

  test("a composite checksum is that of the parts' checksums", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const place = { Bucket, Key: "composite" };
    const { UploadId } = await s3.send(
      new CreateMultipartUploadCommand({ ...place, ChecksumAlgorithm: "SHA256" }),
    );
    const bodies = [patternBytes(5 * MIB), Buffer.from(NINE)];
    const Parts = [];
    for (const [at, Body] of bodies.entries()) {
      const PartNumber = at + 1;
      const part = { ...place, UploadId, PartNumber, Body };
      const sent = await s3.send(new UploadPartCommand({ ...part, ChecksumAlgorithm: "SHA256" }));
      Parts.push({ PartNumber, ETag: sent.ETag, ChecksumSHA256: sent.ChecksumSHA256 });
    }
    await s3.send(
      new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }),
    );
    const digests = bodies.map((body) => createHash("sha256").update(body).digest());
    const whole = createHash("sha256").update(Buffer.concat(digests)).digest("base64");
    const head = await s3.send(new HeadObjectCommand({ ...place, ChecksumMode: "ENABLED" }));
    expect(head.ChecksumSHA256).toBe(`${whole}-2`);
    expect(head.ChecksumType).toBe("COMPOSITE");
  });

  test("a full-object CRC of an upload is that of the whole body", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const bodies = [patternBytes(5 * MIB, 5), Buffer.from(NINE)];
    const single = await s3.send(
      new PutObjectCommand({ Bucket, Key: "single", Body: Buffer.concat(bodies) }),
    );
    expect(single.ChecksumCRC32).toBeTruthy();
    const place = { Bucket, Key: "parts" };
    const { UploadId } = await s3.send(
      new CreateMultipartUploadCommand({
        ...place,
        ChecksumAlgorithm: "CRC32",
        ChecksumType: "FULL_OBJECT",
      }),
    );
    const Parts = [];
    for (const [at, Body] of bodies.entries()) {
      const part = { ...place, UploadId, PartNumber: at + 1, Body };
      const sent = await s3.send(new UploadPartCommand({ ...part, ChecksumAlgorithm: "CRC32" }));
      Parts.push({ PartNumber: at + 1, ETag: sent.ETag, ChecksumCRC32: sent.ChecksumCRC32 });
    }
    const finish = { ...place, UploadId, MultipartUpload: { Parts } };
    const wrong = s3.send(
      new CompleteMultipartUploadCommand({
        ...finish,
        ChecksumType: "FULL_OBJECT",
        ChecksumCRC32: CHECK_VALUES.CRC32,
      }),
    );
    expect(await refusalOf(wrong)).toBe("400 BadDigest");
    await s3.send(new CompleteMultipartUploadCommand(finish));
    const head = await s3.send(new HeadObjectCommand({ ...place, ChecksumMode: "ENABLED" }));
    expect(head.ChecksumCRC32).toBe(single.ChecksumCRC32);
    expect(head.ChecksumType).toBe("FULL_OBJECT");
  });
});

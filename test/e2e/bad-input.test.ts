import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { requestBytes, sendBytes, sendSigned, signedHeaders } from "../support/raw-http.ts";
import { makeBucket, sdkFor } from "../support/sdk.ts";
import { ENGINES, type TestServer, useServer } from "../support/server.ts";
import { type ChunkedUpload, chunkedUpload } from "../support/signed-chunks.ts";

const MIB = 1024 * 1024;
const BODY = "body of a request";
const MD5 = createHash("md5").update(BODY).digest("base64");
const OTHER_MD5 = createHash("md5").update("another").digest("base64");
/** CRC-32 of "123456789" by the CRC catalogue, and of nothing here. */
const NINE_CRC32 = Buffer.from("cbf43926", "hex").toString("base64");
const WRONG_CRC32 = Buffer.from("cbf43927", "hex").toString("base64");

/** No object and no upload is visible, and the server still works. */
async function expectNothingLeft(server: TestServer, Bucket: string): Promise<void> {
  const s3 = sdkFor(server);
  const objects = await s3.send(new ListObjectsV2Command({ Bucket }));
  expect(objects.Contents ?? []).toEqual([]);
  const uploads = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
  expect(uploads.Uploads ?? []).toEqual([]);
  const stored = await s3.send(new PutObjectCommand({ Bucket, Key: "after", Body: "fine" }));
  expect(stored.$metadata.httpStatusCode).toBe(200);
}

describe.each(ENGINES)("bad input on %s", (engine) => {
  const server = useServer({ engine });

  test.each([
    ["Content-MD5 of another body", { "Content-MD5": OTHER_MD5 }, 400, "BadDigest"],
    ["Content-MD5 that is none", { "Content-MD5": "short" }, 400, "InvalidDigest"],
    ["a checksum of another body", { "x-amz-checksum-crc32": WRONG_CRC32 }, 400, "BadDigest"],
    [
      "two checksums",
      { "x-amz-checksum-crc32": NINE_CRC32, "x-amz-checksum-sha1": "x" },
      400,
      "InvalidRequest",
    ],
    [
      "a payload mode nobody knows",
      { "X-Amz-Content-Sha256": "SOMETHING" },
      400,
      "InvalidArgument",
    ],
  ])("%s is refused", async (_name, headers, status, code) => {
    const Bucket = await makeBucket(sdkFor(server()));
    const path = `/${Bucket}/refused`;
    const answer = await sendSigned(server(), { method: "PUT", path, headers, body: BODY });
    expect([answer.status, answer.code]).toEqual([status, code]);
    await expectNothingLeft(server(), Bucket);
  });

  test("the right Content-MD5 is taken, so the tests above refuse for the right reason", async () => {
    const Bucket = await makeBucket(sdkFor(server()));
    const headers = { "Content-MD5": MD5 };
    const path = `/${Bucket}/taken`;
    const answer = await sendSigned(server(), { method: "PUT", path, headers, body: BODY });
    expect(answer.status).toBe(200);
  });

  describe("aws-chunked bodies", () => {
    const chunks = ["x".repeat(64 * 1024), "y".repeat(64 * 1024), "z".repeat(100)];
    const nine = { chunks: ["123456789"] };
    const crc = `x-amz-checksum-crc32:${NINE_CRC32}`;
    const wrongCrc = `x-amz-checksum-crc32:${WRONG_CRC32}`;
    const form = (upload: Omit<ChunkedUpload, "path">) => upload;

    test.each([
      ["signed chunks", form({ chunks })],
      ["signed chunks with a trailer", form({ ...nine, trailer: crc })],
      ["unsigned chunks with a trailer", form({ ...nine, trailer: crc, unsigned: true })],
    ])("%s are taken when all is right", async (_name, upload) => {
      const s3 = sdkFor(server());
      const Bucket = await makeBucket(s3);
      const bytes = chunkedUpload(server(), { ...upload, path: `/${Bucket}/chunked` });
      expect((await sendBytes(server(), bytes))?.status).toBe(200);
      const got = await s3.send(new GetObjectCommand({ Bucket, Key: "chunked" }));
      expect(await got.Body?.transformToString()).toBe(upload.chunks.join(""));
      expect(got.ContentEncoding).toBeUndefined();
    });

    test.each([
      ["an altered chunk", form({ chunks, tamper: (body) => body.replace("yy", "yx") })],
      [
        "a chunk signature changed",
        form({ chunks, tamper: (body) => body.replace(/(chunk-signature=)./, "$1g") }),
      ],
      ["two chunks swapped", form({ chunks, tamper: swapFirstChunks })],
      ["the last chunk missing", form({ chunks, tamper: (body) => body.slice(0, -90) })],
      ["a chunk repeated", form({ chunks, tamper: repeatFirstChunk })],
      ["no signatures at all", form({ chunks, tamper: (b) => b.replace(/;chunk[^\r]*/g, "") })],
      ["a wrong checksum in the trailer", form({ ...nine, trailer: wrongCrc })],
      ["the same, unsigned", form({ ...nine, trailer: wrongCrc, unsigned: true })],
      [
        "a trailer changed after signing",
        form({ ...nine, trailer: crc, tamper: (body) => body.replace(NINE_CRC32, WRONG_CRC32) }),
      ],
      [
        "a trailer signature changed",
        form({ ...nine, trailer: crc, tamper: (b) => b.replace(/(r-signature:)./, "$1g") }),
      ],
      ["a length that promises more", form({ chunks, claimedLength: 200_000 })],
      ["a length that promises less", form({ chunks, claimedLength: 10 })],
      ["a chunk size that is no number", form({ chunks, tamper: (b) => `zz${b}` })],
      ["a chunk size beyond all bounds", form({ chunks, tamper: (b) => `ffffffffff${b}` })],
      ["a chunk below 8 KiB that is not the last", form({ chunks: ["small", "chunks"] })],
      ["bytes behind the end", form({ chunks, tamper: (body) => `${body}more` })],
    ])("%s is refused", async (_name, upload) => {
      const Bucket = await makeBucket(sdkFor(server()));
      const bytes = chunkedUpload(server(), { ...upload, path: `/${Bucket}/refused` });
      const answer = await sendBytes(server(), bytes);
      expect(answer?.status).toBeGreaterThanOrEqual(400);
      expect(answer?.status).toBeLessThan(500);
      await expectNothingLeft(server(), Bucket);
    });
  });

  describe("framing", () => {
    /** A signed PUT whose headers are changed on the wire. */
    async function sendChanged(
      change: (headers: [string, string][]) => [string, string][],
      body: string,
    ) {
      const Bucket = await makeBucket(sdkFor(server()));
      const request = {
        ...{ method: "PUT", path: `/${Bucket}/refused`, body: BODY },
        headers: { "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD" },
      };
      const headers = change(Object.entries(signedHeaders(server(), request)));
      const bytes = requestBytes(request, headers, body);
      return { Bucket, answer: await sendBytes(server(), bytes, { thenEnd: true }) };
    }
    const without = (headers: [string, string][], name: string): [string, string][] =>
      headers.filter(([other]) => other.toLowerCase() !== name);
    const add =
      (...pairs: [string, string][]) =>
      (headers: [string, string][]): [string, string][] => [
        ...without(headers, "content-length"),
        ...pairs,
      ];

    test.each([
      ["a body shorter than promised", add(["Content-Length", "1000"]), BODY],
      ["two lengths", add(["Content-Length", "17"], ["Content-Length", "5"]), BODY],
      ["the same length twice", add(["Content-Length", "17"], ["Content-Length", "17"]), BODY],
      [
        "a length and chunked encoding",
        add(["Content-Length", "17"], ["Transfer-Encoding", "chunked"]),
        `11\r\n${BODY}\r\n0\r\n\r\n`,
      ],
      ["an unknown transfer encoding", add(["Transfer-Encoding", "gzip"]), BODY],
      ["a negative length", add(["Content-Length", "-17"]), BODY],
      ["a length that is no number", add(["Content-Length", "0x11"]), BODY],
      ["a length beyond 5 GiB", add(["Content-Length", "6000000000"]), BODY],
      ["a folded header", add(["Content-Length", "17"], ["X-Folded", "a\r\n b"]), BODY],
      ["NUL in a header", add(["Content-Length", "17"], ["X-Nul", "a\0b"]), BODY],
      ["a space before a colon", add(["Content-Length", "17"], ["X-Space ", "a"]), BODY],
      ["an oversized header", add(["Content-Length", "17"], ["X-Big", "x".repeat(40_000)]), BODY],
      ["500 headers", add(["Content-Length", "17"], ...manyHeaders(500)), BODY],
    ])("%s is refused", async (_name, change, body) => {
      const { Bucket, answer } = await sendChanged(change, body);
      // Closed without a word is a refusal too, but never an answer that says it was stored.
      expect(answer?.status ?? 400).toBeGreaterThanOrEqual(400);
      expect(answer?.status ?? 400).not.toBe(500);
      await expectNothingLeft(server(), Bucket);
    });

    test("a second request hidden behind a body is not executed", async () => {
      const Bucket = await makeBucket(sdkFor(server()));
      const hidden = `PUT /${Bucket}/smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`;
      const body = `0\r\n\r\n${hidden}`;
      const request = { method: "PUT", path: `/${Bucket}/outer`, body: "" };
      const signed = signedHeaders(server(), request);
      const headers = { ...signed, "Content-Length": "5", "Transfer-Encoding": "chunked" };
      const bytes = requestBytes(request, headers, body);
      const answer = await sendBytes(server(), bytes, { thenEnd: true });
      expect(answer?.status ?? 400).toBe(400);
      await expectNothingLeft(server(), Bucket);
    });
  });

  test.each([
    ["1,025 bytes", "x".repeat(1025), "KeyTooLongError"],
    ["1,026 bytes in 513 letters", "%C3%A9".repeat(513), "KeyTooLongError"],
    ["bytes that are not UTF-8", "%FF%FE", "InvalidURI"],
    ["half a surrogate", "%ED%A0%80", "InvalidURI"],
    ["an overlong slash", "%C0%AF", "InvalidURI"],
    ["a broken escape", "a%2", "InvalidURI"],
    ["NUL", "a%00b", ""],
  ])("a key of %s is refused", async (_name, key, code) => {
    const Bucket = await makeBucket(sdkFor(server()));
    const path = `/${Bucket}/${key}`;
    const headers = { Host: server().host, "Content-Length": "0" };
    const signed = signedOrPlain(server(), path) ?? headers;
    const answer = await sendBytes(server(), requestBytes({ method: "PUT", path }, signed));
    expect(answer?.status).toBe(400);
    if (code !== "") expect(answer?.code).toBe(code);
    await expectNothingLeft(server(), Bucket);
  });

  test.each([
    ["not XML", "nonsense"],
    ["another document", "<Other/>"],
    ["no end", "<Delete><Object><Key>a</Key></Object>"],
    ["an entity", '<!DOCTYPE d [<!ENTITY e "x">]><Delete><Object><Key>&e;</Key></Object></Delete>'],
    ["a file from outside", '<!DOCTYPE d SYSTEM "file:///etc/passwd"><Delete/>'],
    ["1,000 levels", `${"<Delete>".repeat(1000)}${"</Delete>".repeat(1000)}`],
    ["5 MiB", `<Delete><Object><Key>${"x".repeat(5 * MIB)}</Key></Object></Delete>`],
    ["nothing", ""],
  ])("XML with %s is refused", async (_name, xml) => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const answer = await sendSigned(server(), {
      ...{ method: "POST", path: `/${Bucket}?delete`, body: xml },
      headers: { "Content-MD5": createHash("md5").update(xml).digest("base64") },
    });
    expect(answer.status).toBe(400);
    expect(["MalformedXML", "MaxMessageLengthExceeded", "MissingRequestBodyError"]).toContain(
      answer.code,
    );
    await expectNothingLeft(server(), Bucket);
  });
});

describe.each(ENGINES)("refused uploads on %s", (engine) => {
  const segmentBytes = 64 * MIB;
  const server = useServer({ engine, flags: ["--segment-size", String(segmentBytes)] });

  test("200 refused uploads of 10 MiB give their space back", async () => {
    const Bucket = await makeBucket(sdkFor(server()));
    const body = Buffer.alloc(10 * MIB, "refused");
    const beforeBytes = diskUsage(server().dataDirectory);
    const headers = {
      "Content-MD5": OTHER_MD5,
      "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD",
      "Content-Length": String(body.length),
    };
    let sent = 0;
    const client = async (): Promise<void> => {
      while (sent < 200) {
        sent += 1;
        const request = { method: "PUT", path: `/${Bucket}/refused-${sent}`, headers };
        const signed = signedHeaders(server(), request);
        const answer = await sendBytes(server(), requestBytes(request, signed, body));
        expect([answer?.status, answer?.code]).toEqual([400, "BadDigest"]);
      }
    };
    await Promise.all([client(), client(), client(), client()]);
    await expectNothingLeft(server(), Bucket);
    // What stays is at most what the open segments hold; the rest goes within housekeeping's time.
    const allowedBytes = beforeBytes + 3 * segmentBytes;
    const deadlineMs = Date.now() + 100_000;
    while (diskUsage(server().dataDirectory) > allowedBytes && Date.now() < deadlineMs) {
      await sleep(500);
    }
    expect(diskUsage(server().dataDirectory)).toBeLessThanOrEqual(allowedBytes);
  });
});

/** Bytes a directory takes on the disk. */
function diskUsage(directory: string): number {
  const output = execFileSync("du", ["-s", "--block-size=1", directory]).toString();
  return Number(output.split("\t")[0]);
}

/** A signature, unless the signer itself stumbles over the path. */
function signedOrPlain(server: TestServer, path: string): Record<string, string> | undefined {
  try {
    return signedHeaders(server, { method: "PUT", path, body: "" });
  } catch (failure) {
    if (failure instanceof URIError) return undefined;
    throw failure;
  }
}

function manyHeaders(count: number): [string, string][] {
  return Array.from({ length: count }, (_, at) => [`X-Many-${at}`, "x"]);
}

/** One chunk of 64 KiB with its header line. */
const FIRST_CHUNK = /^10000;chunk-signature=[0-9a-f]{64}\r\nx+\r\n/;

function swapFirstChunks(body: string): string {
  const first = FIRST_CHUNK.exec(body)?.[0] ?? "";
  const second = body.slice(first.length, 2 * first.length);
  return second + first + body.slice(2 * first.length);
}

function repeatFirstChunk(body: string): string {
  return (FIRST_CHUNK.exec(body)?.[0] ?? "") + body;
}

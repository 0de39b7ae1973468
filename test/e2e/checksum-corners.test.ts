import { createHash } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { sendBytes, sendSigned } from "../support/raw-http.ts";
import { makeBucket, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";
import { type ChunkedUpload, chunkedUpload } from "../support/signed-chunks.ts";

const NINE = "123456789";
/** Checksums of "123456789": the CRC catalogue's check values, and SHA by Node. */
const NINES = {
  crc32: Buffer.from("cbf43926", "hex").toString("base64"),
  crc32c: Buffer.from("e3069283", "hex").toString("base64"),
  crc64nvme: Buffer.from("ae8b14860a799888", "hex").toString("base64"),
  sha1: createHash("sha1").update(NINE).digest("base64"),
  sha256: createHash("sha256").update(NINE).digest("base64"),
} as const;
type Algorithm = keyof typeof NINES;
const ALGORITHMS = Object.keys(NINES) as Algorithm[];

/** The same number of bytes, and another value. */
function otherThan(value: string): string {
  const bytes = Buffer.from(value, "base64");
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  return bytes.toString("base64");
}

describe.each(ENGINES)("corners of checksums on %s", (engine) => {
  const server = useServer({ engine });
  let Bucket = "";

  beforeAll(async () => {
    Bucket = await makeBucket(sdkFor(server()));
  });

  const send = (method: string, path: string, headers = {}, body?: string) =>
    sendSigned(server(), {
      ...{ method, path: `/${Bucket}${path}`, headers },
      ...(body === undefined ? {} : { body }),
    });
  const sendChunked = (key: string, upload: Partial<ChunkedUpload>) =>
    sendBytes(
      server(),
      chunkedUpload(server(), { chunks: [NINE], ...upload, path: `/${Bucket}${key}` }),
    );

  describe.each([false, true])("in a trailer, unsigned chunks %s", (unsigned) => {
    test.each(ALGORITHMS)("%s is stored when it is right, and else refused", async (algorithm) => {
      const name = `x-amz-checksum-${algorithm}`;
      const key = `/trailer-${algorithm}-${unsigned}`;
      const wrong = await sendChunked(key, {
        ...{ unsigned, trailer: `${name}:${otherThan(NINES[algorithm])}` },
      });
      expect([wrong?.status, wrong?.code]).toEqual([400, "BadDigest"]);
      const junk = await sendChunked(key, { unsigned, trailer: `${name}:AAA=` });
      expect([junk?.status, junk?.code]).toEqual([400, "InvalidRequest"]);
      expect((await send("GET", key)).code).toBe("NoSuchKey");
      const right = await sendChunked(key, { unsigned, trailer: `${name}:${NINES[algorithm]}` });
      expect(right?.status).toBe(200);
      expect(right?.headers[name]).toBe(NINES[algorithm]);
      const got = await send("GET", key, { "x-amz-checksum-mode": "ENABLED" });
      expect([got.body, got.headers[name]]).toEqual([NINE, NINES[algorithm]]);
      expect(got.headers["content-encoding"]).toBeUndefined();
    });

    test("a trailer of no bytes at all belongs to an empty object", async () => {
      const trailer = "x-amz-checksum-crc32:AAAAAA==";
      const put = await sendChunked("/nothing", { unsigned, trailer, chunks: [] });
      expect(put?.status).toBe(200);
      const got = await send("GET", "/nothing");
      expect([got.status, got.headers["content-length"]]).toEqual([200, "0"]);
    });

    test("the trailer must be the one that was announced", async () => {
      const put = await sendChunked("/announced", {
        ...{ unsigned, trailer: `x-amz-checksum-crc32:${NINES.crc32}` },
        headers: { "X-Amz-Trailer": "x-amz-checksum-sha1" },
      });
      expect(put?.status).toBe(400);
      expect((await send("GET", "/announced")).code).toBe("NoSuchKey");
    });
  });

  test.each([
    [{ "x-amz-checksum-crc32": NINES.crc32, "x-amz-checksum-sha1": NINES.sha1 }, "InvalidRequest"],
    [{ "x-amz-sdk-checksum-algorithm": "CRC32" }, "InvalidRequest"],
    [{ "x-amz-sdk-checksum-algorithm": "MD4", "x-amz-checksum-md4": "x" }, "InvalidRequest"],
    [{ "x-amz-checksum-crc32": "" }, "InvalidRequest"],
    [{ "x-amz-trailer": "x-amz-checksum-crc32" }, "InvalidRequest"],
    [{ "Content-MD5": "" }, "InvalidDigest"],
    [{ "Content-MD5": "YWJyYWNhZGFicmE=" }, "InvalidDigest"],
    [{ "Content-MD5": "rL0Y20zC+Fzt72VPzMSk2A==" }, "BadDigest"],
  ])("a body with %j is refused", async (headers, code) => {
    const put = await send("PUT", "/refused", headers, NINE);
    expect([put.status, put.code]).toEqual([400, code]);
    expect((await send("GET", "/refused")).code).toBe("NoSuchKey");
  });

  test("the mode decides whether a read shows checksums, and parts of it have none", async () => {
    await send("PUT", "/shown", { "x-amz-checksum-crc32c": NINES.crc32c }, NINE);
    const mode = { "x-amz-checksum-mode": "ENABLED" };
    expect((await send("GET", "/shown")).headers["x-amz-checksum-crc32c"]).toBeUndefined();
    expect((await send("GET", "/shown", mode)).headers["x-amz-checksum-crc32c"]).toBe(NINES.crc32c);
    const range = await send("GET", "/shown", { ...mode, Range: "bytes=1-3" });
    expect([range.body, range.headers["x-amz-checksum-crc32c"]]).toEqual(["234", undefined]);
    for (const Range of ["bytes=0-", "bytes=0-8", "bytes=-100"]) {
      const all = await send("GET", "/shown", { ...mode, Range });
      const { "content-range": place, "x-amz-checksum-crc32c": checksum } = all.headers;
      expect([all.status, place, checksum]).toEqual([206, "bytes 0-8/9", NINES.crc32c]);
    }
  });

  test("a copy can be given a checksum of another kind", async () => {
    await send("PUT", "/plain", { "x-amz-checksum-crc32": NINES.crc32 }, NINE);
    const copied = await send("PUT", "/rehashed", {
      "x-amz-copy-source": `/${Bucket}/plain`,
      "x-amz-checksum-algorithm": "SHA256",
    });
    expect(copied.body).toContain(`<ChecksumSHA256>${NINES.sha256}</ChecksumSHA256>`);
    const unknown = await send("PUT", "/rehashed", {
      "x-amz-copy-source": `/${Bucket}/plain`,
      "x-amz-checksum-algorithm": "MD4",
    });
    expect([unknown.status, unknown.code]).toEqual([400, "InvalidRequest"]);
  });

  test.each(ALGORITHMS)(
    "an upload of one part takes a whole-object %s or says no",
    async (name) => {
      const algorithm = name.toUpperCase();
      const begun = await send("POST", `/full-${name}?uploads`, {
        "x-amz-checksum-algorithm": algorithm,
        "x-amz-checksum-type": "FULL_OBJECT",
      });
      if (name.startsWith("sha")) {
        expect([begun.status, begun.code]).toEqual([400, "InvalidRequest"]);
        return;
      }
      expect(begun.headers["x-amz-checksum-type"]).toBe("FULL_OBJECT");
      const place = `/full-${name}?uploadId=${/<UploadId>([^<]+)</.exec(begun.body)?.[1]}`;
      const claim = { [`x-amz-checksum-${name}`]: NINES[name] };
      const part = await send("PUT", `${place}&partNumber=1`, claim, NINE);
      const xml =
        `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>` +
        `<ETag>${part.headers["etag"]}</ETag></Part></CompleteMultipartUpload>`;
      const wrong = { [`x-amz-checksum-${name}`]: otherThan(NINES[name]) };
      expect((await send("POST", place, wrong, xml)).code).toBe("BadDigest");
      const type = { "x-amz-checksum-type": "COMPOSITE" };
      expect((await send("POST", place, type, xml)).code).toBe("BadDigest");
      const done = await send("POST", place, claim, xml);
      expect(done.body).toContain(`<Checksum${algorithm}>${NINES[name]}</Checksum${algorithm}>`);
      expect(done.body).toContain("<ChecksumType>FULL_OBJECT</ChecksumType>");
    },
  );

  test("a part with a wrong digest, or of another algorithm, is no part", async () => {
    const headers = { "x-amz-checksum-algorithm": "CRC32C" };
    const begun = await send("POST", "/parts?uploads", headers);
    expect(begun.headers["x-amz-checksum-algorithm"]).toBe("CRC32C");
    const place = `/parts?uploadId=${/<UploadId>([^<]+)</.exec(begun.body)?.[1]}`;
    for (const [claim, code] of [
      [{ "Content-MD5": "rL0Y20zC+Fzt72VPzMSk2A==" }, "BadDigest"],
      [{ "x-amz-checksum-crc32c": NINES.crc32 }, "BadDigest"],
      [{ "x-amz-checksum-sha1": NINES.sha1 }, "InvalidRequest"],
    ] as const) {
      expect((await send("PUT", `${place}&partNumber=1`, claim, NINE)).code).toBe(code);
    }
    expect((await send("GET", place)).body).not.toContain("<Part>");
  });
});

import { expect, test } from "vitest";
import { headersOf } from "../../../test/support/headers.ts";
import { parseAccessKeyId } from "../../core/names.ts";
import type { Credential } from "./credentials.ts";
import { SigningKeys } from "./signing-key.ts";
import { type AuthRequest, authenticate } from "./verify.ts";

/**
 * The worked examples of AWS's own pages, with the key that AWS publishes for them:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 */
const KEY_ID = "AKIAIOSFODNN7EXAMPLE";
const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const BUCKET_HOST = "examplebucket.s3.amazonaws.com";
const SCOPE = "20130524/us-east-1/s3/aws4_request";

function credential(): Credential {
  const id = parseAccessKeyId(KEY_ID);
  if (id === undefined) throw new Error("the example key must be a key");
  const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
  return { id, secret, kind: "root", name: "example", policies: [] };
}

function verifyAt(moment: string, request: AuthRequest) {
  return authenticate(request, {
    lookup: (id) => (id === KEY_ID ? credential() : undefined),
    region: "us-east-1",
    nowMs: () => Date.parse(moment),
    signingKeys: new SigningKeys(),
  });
}

function signed(
  method: string,
  target: string,
  headers: Readonly<Record<string, string>>,
  signature: string,
): AuthRequest {
  const [rawPath = "", rawQuery = ""] = target.split("?");
  const names = Object.keys(headers).toSorted().join(";");
  const authorization =
    `AWS4-HMAC-SHA256 Credential=${KEY_ID}/${SCOPE},SignedHeaders=${names},` +
    `Signature=${signature}`;
  const lines = [...Object.entries(headers), ["authorization", authorization] as const];
  return { method, rawPath, rawQuery, headers: headersOf(lines) };
}

const DATE = { "x-amz-date": "20130524T000000Z" };
const EMPTY = { "x-amz-content-sha256": EMPTY_SHA256 };

test.each([
  [
    "GET of an object with a range",
    signed(
      "GET",
      "/test.txt",
      { host: BUCKET_HOST, range: "bytes=0-9", ...EMPTY, ...DATE },
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
  ],
  [
    "PUT of an object whose key holds a dollar sign",
    signed(
      "PUT",
      "/test$file.text",
      {
        date: "Fri, 24 May 2013 00:00:00 GMT",
        host: BUCKET_HOST,
        "x-amz-content-sha256": "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        ...DATE,
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
      },
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
  ],
  [
    "GET of a subresource",
    signed(
      "GET",
      "/?lifecycle",
      { host: BUCKET_HOST, ...EMPTY, ...DATE },
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
  ],
  [
    "a listing",
    signed(
      "GET",
      "/?max-keys=2&prefix=J",
      { host: BUCKET_HOST, ...EMPTY, ...DATE },
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
  ],
])("AWS's example holds: %s", (_name, request) => {
  const result = verifyAt("2013-05-24T00:05:00Z", request);
  expect(result.credential.id).toBe(KEY_ID);
  expect(result.presigned).toBe(false);
  expect(result.payload).toEqual({
    kind: "signed",
    sha256: request.headers.get("x-amz-content-sha256"),
  });
});

test("AWS's example of a presigned URL holds for a day and not longer", () => {
  const query =
    `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${KEY_ID}%2F20130524%2Fus-east-1%2Fs3` +
    "%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
  const request = {
    method: "GET",
    rawPath: "/test.txt",
    rawQuery: query,
    headers: headersOf([["host", BUCKET_HOST]]),
  };
  const result = verifyAt("2013-05-24T23:59:59Z", request);
  expect([result.presigned, result.payload]).toEqual([true, { kind: "unsigned" }]);
  expect(() => verifyAt("2013-05-25T00:00:01Z", request)).toThrow("Request has expired");
});

test.each([
  [
    "chunks",
    false,
    {
      "content-encoding": "aws-chunked",
      "content-length": "66824",
      host: "s3.amazonaws.com",
      "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      ...DATE,
      "x-amz-decoded-content-length": "66560",
      "x-amz-storage-class": "REDUCED_REDUNDANCY",
    },
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
  ],
  [
    "chunks and a trailer",
    true,
    {
      "content-encoding": "aws-chunked",
      host: "s3.amazonaws.com",
      "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
      ...DATE,
      "x-amz-decoded-content-length": "66560",
      "x-amz-storage-class": "REDUCED_REDUNDANCY",
      "x-amz-trailer": "x-amz-checksum-crc32c",
    },
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
  ],
])("AWS's example of an upload in signed %s gives the seed", (_name, trailer, headers, seed) => {
  const request = signed("PUT", "/examplebucket/chunkObject.txt", headers, seed);
  const { payload } = verifyAt("2013-05-24T00:00:00Z", request);
  expect(payload).toMatchObject({
    kind: "streaming-signed",
    seedSignature: seed,
    scope: SCOPE,
    date: "20130524T000000Z",
    trailer,
  });
});

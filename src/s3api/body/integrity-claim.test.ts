import { expect, test } from "vitest";
import { headersOf } from "../../../test/support/headers.ts";
import { S3Error } from "../errors.ts";
import { readIntegrityClaim } from "./integrity-claim.ts";

type Lines = ReadonlyArray<readonly [string, string]>;

function codeOf(lines: Lines): string {
  try {
    readIntegrityClaim(headersOf(lines));
    return "accepted";
  } catch (failure) {
    if (failure instanceof S3Error) return failure.code;
    throw failure;
  }
}

test("without headers nothing is claimed", () => {
  const none = { md5: undefined, checksum: undefined };
  expect(readIntegrityClaim(headersOf([["host", "x"]]))).toEqual(none);
  const settings: Lines = [
    ["x-amz-checksum-algorithm", "SHA256"],
    ["x-amz-checksum-type", "COMPOSITE"],
    ["x-amz-checksum-mode", "ENABLED"],
  ];
  expect(readIntegrityClaim(headersOf(settings))).toEqual(none);
});

test.each([
  ["crc32", "CRC32", "DUoRhQ=="],
  ["crc32c", "CRC32C", "yZRlqg=="],
  ["crc64nvme", "CRC64NVME", "AAAAAAAAAAA="],
  ["sha1", "SHA1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0="],
  ["sha256", "SHA256", "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="],
])("a checksum in the header %s is read", (suffix, algorithm, value) => {
  const lines: Lines = [
    [`x-amz-checksum-${suffix}`, value],
    ["x-amz-sdk-checksum-algorithm", algorithm],
  ];
  expect(readIntegrityClaim(headersOf(lines)).checksum).toEqual({ algorithm, value });
  const trailer: Lines = [["x-amz-trailer", `x-amz-checksum-${suffix}`]];
  const promised = { algorithm, value: undefined };
  expect(readIntegrityClaim(headersOf(trailer)).checksum).toEqual(promised);
});

test("Content-MD5 is read as bytes", () => {
  const { md5 } = readIntegrityClaim(headersOf([["content-md5", "XrY7u+Ae7tCTyyK7j1rNww=="]]));
  expect(Buffer.from(md5 ?? []).toString("hex")).toBe("5eb63bbbe01eeed093cb22bb8f5acdc3");
});

test.each([
  ["an empty MD5", "InvalidDigest", [["content-md5", ""]]],
  ["a short MD5", "InvalidDigest", [["content-md5", "XrY7u+Ae7tCTyyK7j1rN"]]],
  ["an MD5 in hex", "InvalidDigest", [["content-md5", "5eb63bbbe01eeed093cb22bb8f5acdc3"]]],
  ["an MD5 that is not canonical", "InvalidDigest", [["content-md5", "XrY7u+Ae7tCTyyK7j1rNwx=="]]],
  [
    "two MD5s",
    "InvalidDigest",
    [
      ["content-md5", "XrY7u+Ae7tCTyyK7j1rNww=="],
      ["content-md5", "XrY7u+Ae7tCTyyK7j1rNww=="],
    ],
  ],
  ["an empty checksum", "InvalidRequest", [["x-amz-checksum-crc32", ""]]],
  ["a checksum of another length", "InvalidRequest", [["x-amz-checksum-crc32", "AAAAAAAAAAA="]]],
  ["a checksum that is no base64", "InvalidRequest", [["x-amz-checksum-crc32", "DUoR!Q=="]]],
  ["a checksum with a comma", "InvalidRequest", [["x-amz-checksum-crc32", "DUoRhQ==,DUoRhQ=="]]],
  ["an unknown algorithm", "InvalidRequest", [["x-amz-checksum-xxhash64", "AAAAAAAAAAA="]]],
  [
    "two checksums",
    "InvalidRequest",
    [
      ["x-amz-checksum-crc32", "DUoRhQ=="],
      ["x-amz-checksum-crc32c", "yZRlqg=="],
    ],
  ],
  [
    "a checksum and a trailer",
    "InvalidRequest",
    [
      ["x-amz-checksum-crc32", "DUoRhQ=="],
      ["x-amz-trailer", "x-amz-checksum-crc32"],
    ],
  ],
  ["a trailer that is no checksum", "InvalidRequest", [["x-amz-trailer", "x-amz-meta-a"]]],
  [
    "two trailers",
    "InvalidRequest",
    [["x-amz-trailer", "x-amz-checksum-crc32,x-amz-checksum-sha1"]],
  ],
  [
    "an algorithm without its checksum",
    "InvalidRequest",
    [["x-amz-sdk-checksum-algorithm", "CRC32"]],
  ],
  [
    "an algorithm that differs from its checksum",
    "InvalidRequest",
    [
      ["x-amz-sdk-checksum-algorithm", "CRC32C"],
      ["x-amz-checksum-crc32", "DUoRhQ=="],
    ],
  ],
  ["an algorithm nobody knows", "InvalidRequest", [["x-amz-sdk-checksum-algorithm", "MD4"]]],
] as ReadonlyArray<readonly [string, string, Lines]>)(
  "%s is refused with %s",
  (_n, code, lines) => {
    expect(codeOf(lines)).toBe(code);
  },
);

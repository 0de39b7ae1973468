import { expect, test } from "vitest";
import { S3Error } from "../errors.ts";
import { headersOf, withHoistedHeaders } from "./header-list.ts";

test("repeated headers are joined and counted", () => {
  const headers = headersOf([
    ["x-amz-meta-a", "1"],
    ["x-amz-meta-a", "2"],
  ]);
  expect(headers.get("x-amz-meta-a")).toBe("1,2");
  expect(headers.count("x-amz-meta-a")).toBe(2);
  expect(headers.get("x-amz-meta-b")).toBeUndefined();
});

test("headers in a presigned query count as headers", () => {
  const headers = withHoistedHeaders(headersOf({ host: "h" }), [
    ["X-Amz-Meta-Colour", "blue"],
    ["x-amz-acl", "private"],
  ]);
  expect(headers.get("x-amz-meta-colour")).toBe("blue");
  expect(headers.get("x-amz-acl")).toBe("private");
  expect(headers.get("host")).toBe("h");
});

test("a header that was sent wins over the same name in the query", () => {
  const headers = withHoistedHeaders(headersOf({ "x-amz-acl": "private" }), [
    ["x-amz-acl", "public-read"],
  ]);
  expect(headers.get("x-amz-acl")).toBe("private");
});

test("the signature's own parameters are no headers", () => {
  const plain = headersOf({ host: "h" });
  const query = [
    ["X-Amz-Signature", "1"],
    ["X-Amz-Date", "2"],
    ["prefix", "x"],
  ] as const;
  expect(withHoistedHeaders(plain, query)).toBe(plain);
});

test("the checksum of a body nobody had when the URL was presigned is not a claim", () => {
  const plain = headersOf({ host: "h" });
  const query = [
    ["x-amz-checksum-crc32", "AAAAAA=="],
    ["x-amz-sdk-checksum-algorithm", "CRC32"],
  ] as const;
  expect(withHoistedHeaders(plain, query)).toBe(plain);
});

test("a parameter whose value no header can have is refused", () => {
  const refused = expect.objectContaining({ code: "InvalidArgument" });
  const plain = headersOf({ host: "h" });
  expect(() => withHoistedHeaders(plain, [["x-amz-meta-a", "1\r\nb: c"]])).toThrow(refused);
  expect(withHoistedHeaders(plain, [["x-amz-meta-a", "\u00fc"]]).get("x-amz-meta-a")).toBe("ü");
});

test.each(["x-amz-meta-a b", "x-amz-meta-a\r\nb", "X-Amz-Meta-\u00fc", "x-amz-meta-a:b"])(
  "a parameter %j, which no header can be called, is refused and not stored where none sees it",
  (name) => {
    const plain = headersOf({ host: "h" });
    const refused = expect.objectContaining({ code: "InvalidArgument" });
    expect(() => withHoistedHeaders(plain, [[name, "1"]])).toThrow(refused);
    expect(() => withHoistedHeaders(plain, [[name, "1"]])).toThrow(S3Error);
  },
);

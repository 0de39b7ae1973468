import { expect, test } from "vitest";
import { headersOf } from "./headers/header-list.ts";
import { screenHeaders } from "./screen.ts";

const OWNER = "owner-id";

test.each([
  ["x-amz-grant-read", "id=1"],
  ["x-amz-mfa", "1 2"],
  ["x-amz-write-offset-bytes", "0"],
  ["x-amz-bucket-namespace", "account-regional"],
  ["x-amz-if-match-initiated-time", "Mon, 01 Jan 2024 00:00:00 GMT"],
  ["x-amz-object-lock-event-hold", "ON"],
  ["x-amz-object-lock-event-hold-duration-days", "10"],
  ["x-amz-object-lock-of-next-year", "ON"],
])("%s: %s is a demand, and refused by name", (name, value) => {
  expect(() => screenHeaders(headersOf({ [name]: value }), OWNER, undefined)).toThrow(
    expect.objectContaining({ code: "NotImplemented", fields: { Header: name } }),
  );
});

test.each([
  ["x-amz-acl", "private"],
  ["x-amz-acl", "public-read"],
  ["x-amz-bucket-namespace", "global"],
  ["x-amz-bucket-object-lock-enabled", "true"],
  ["x-amz-object-lock-event-hold", "OFF"],
  ["x-amz-object-ownership", "ObjectWriter"],
  ["x-amz-meta-acl", "public-read"],
  ["x-amz-server-side-encryption", "AES256"],
  ["x-amz-expected-bucket-owner", OWNER],
  ["x-amz-expected-bucket-owner", "000000000000"],
  ["content-type", "text/plain"],
])("%s: %s demands nothing we do not do", (name, value) => {
  expect(() => screenHeaders(headersOf({ [name]: value }), OWNER, undefined)).not.toThrow();
});

test("a demand is met by the operation that is there for it, and by no other", () => {
  const headers = headersOf({ "x-amz-write-offset-bytes": "7" });
  expect(() => screenHeaders(headers, OWNER, undefined, "x-amz-copy-source")).toThrow();
  const own = "x-amz-write-offset-bytes";
  expect(() => screenHeaders(headers, OWNER, undefined, own)).not.toThrow();
});

test("a bucket of another owner than expected is not touched", () => {
  const headers = headersOf({ "x-amz-expected-bucket-owner": "somebody else" });
  expect(() => screenHeaders(headers, OWNER, undefined)).toThrow(
    expect.objectContaining({ code: "AccessDenied" }),
  );
});

test.each(["mode", "retain-until-date", "legal-hold"])(
  "a lock (%s) is taken only by a bucket with object lock",
  (name) => {
    const headers = headersOf({ [`x-amz-object-lock-${name}`]: "anything" });
    expect(() => screenHeaders(headers, OWNER, new Map())).toThrow(
      expect.objectContaining({
        code: "InvalidRequest",
        message: "Bucket is missing ObjectLockConfiguration",
      }),
    );
    const locked = new Map([["object-lock", new Uint8Array()]]);
    expect(() => screenHeaders(headers, OWNER, locked)).not.toThrow();
  },
);

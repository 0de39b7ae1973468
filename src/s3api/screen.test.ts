import { expect, test } from "vitest";
import { headersOf } from "./headers/header-list.ts";
import { screenHeaders } from "./screen.ts";

const OWNER = "owner-id";

test.each([
  ["x-amz-grant-read", "id=1"],
  ["x-amz-mfa", "1 2"],
  ["x-amz-object-lock-mode", "GOVERNANCE"],
  ["x-amz-object-lock-legal-hold", "ON"],
  ["x-amz-bucket-object-lock-enabled", "true"],
  ["x-amz-write-offset-bytes", "0"],
])("%s: %s is a demand, and refused by name", (name, value) => {
  expect(() => screenHeaders(headersOf({ [name]: value }), OWNER)).toThrow(
    expect.objectContaining({ code: "NotImplemented", fields: { Header: name } }),
  );
});

test.each([
  ["x-amz-acl", "private"],
  ["x-amz-acl", "public-read"],
  ["x-amz-bucket-object-lock-enabled", "false"],
  ["x-amz-object-ownership", "ObjectWriter"],
  ["x-amz-meta-acl", "public-read"],
  ["x-amz-server-side-encryption", "AES256"],
  ["x-amz-expected-bucket-owner", OWNER],
  ["content-type", "text/plain"],
])("%s: %s demands nothing we do not do", (name, value) => {
  expect(() => screenHeaders(headersOf({ [name]: value }), OWNER)).not.toThrow();
});

test("a bucket of another owner than expected is not touched", () => {
  const headers = headersOf({ "x-amz-expected-bucket-owner": "somebody else" });
  expect(() => screenHeaders(headers, OWNER)).toThrow(
    expect.objectContaining({ code: "AccessDenied" }),
  );
});

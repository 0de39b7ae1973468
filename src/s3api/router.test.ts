import { describe, expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { headersOf } from "./headers/header-list.ts";
import type { OperationRow } from "./operation.ts";
import { OPERATIONS } from "./operations.ts";
import { type Route, refuseUnknownParameters, routeRequest } from "./router.ts";

type Lines = Readonly<Record<string, string>>;

function route(line: string, headers: Lines = {}, domains: readonly string[] = []): Route {
  const [method = "", target = ""] = line.split(" ");
  return routeRequest({ method, target, headers: headersOf(headers) }, domains);
}

/** Everything but the query, which is tested by itself. */
function summary(found: Route): string {
  return [found.operation ?? "none", found.bucketText, found.key]
    .filter((part) => part !== undefined)
    .join(" ");
}

test.each([
  ["GET /", "ListBuckets"],
  ["GET /?x-id=ListBuckets", "ListBuckets"],
  ["PUT /photos", "CreateBucket photos"],
  ["PUT /photos/", "CreateBucket photos"],
  ["HEAD /photos", "HeadBucket photos"],
  ["DELETE /photos", "DeleteBucket photos"],
  ["GET /photos", "ListObjects photos"],
  ["GET /photos?list-type=2", "ListObjectsV2 photos"],
  ["GET /photos?list-type=1", "ListObjects photos"],
  ["GET /photos?versions", "ListObjectVersions photos"],
  ["GET /photos?uploads", "ListMultipartUploads photos"],
  ["GET /photos?location", "GetBucketLocation photos"],
  ["GET /photos?versioning", "GetBucketVersioning photos"],
  ["PUT /photos?versioning", "PutBucketVersioning photos"],
  ["GET /photos?analytics", "ListBucketAnalyticsConfigurations photos"],
  ["GET /photos?analytics&id=1", "GetBucketAnalyticsConfiguration photos"],
  ["POST /photos?delete", "DeleteObjects photos"],
  ["POST /photos", "PostObject photos"],
  ["GET /photos/cat.jpg", "GetObject photos cat.jpg"],
  ["GET /photos/cat.jpg?partNumber=1", "GetObject photos cat.jpg"],
  ["HEAD /photos/cat.jpg", "HeadObject photos cat.jpg"],
  ["PUT /photos/cat.jpg", "PutObject photos cat.jpg"],
  ["PUT /photos/cat.jpg?partNumber=1&uploadId=u", "UploadPart photos cat.jpg"],
  ["PUT /photos/cat.jpg?uploadId=u", "PutObject photos cat.jpg"],
  ["POST /photos/cat.jpg?uploads", "CreateMultipartUpload photos cat.jpg"],
  ["POST /photos/cat.jpg?uploadId=u", "CompleteMultipartUpload photos cat.jpg"],
  ["GET /photos/cat.jpg?uploadId=u", "ListParts photos cat.jpg"],
  ["DELETE /photos/cat.jpg?uploadId=u", "AbortMultipartUpload photos cat.jpg"],
  ["DELETE /photos/cat.jpg", "DeleteObject photos cat.jpg"],
  ["GET /photos/cat.jpg?tagging", "GetObjectTagging photos cat.jpg"],
  ["POST /photos/cat.jpg?select&select-type=2", "SelectObjectContent photos cat.jpg"],
  ["PATCH /photos/cat.jpg", "none photos cat.jpg"],
  ["POST /photos/cat.jpg", "none photos cat.jpg"],
  ["DELETE /", "none"],
])("%s is %s", (line, expected) => {
  expect(summary(route(line))).toBe(expected);
});

test("a copy source makes a copy", () => {
  const headers = { "x-amz-copy-source": "a/b" };
  expect(route("PUT /photos/k", headers).operation).toBe("CopyObject");
  expect(route("PUT /photos/k?partNumber=1&uploadId=u", headers).operation).toBe("UploadPartCopy");
});

describe("keys", () => {
  test.each([
    ["/photos//x", "/x"],
    ["/photos/..", ".."],
    ["/photos/../secret", "../secret"],
    ["/photos/a/./b", "a/./b"],
    ["/photos/a%2Fb", "a/b"],
    ["/photos/%2e%2e", ".."],
    ["/photos/a+b", "a+b"],
    ["/photos/%252F", "%2F"],
    ["/photos/a%3Fb", "a?b"],
    ["/photos/C:%5Cx", "C:\\x"],
    ["/photos/%F0%9F%90%9F", "🐟"],
  ])("%s names %j", (target, key) => {
    const found = route(`GET ${target}`);
    expect([found.bucket, found.key]).toEqual(["photos", key]);
  });

  test("are decoded once, whatever they hold", () => {
    const anyKey = fc.string({ unit: "grapheme", minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(anyKey, (key) => {
        fc.pre(key.isWellFormed() && !key.includes("\0") && Buffer.byteLength(key) <= 1024);
        expect(route(`GET /photos/${encodeURIComponent(key)}`).key).toBe(key);
      }),
    );
  });

  test.each([
    [`/photos/${"x".repeat(1025)}`, "KeyTooLongError"],
    [`/photos/${"%C3%A9".repeat(513)}`, "KeyTooLongError"],
    ["/photos/%FF", "InvalidURI"],
    ["/photos/a%00b", "InvalidURI"],
    ["/photos/a%2", "InvalidURI"],
    ["//key", "InvalidBucketName"],
  ])("%s is refused as %s", (target, code) => {
    expect(() => route(`PUT ${target}`)).toThrow(expect.objectContaining({ code }));
  });
});

test("a name that no bucket can have is kept as text only", () => {
  const found = route("GET /Not_A_Bucket/key");
  expect([found.bucket, found.bucketText, found.key]).toEqual([undefined, "Not_A_Bucket", "key"]);
});

test("an encoded slash does not end the bucket's name", () => {
  expect(route("GET /photos%2Fkey").bucketText).toBe("photos/key");
});

describe("virtual hosts", () => {
  const domains = ["s3.example.test", "[::1]"];
  const at = (host: string, line: string) => summary(route(line, { host }, domains));

  test.each([
    ["photos.s3.example.test", "GET /a/b", "GetObject photos a/b"],
    ["photos.s3.example.test:9000", "GET /", "ListObjects photos"],
    ["PHOTOS.S3.Example.Test", "GET //x", "GetObject photos /x"],
    ["my.dotted.bucket.s3.example.test", "GET /k", "GetObject my.dotted.bucket k"],
    ["s3.example.test", "GET /photos/k", "GetObject photos k"],
    ["other.test", "GET /photos/k", "GetObject photos k"],
    ["evils3.example.test", "GET /photos/k", "GetObject photos k"],
    [".s3.example.test", "GET /photos/k", "GetObject photos k"],
    ["[::1]:9000", "GET /photos/k", "GetObject photos k"],
    ["", "GET /photos/k", "GetObject photos k"],
  ])("%s with %s is %s", (host, line, expected) => {
    expect(at(host, line)).toBe(expected);
  });

  test.each([
    ["photos.example.test", "GET /a/b", "GetObject photos a/b"],
    ["photos.s3.example.test", "GET /a/b", "GetObject photos a/b"],
    ["s3.example.test", "GET /photos/k", "GetObject photos k"],
  ])("%s with %s is %s, whichever of two domains is named first", (host, line, expected) => {
    const both = ["example.test", "s3.example.test"];
    for (const names of [both, both.toReversed()]) {
      expect(summary(route(line, { host }, names))).toBe(expected);
    }
  });
});

test("every operation is found by its own request and takes its own parameters", () => {
  const paths = { service: "/", bucket: "/photos", object: "/photos/key" } as const;
  for (const [name, row] of Object.entries<OperationRow>(OPERATIONS)) {
    const query = Object.entries(row.query ?? {}).map(([key, value]) => `${key}=${value || "1"}`);
    const headers: Lines = row.header === undefined ? {} : { [row.header]: "a/b" };
    const found = route(`${row.method} ${paths[row.level]}?${query.join("&")}`, headers);
    expect(found.operation).toBe(name);
    if (found.operation !== undefined) refuseUnknownParameters(found.operation, found.query);
  }
});

test.each([
  ["GET /photos/k?unknown", "GetObject"],
  ["GET /photos/k?uploads", "GetObject"],
  ["PUT /photos/k?acl2=1", "PutObject"],
  ["GET /photos?acl&tagging", "GetBucketTagging"],
  ["GET /photos/k?constructor", "GetObject"],
])("%s is refused instead of being taken for a plain request", (line, operation) => {
  const found = route(line);
  expect(found.operation).toBe(operation);
  expect(() => {
    if (found.operation !== undefined) refuseUnknownParameters(found.operation, found.query);
  }).toThrow(expect.objectContaining({ code: "NotImplemented", status: 501 }));
});

test.each([
  ["GET /photos?uploadId=1", "does not accept an upload id."],
  ["PUT /photos/k?partNumber=1", "a part number without an upload id"],
  ["PUT /photos/k?versionId=null", "does not accept a version-id."],
  ["PUT /photos/k?partNumber=1&uploadId=1&versionId=null", "does not accept a version-id."],
  ["POST /photos/k?uploads&versionId=null", "does not accept a version-id."],
])("%s names what does not belong there", (line, reason) => {
  const found = route(line);
  expect(() => {
    if (found.operation !== undefined) refuseUnknownParameters(found.operation, found.query);
  }).toThrow(
    expect.objectContaining({ code: "InvalidArgument", message: expect.stringContaining(reason) }),
  );
});

test.each([
  ["PUT /photos/k?uploadId=1"],
  ["HEAD /photos/k?uploadId=1"],
  ["PUT /photos/k?tagging&uploadId=1"],
])("%s is no method of an upload", (line) => {
  const found = route(line);
  expect(() => {
    if (found.operation !== undefined) refuseUnknownParameters(found.operation, found.query);
  }).toThrow(
    expect.objectContaining({
      code: "MethodNotAllowed",
      fields: expect.objectContaining({ ResourceType: "UPLOAD" }),
    }),
  );
});

test("parameters of signatures and SDKs are welcome everywhere", () => {
  const found = route("GET /photos/k?X-Amz-Signature=1&x-id=GetObject&x-amz-meta-a=1");
  expect(found.operation).toBe("GetObject");
  if (found.operation !== undefined) refuseUnknownParameters(found.operation, found.query);
});

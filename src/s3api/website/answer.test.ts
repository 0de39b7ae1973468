import { expect, test } from "vitest";
import { websiteBucket } from "./answer.ts";

test.each([
  ["b.web.test", "b"],
  ["B.Web.Test:8080", "b"],
  ["x.y.web.test", "x.y"],
  ["web.test", undefined],
  ["web.test:80", undefined],
  ["bweb.test", undefined],
  ["[::1]:80", undefined],
  ["b.test", undefined],
  // Domains of S3 above and below that of websites.
  ["s3.web.test", undefined],
  ["b.s3.web.test", undefined],
])("the host %s shows the website of %s", (host, bucket) => {
  expect(websiteBucket(host, "web.test", ["test", "s3.web.test"])).toBe(bucket);
});

import { afterAll, beforeAll, expect, test } from "vitest";
import { makeLockedBucket, retainTwoDays } from "../../../test/support/locked-bucket.ts";
import { openS3Site, type S3Site } from "../../../test/support/s3-site.ts";
import {
  type BucketName,
  type ObjectKey,
  parseBucketName,
  parseObjectKey,
} from "../../core/names.ts";

const DAY_MS = 86_400_000;
let site: S3Site;

beforeAll(async () => {
  site = await openS3Site();
  await makeLockedBucket(site);
});
afterAll(() => site.close());

test("the default retention counts from when the object is made, as its date does", async () => {
  await retainTwoDays(site, "GOVERNANCE");
  const begun = await site.ask({ method: "POST", path: "/locked/film?uploads" });
  const place = `/locked/film?uploadId=${/<UploadId>(\w+)/.exec(begun.body.toString())?.[1]}`;
  const part = await site.ask({ method: "PUT", path: `${place}&partNumber=1`, body: "film" });
  const list =
    "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>" +
    `<ETag>${part.headers["etag"]}</ETag></Part></CompleteMultipartUpload>`;
  expect((await site.ask({ method: "POST", path: place, body: list })).status).toBe(200);
  const bucket = parseBucketName("locked") as BucketName;
  const made = site.store.object(bucket, parseObjectKey("film") as ObjectKey)?.record;
  expect(made?.lock).toEqual({
    retention: { mode: "GOVERNANCE", untilMs: (made?.lastModifiedMs ?? 0) + 2 * DAY_MS },
    legalHold: false,
  });
});

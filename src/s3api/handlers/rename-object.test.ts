import { afterAll, beforeAll, expect, test } from "vitest";
import { makeLockedBucket, retainTwoDays } from "../../../test/support/locked-bucket.ts";
import { openS3Site, type S3Site } from "../../../test/support/s3-site.ts";

let site: S3Site;

beforeAll(async () => {
  site = await openS3Site();
  await makeLockedBucket(site);
});
afterAll(() => site.close());

test("an object from before the default retention gets it with its new name", async () => {
  await site.ask({ method: "PUT", path: "/locked/old", body: "text" });
  await retainTwoDays(site, "COMPLIANCE");
  const headers = { "x-amz-rename-source": "/old" };
  const renamed = await site.ask({ method: "PUT", path: "/locked/new?renameObject", headers });
  expect(renamed.status).toBe(200);
  const { headers: shown } = await site.ask({ method: "HEAD", path: "/locked/new" });
  expect(shown["x-amz-object-lock-mode"]).toBe("COMPLIANCE");
  const path = `/locked/new?versionId=${shown["x-amz-version-id"]}`;
  expect(await site.ask({ method: "DELETE", path })).toMatchObject({ status: 403 });
});

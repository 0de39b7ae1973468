import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openS3Site, type S3Site } from "../../../test/support/s3-site.ts";

let site: S3Site;

beforeAll(async () => {
  site = await openS3Site();
  const lock = { "x-amz-bucket-object-lock-enabled": "true" };
  await site.ask({ method: "PUT", path: "/locked", headers: lock });
});
afterAll(() => site.close());

test("an object from before the default retention gets it with its new name", async () => {
  await site.ask({ method: "PUT", path: "/locked/old", body: "text" });
  const body =
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>" +
    "<DefaultRetention><Mode>COMPLIANCE</Mode><Days>2</Days></DefaultRetention></Rule>" +
    "</ObjectLockConfiguration>";
  const md5 = createHash("md5").update(body).digest("base64");
  const configured = await site.ask({
    ...{ method: "PUT", path: "/locked?object-lock", body },
    headers: { "Content-MD5": md5 },
  });
  expect(configured.status).toBe(200);
  const headers = { "x-amz-rename-source": "/old" };
  const renamed = await site.ask({ method: "PUT", path: "/locked/new?renameObject", headers });
  expect(renamed.status).toBe(200);
  const { headers: shown } = await site.ask({ method: "HEAD", path: "/locked/new" });
  expect(shown["x-amz-object-lock-mode"]).toBe("COMPLIANCE");
  const path = `/locked/new?versionId=${shown["x-amz-version-id"]}`;
  expect(await site.ask({ method: "DELETE", path })).toMatchObject({ status: 403 });
});

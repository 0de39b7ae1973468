import { createHash } from "node:crypto";
import { expect } from "vitest";
import type { S3Site } from "./s3-site.ts";

/** Makes the bucket "locked", whose objects may be locked. */
export async function makeLockedBucket(site: S3Site): Promise<void> {
  const headers = { "x-amz-bucket-object-lock-enabled": "true" };
  const made = await site.ask({ method: "PUT", path: "/locked", headers });
  expect(made.status).toBe(200);
}

/** Gives "locked" a default retention of two days. */
export async function retainTwoDays(
  site: S3Site,
  mode: "COMPLIANCE" | "GOVERNANCE",
): Promise<void> {
  const body =
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>" +
    `<DefaultRetention><Mode>${mode}</Mode><Days>2</Days></DefaultRetention></Rule>` +
    "</ObjectLockConfiguration>";
  const headers = { "Content-MD5": createHash("md5").update(body).digest("base64") };
  const set = await site.ask({ method: "PUT", path: "/locked?object-lock", body, headers });
  expect(set.status).toBe(200);
}

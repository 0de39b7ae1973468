import { describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

/** Operations of AWS this release does not have: never taken for a plain GET or PUT. */
const MISSING = [
  ["PUT", "/BUCKET?replication"],
  ["PUT", "/BUCKET?notification"],
  ["GET", "/BUCKET?inventory"],
  ["GET", "/BUCKET?analytics"],
  ["GET", "/BUCKET?metrics"],
  ["GET", "/BUCKET/key?torrent"],
  ["POST", "/BUCKET/key?select&select-type=2"],
  ["POST", "/BUCKET/key?restore"],
] as const;

/** Settings nobody can make yet: the answer is that of a bucket without them. */
const UNSET = [
  ["versioning", 200, ""],
  ["acl", 200, ""],
  ["lifecycle", 404, "NoSuchLifecycleConfiguration"],
  ["policy", 404, "NoSuchBucketPolicy"],
  ["cors", 404, "NoSuchCORSConfiguration"],
  ["tagging", 404, "NoSuchTagSet"],
  ["website", 404, "NoSuchWebsiteConfiguration"],
  ["object-lock", 404, "ObjectLockConfigurationNotFoundError"],
  ["replication", 404, "ReplicationConfigurationNotFoundError"],
] as const;

describe.each(ENGINES)("what is not implemented on %s", (engine) => {
  const server = useServer({ engine });

  test.each(MISSING)("%s %s says so by name", async (method, target) => {
    const Bucket = await makeBucket(sdkFor(server()));
    const path = target.replace("BUCKET", Bucket);
    const answer = await sendSigned(server(), { method, path });
    expect([answer.status, answer.code]).toEqual([501, "NotImplemented"]);
    expect(answer.body).toMatch(/[A-Z][A-Za-z]*(Bucket|Object|Version)[A-Za-z]*/);
    const list = await sendSigned(server(), { method: "GET", path: `/${Bucket}?list-type=2` });
    expect(list.body).toContain("<KeyCount>0</KeyCount>");
  });

  test.each(UNSET)("the setting %s is answered as unset", async (name, status, code) => {
    const Bucket = await makeBucket(sdkFor(server()));
    const answer = await sendSigned(server(), { method: "GET", path: `/${Bucket}?${name}` });
    expect([answer.status, answer.code]).toEqual([status, code]);
    const missing = await sendSigned(server(), { method: "GET", path: `/not-there?${name}` });
    expect([missing.status, missing.code]).toEqual([404, "NoSuchBucket"]);
  });

  test.each(["PATCH", "TRACE", "PROPFIND"])("the method %s is refused", async (method) => {
    const Bucket = await makeBucket(sdkFor(server()));
    const answer = await sendSigned(server(), { method, path: `/${Bucket}/key` });
    expect([400, 405, 501]).toContain(answer.status);
  });
});

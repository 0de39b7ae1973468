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
  ["GET", "/BUCKET/key?annotation"],
  ["PUT", "/BUCKET/key?annotation&annotationName=a"],
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

  test("what a header demands is refused by name, and nothing is done", async () => {
    const Bucket = `${await makeBucket(sdkFor(server()))}-locks`;
    const locks = { "x-amz-bucket-object-lock-enabled": "true" };
    await sendSigned(server(), { method: "PUT", path: `/${Bucket}`, headers: locks });
    const path = `/${Bucket}/key`;
    const begun = await sendSigned(server(), { method: "POST", path: `${path}?uploads` });
    const uploadId = /<UploadId>(\w+)</.exec(begun.body)?.[1] ?? "";
    const demands = [
      ["PUT", path, "x-amz-object-lock-event-hold", "ON"],
      ["PUT", path, "x-amz-object-lock-event-hold-duration-days", "3"],
      ["DELETE", `${path}?uploadId=${uploadId}`, "x-amz-if-match-initiated-time", "1"],
      ["PUT", `/${Bucket}-an`, "x-amz-bucket-namespace", "account-regional"],
    ] as const;
    for (const [method, target, name, value] of demands) {
      const headers = { [name]: value };
      const answer = await sendSigned(server(), { method, path: target, headers });
      expect([answer.status, answer.code], name).toEqual([501, "NotImplemented"]);
      expect(answer.body).toContain(`<Header>${name}</Header>`);
    }
    const list = await sendSigned(server(), { method: "GET", path: `/${Bucket}?versions` });
    expect(list.body).not.toContain("<Version>");
    const uploads = await sendSigned(server(), { method: "GET", path: `/${Bucket}?uploads` });
    expect(uploads.body).toContain(uploadId);
    const made = await sendSigned(server(), { method: "GET", path: `/${Bucket}-an` });
    expect(made.code).toBe("NoSuchBucket");
  });

  test("a body that calls itself a part of an object does not take the place of all of it", async () => {
    const path = `/${await makeBucket(sdkFor(server()))}/key`;
    await sendSigned(server(), { method: "PUT", path, body: "whole" });
    for (const more of [{}, { "x-amz-write-offset-bytes": "5" }]) {
      const headers = { "Content-Range": "bytes 3-4/5", ...more };
      const part = await sendSigned(server(), { method: "PUT", path, headers, body: "ly" });
      expect([part.status, part.code]).toEqual([501, "NotImplemented"]);
      expect(part.body).toContain("<Header>content-range</Header>");
    }
    expect((await sendSigned(server(), { method: "GET", path })).body).toBe("whole");
    // The part of an upload is one, whatever a client says of its place.
    const begun = await sendSigned(server(), { method: "POST", path: `${path}?uploads` });
    const place = `${path}?uploadId=${/<UploadId>(\w+)</.exec(begun.body)?.[1]}&partNumber=1`;
    const headers = { "Content-Range": "bytes 0-1/2" };
    const taken = await sendSigned(server(), { method: "PUT", path: place, headers, body: "ly" });
    expect(taken.status).toBe(200);
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

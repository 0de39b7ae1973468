import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openS3Site, type S3Site } from "../../../test/support/s3-site.ts";
import { StorageFault } from "../../core/faults.ts";

let site: S3Site;

beforeAll(async () => {
  site = await openS3Site();
  await site.ask({ method: "PUT", path: "/plain" });
  const lock = { "x-amz-bucket-object-lock-enabled": "true" };
  await site.ask({ method: "PUT", path: "/locked", headers: lock });
});
afterAll(() => site.close());

test("a copy that is refused for its retention has written nothing that would stay", async () => {
  const body = Buffer.alloc(1024 * 1024, 7);
  await site.ask({ method: "PUT", path: "/plain/film", body });
  const { stageBody } = site.store;
  let staged = 0;
  Object.assign(site.store, {
    stageBody: () => {
      staged += 1;
      return stageBody();
    },
  });
  const copy = (until: string) =>
    site.ask({
      ...{ method: "PUT", path: "/locked/film" },
      headers: {
        "x-amz-copy-source": "/plain/film",
        "x-amz-server-side-encryption": "AES256",
        "x-amz-object-lock-mode": "GOVERNANCE",
        "x-amz-object-lock-retain-until-date": until,
      },
    });
  expect(await copy("2020-01-01T00:00:00Z")).toMatchObject({ status: 400 });
  expect(staged).toBe(0);
  expect(await copy("2100-01-01T00:00:00Z")).toMatchObject({ status: 200 });
  expect(staged).toBe(1);
});

test("a copy that cannot be put keeps nothing of what it has written", async () => {
  await site.ask({ method: "PUT", path: "/plain/film", body: Buffer.alloc(1024 * 1024, 8) });
  const { putObject } = site.store;
  const fault = new StorageFault("clock", "this site's clock has jumped ahead");
  Object.assign(site.store, { putObject: () => Promise.reject(fault) });
  const copy = () =>
    site.ask({
      ...{ method: "PUT", path: "/plain/copy" },
      headers: { "x-amz-copy-source": "/plain/film", "x-amz-server-side-encryption": "AES256" },
    });
  expect((await copy()).status).toBe(503);
  expect(site.store.stats().segments.pinnedBytes).toBe(0);
  Object.assign(site.store, { putObject });
  expect((await copy()).status).toBe(200);
});

test("a part is not copied for ever from a source that is replaced each time it is read", async () => {
  const replace = () => site.ask({ method: "PUT", path: "/plain/hot", body: "x" });
  await replace();
  const begun = await site.ask({ method: "POST", path: "/plain/all?uploads" });
  const id = /<UploadId>([^<]*)</.exec(String(begun.body))?.[1] ?? "";
  const { openBody } = site.store;
  let reads = 0;
  Object.assign(site.store, {
    openBody: () => ({
      next: async () => {
        reads += 1;
        if (reads > 20) Object.assign(site.store, { openBody });
        await replace();
        throw new StorageFault("corrupt", "it was removed");
      },
      close: () => undefined,
    }),
  });
  const headers = { "x-amz-copy-source": "/plain/hot" };
  const path = `/plain/all?partNumber=1&uploadId=${id}`;
  const answer = await site.ask({ method: "PUT", path, headers });
  Object.assign(site.store, { openBody });
  expect([answer.status, reads]).toEqual([409, 4]);
  expect(site.store.stats().segments.pinnedBytes).toBe(0);
  expect(await site.ask({ method: "PUT", path, headers })).toMatchObject({ status: 200 });
});

test("an object leaves its client's key when it is copied onto itself without one", async () => {
  const key = Buffer.alloc(32, 9);
  const keyHeaders = (prefix: string) => ({
    [`${prefix}-algorithm`]: "AES256",
    [`${prefix}-key`]: key.toString("base64"),
    [`${prefix}-key-md5`]: createHash("md5").update(key).digest("base64"),
  });
  const sealed = keyHeaders("x-amz-server-side-encryption-customer");
  await site.ask({ method: "PUT", path: "/plain/own", headers: sealed, body: "mine" });
  expect((await site.ask({ method: "GET", path: "/plain/own" })).status).toBe(400);
  const opened = keyHeaders("x-amz-copy-source-server-side-encryption-customer");
  const headers = { ...opened, "x-amz-copy-source": "/plain/own" };
  expect(await site.ask({ method: "PUT", path: "/plain/own", headers })).toMatchObject({
    status: 200,
  });
  const read = await site.ask({ method: "GET", path: "/plain/own" });
  expect([read.status, String(read.body)]).toEqual([200, "mine"]);
  // It has no key any more, so that nothing would change.
  const again = { "x-amz-copy-source": "/plain/own" };
  expect(await site.ask({ method: "PUT", path: "/plain/own", headers: again })).toMatchObject({
    status: 400,
  });
});

test("more than 5 GiB is too much for one copy, of an object and of a part alike", async () => {
  await site.ask({ method: "PUT", path: "/plain/large", body: "x" });
  const begun = await site.ask({ method: "POST", path: "/plain/whole?uploads" });
  const id = /<UploadId>(\w+)/.exec(begun.body.toString())?.[1];
  const { object } = site.store;
  const grown: typeof object = (bucket, key) => {
    const found = object(bucket, key);
    return found && { ...found, record: { ...found.record, size: 6 * 1024 ** 3 } };
  };
  Object.assign(site.store, { object: grown });
  const headers = { "x-amz-copy-source": "/plain/large" };
  for (const path of ["/plain/whole", `/plain/whole?partNumber=1&uploadId=${id}`]) {
    const { status, body } = await site.ask({ method: "PUT", path, headers });
    expect(status).toBe(400);
    expect(body.toString()).toContain("<Code>InvalidRequest</Code>");
    expect(body.toString()).toContain("allowable size for a copy source: 5368709120");
  }
  Object.assign(site.store, { object });
});

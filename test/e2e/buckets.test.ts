import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketLocationCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  paginateListBuckets,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, REGION, useServer } from "../support/server.ts";

describe.each(ENGINES)("buckets on %s", (engine) => {
  const server = useServer({ engine });

  test("a bucket exists from its creation to its deletion", async () => {
    const s3 = sdkFor(server());
    const Bucket = "from-start-to-end";
    expect(await refusalOf(s3.send(new HeadBucketCommand({ Bucket })))).toBe("404 NotFound");
    const created = await s3.send(new CreateBucketCommand({ Bucket }));
    expect(created.Location).toBe(`/${Bucket}`);
    const head = await s3.send(new HeadBucketCommand({ Bucket }));
    expect(head.BucketRegion).toBe(REGION);
    const deleted = await s3.send(new DeleteBucketCommand({ Bucket }));
    expect(deleted.$metadata.httpStatusCode).toBe(204);
    expect(await refusalOf(s3.send(new HeadBucketCommand({ Bucket })))).toBe("404 NotFound");
    expect(await refusalOf(s3.send(new DeleteBucketCommand({ Bucket })))).toBe("404 NoSuchBucket");
  });

  test("creating one's own bucket again changes nothing in it", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "kept", Body: "x" }));
    // AWS answers 200 in us-east-1 and 409 BucketAlreadyOwnedByYou everywhere else.
    const again = await s3.send(new CreateBucketCommand({ Bucket })).then(
      () => "200",
      (failure: Error) => failure.name,
    );
    expect(["200", "BucketAlreadyOwnedByYou"]).toContain(again);
    expect(await refusalOf(s3.send(new DeleteBucketCommand({ Bucket })))).toBe(
      "409 BucketNotEmpty",
    );
  });

  test("creating it again with what it has not is refused, and with what it has is not", async () => {
    const s3 = sdkFor(server());
    const plain = { Bucket: await makeBucket(s3) };
    const locks = { ObjectLockEnabledForBucket: true };
    const refusal = "409 BucketAlreadyOwnedByYou";
    expect(await refusalOf(s3.send(new CreateBucketCommand({ ...plain, ...locks })))).toBe(refusal);
    const locked = { Bucket: `${plain.Bucket}-locked`, ...locks };
    for (let again = 0; again < 2; again++) await s3.send(new CreateBucketCommand(locked));
    const retention = { DefaultRetention: { Mode: "GOVERNANCE", Days: 1 } } as const;
    const ObjectLockConfiguration = { ObjectLockEnabled: "Enabled", Rule: retention } as const;
    const rule = { Bucket: locked.Bucket, ObjectLockConfiguration };
    await s3.send(new PutObjectLockConfigurationCommand(rule));
    await s3.send(new CreateBucketCommand(locked));
  });

  test("a bucket can be deleted once its last object is gone", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "only", Body: "x" }));
    expect(await refusalOf(s3.send(new DeleteBucketCommand({ Bucket })))).toBe(
      "409 BucketNotEmpty",
    );
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "only" }));
    await s3.send(new DeleteBucketCommand({ Bucket }));
  });

  test("the location of a bucket in us-east-1 is empty, as AWS has it", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const location = await s3.send(new GetBucketLocationCommand({ Bucket }));
    expect(location.LocationConstraint ?? "").toBe("");
    const missing = s3.send(new GetBucketLocationCommand({ Bucket: "not-there" }));
    expect(await refusalOf(missing)).toBe("404 NoSuchBucket");
  });

  test("listing buckets gives them in order, by prefix and page by page", async () => {
    const s3 = sdkFor(server());
    const names = ["page-c", "page-a", "page-e", "page-b", "page-d"];
    for (const Bucket of names) await s3.send(new CreateBucketCommand({ Bucket }));
    const found: string[] = [];
    let pages = 0;
    for await (const page of paginateListBuckets(
      { client: s3, pageSize: 2 },
      { Prefix: "page-" },
    )) {
      expect(page.Prefix).toBe("page-");
      found.push(...(page.Buckets ?? []).map((bucket) => bucket.Name ?? ""));
      pages += 1;
    }
    expect(found).toEqual([...names].sort());
    expect(pages).toBe(3);
    const all = await s3.send(new ListBucketsCommand({}));
    expect((all.Buckets ?? []).map((bucket) => bucket.Name)).toEqual(expect.arrayContaining(names));
    expect(all.Buckets?.[0]?.CreationDate).toBeInstanceOf(Date);
    const regionsFor = async (parameters: object) => {
      const shown = await s3.send(new ListBucketsCommand(parameters));
      return shown.Buckets?.map(({ BucketRegion }) => BucketRegion);
    };
    expect(await regionsFor({})).not.toContain(REGION);
    const asked = [{ Prefix: "page-a" }, { BucketRegion: REGION, Prefix: "page-a" }];
    for (const parameters of asked) expect(await regionsFor(parameters)).toEqual([REGION]);
    expect(await regionsFor({ BucketRegion: REGION })).toContain(REGION);
    expect(await regionsFor({ MaxBuckets: 1 })).toEqual([REGION]);
    expect(all.Owner?.ID).toBeTruthy();
  });

  test.each([
    "ab",
    "a".repeat(64),
    "Upper",
    "under_score",
    "-dash",
    "dash-",
    "dot..dot",
    "dot.-dash",
    "192.168.0.1",
    "xn--puny",
    "ends-s3alias",
    "sp%20ace",
    "%E2%82%AC%E2%82%AC%E2%82%AC",
  ])("a bucket cannot be called %s", async (name) => {
    const answer = await sendSigned(server(), { method: "PUT", path: `/${name}` });
    expect([answer.status, answer.code]).toEqual([400, "InvalidBucketName"]);
    const s3 = sdkFor(server());
    const all = await s3.send(new ListBucketsCommand({}));
    const names = (all.Buckets ?? []).map((bucket) => bucket.Name);
    expect(names).not.toContain(decodeURIComponent(name));
  });
});

describe("virtual-host style", () => {
  const server = useServer({ flags: ["--domain", "s3.example.test"] });

  test("the bucket comes from the host name", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const host = `${Bucket}.s3.example.test:${server().port}`;
    const headers = { Host: host };
    const put = await sendSigned(server(), {
      method: "PUT",
      path: "/some/key",
      headers,
      body: "by host",
    });
    expect(put.status).toBe(200);
    const get = await sendSigned(server(), { method: "GET", path: `/${Bucket}/some/key` });
    expect(get.body).toBe("by host");
    const list = await sendSigned(server(), { method: "GET", path: "/?list-type=2", headers });
    expect(list.body).toContain("<Key>some/key</Key>");
  });
});

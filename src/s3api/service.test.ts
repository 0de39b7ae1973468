import { describe, expect, test } from "vitest";
import { ask } from "../../test/support/fake-exchange.ts";
import { openS3Site } from "../../test/support/s3-site.ts";
import { element, elements, useS3Site } from "../../test/support/s3-suite.ts";

const { site, makeBucket, expectStatus, refusal } = useS3Site();

describe("objects", () => {
  test("come back with their headers, small and large", async () => {
    const bucket = await makeBucket();
    for (const size of [0, 1, 4096, 131_072, 131_073, 5_000_000]) {
      const body = Buffer.alloc(size, `${size} `);
      const path = `/${bucket}/dir/file%20${size}`;
      const headers = { "Content-Type": "text/plain", "x-amz-meta-colour": "blue" };
      const put = await expectStatus({ method: "PUT", path, headers, body }, 200);
      const got = await expectStatus({ method: "GET", path }, 200);
      expect(got.body.equals(body)).toBe(true);
      expect(got.headers).toMatchObject({
        etag: put.headers["etag"],
        "content-type": "text/plain",
        "x-amz-meta-colour": "blue",
        "accept-ranges": "bytes",
        server: "Atoll",
      });
      const head = await expectStatus({ method: "HEAD", path }, 200);
      expect(head.contentLength).toBe(size);
      const range = await site().ask({ method: "GET", path, headers: { Range: "bytes=1-3" } });
      expect(range.status).toBe(size > 1 ? 206 : 416);
      if (size > 1) expect(range.body.equals(body.subarray(1, 4))).toBe(true);
    }
  });

  test("are gone after their deletion, which may be repeated", async () => {
    const bucket = await makeBucket();
    const path = `/${bucket}/key`;
    await expectStatus({ method: "PUT", path, body: "x" }, 200);
    expect(await refusal({ method: "DELETE", path: `/${bucket}` })).toBe("409 BucketNotEmpty");
    await expectStatus({ method: "DELETE", path }, 204);
    await expectStatus({ method: "DELETE", path }, 204);
    expect(await refusal({ method: "GET", path })).toBe("404 NoSuchKey");
    await expectStatus({ method: "DELETE", path: `/${bucket}` }, 204);
    expect(await refusal({ method: "GET", path })).toBe("404 NoSuchBucket");
  });

  test("obey conditions on reads and on writes", async () => {
    const bucket = await makeBucket();
    const path = `/${bucket}/key`;
    const fresh = { "If-None-Match": "*" };
    const put = await expectStatus({ method: "PUT", path, headers: fresh, body: "1" }, 200);
    const etag = put.headers["etag"] ?? "";
    expect(await refusal({ method: "PUT", path, headers: fresh, body: "2" })).toBe(
      "412 PreconditionFailed",
    );
    expect(await refusal({ method: "GET", path, headers: { "If-None-Match": etag } })).toBe("304");
    expect(await refusal({ method: "DELETE", path, headers: { "If-Match": '"x"' } })).toBe(
      "412 PreconditionFailed",
    );
    await expectStatus({ method: "PUT", path, headers: { "If-Match": etag }, body: "3" }, 200);
  });

  test("are deleted many at once, each with its own outcome", async () => {
    const bucket = await makeBucket();
    for (const key of ["a", "b", "c"]) {
      await expectStatus({ method: "PUT", path: `/${bucket}/${key}`, body: key }, 200);
    }
    const body =
      "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key><ETag>wrong</ETag></Object>" +
      "<Object><Key>never</Key></Object>" +
      `<Object><Key>${"k".repeat(1025)}</Key></Object></Delete>`;
    const answer = await expectStatus({ method: "POST", path: `/${bucket}?delete`, body }, 200);
    expect(elements(answer, "Code")).toEqual(["PreconditionFailed", "KeyTooLongError"]);
    expect(elements(answer, "Key").slice(0, 3)).toEqual(["a", "b", "never"]);
    const left = await expectStatus({ method: "GET", path: `/${bucket}?list-type=2` }, 200);
    expect(elements(left, "Key")).toEqual(["b", "c"]);
  });

  test("are copied with or without their metadata", async () => {
    const bucket = await makeBucket();
    for (const size of [10, 200_000]) {
      const body = Buffer.alloc(size, "copy ");
      const headers = { "x-amz-meta-a": "1" };
      await expectStatus({ method: "PUT", path: `/${bucket}/from`, headers, body }, 200);
      const source = { "x-amz-copy-source": `${bucket}/from` };
      await expectStatus({ method: "PUT", path: `/${bucket}/kept`, headers: source }, 200);
      const replace = { ...source, "x-amz-metadata-directive": "REPLACE", "x-amz-meta-b": "2" };
      await expectStatus({ method: "PUT", path: `/${bucket}/new`, headers: replace }, 200);
      const kept = await expectStatus({ method: "GET", path: `/${bucket}/kept` }, 200);
      expect(kept.body.equals(body)).toBe(true);
      expect(kept.headers["x-amz-meta-a"]).toBe("1");
      const fresh = await expectStatus({ method: "HEAD", path: `/${bucket}/new` }, 200);
      expect([fresh.headers["x-amz-meta-a"], fresh.headers["x-amz-meta-b"]]).toEqual([
        undefined,
        "2",
      ]);
      const self = { "x-amz-copy-source": `${bucket}/kept` };
      expect(await refusal({ method: "PUT", path: `/${bucket}/kept`, headers: self })).toBe(
        "400 InvalidRequest",
      );
    }
  });

  test("carry the tags they were stored with", async () => {
    const bucket = await makeBucket();
    const path = `/${bucket}/tagged`;
    const headers = { "x-amz-tagging": "b=2&a=1" };
    await expectStatus({ method: "PUT", path, headers, body: "x" }, 200);
    const tagging = await expectStatus({ method: "GET", path: `${path}?tagging` }, 200);
    expect(elements(tagging, "Key")).toEqual(["a", "b"]);
  });
});

describe("listings", () => {
  test("page through folded keys by token", async () => {
    const bucket = await makeBucket();
    for (const key of ["a/1", "a/2", "b", "c/1", "d"]) {
      await expectStatus({ method: "PUT", path: `/${bucket}/${key}`, body: key }, 200);
    }
    const shown: string[] = [];
    let token: string | undefined = "";
    while (token !== undefined) {
      const after: string = token === "" ? "" : `&continuation-token=${token}`;
      const path = `/${bucket}?list-type=2&delimiter=%2F&max-keys=2${after}`;
      const page = await expectStatus({ method: "GET", path }, 200);
      shown.push(...elements(page, "Key"), ...elements(page, "Prefix").filter((name) => name));
      token = element(page, "NextContinuationToken");
    }
    expect(shown.sort()).toEqual(["a/", "b", "c/", "d"]);
  });

  test("of buckets show every bucket in pages", async () => {
    const name = await makeBucket();
    const path = `/?max-buckets=1&prefix=${name}`;
    const page = await expectStatus({ method: "GET", path }, 200);
    expect(elements(page, "Name")[0]).toBe(name);
    expect(element(page, "BucketRegion")).toBe("us-east-1");
  });
});

describe("multipart uploads", () => {
  const part = Buffer.alloc(5 * 1024 * 1024, "part ");

  async function begin(path: string): Promise<string> {
    const begun = await expectStatus({ method: "POST", path: `${path}?uploads` }, 200);
    return element(begun, "UploadId") ?? "";
  }

  function completion(parts: ReadonlyArray<readonly [number, string]>): string {
    const rows = parts.map(
      ([number, etag]) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`,
    );
    return `<CompleteMultipartUpload>${rows.join("")}</CompleteMultipartUpload>`;
  }

  test("become an object, and the same answer again when asked again", async () => {
    const bucket = await makeBucket();
    const path = `/${bucket}/assembled`;
    const id = await begin(path);
    const first = await expectStatus(
      { method: "PUT", path: `${path}?partNumber=1&uploadId=${id}`, body: part },
      200,
    );
    await expectStatus({ method: "PUT", path: `/${bucket}/source`, body: "0123456789" }, 200);
    const copied = await expectStatus(
      {
        ...{ method: "PUT", path: `${path}?partNumber=2&uploadId=${id}` },
        headers: {
          "x-amz-copy-source": `${bucket}/source`,
          "x-amz-copy-source-range": "bytes=2-4",
        },
      },
      200,
    );
    const listed = await expectStatus({ method: "GET", path: `${path}?uploadId=${id}` }, 200);
    expect(elements(listed, "Size")).toEqual([String(part.length), "3"]);
    const uploads = await expectStatus({ method: "GET", path: `/${bucket}?uploads` }, 200);
    expect(element(uploads, "UploadId")).toBe(id);
    const etags = [first.headers["etag"] ?? "", element(copied, "ETag") ?? ""] as const;
    const body = completion([
      [1, etags[0]],
      [2, etags[1]],
    ]);
    const request = { method: "POST", path: `${path}?uploadId=${id}`, body };
    const done = await expectStatus(request, 200);
    const again = await expectStatus(request, 200);
    expect(element(again, "ETag")).toBe(element(done, "ETag"));
    expect(element(done, "ETag")).toMatch(/-2&quot;$/);
    const got = await expectStatus({ method: "GET", path }, 200);
    expect(got.body.equals(Buffer.concat([part, Buffer.from("234")]))).toBe(true);
    const second = await expectStatus({ method: "GET", path: `${path}?partNumber=2` }, 206);
    expect(String(second.body)).toBe("234");
    expect(second.headers["x-amz-mp-parts-count"]).toBe("2");
  });

  test("refuse wrong lists and can be aborted", async () => {
    const bucket = await makeBucket();
    const path = `/${bucket}/tried`;
    const id = await begin(path);
    const send = async (number: number): Promise<string> => {
      const target = `${path}?partNumber=${number}&uploadId=${id}`;
      const sent = await expectStatus({ method: "PUT", path: target, body: "small" }, 200);
      return sent.headers["etag"] ?? "";
    };
    const etag = await send(1);
    await send(2);
    const complete = (parts: ReadonlyArray<readonly [number, string]>): Promise<string> =>
      refusal({ method: "POST", path: `${path}?uploadId=${id}`, body: completion(parts) });
    const small = [1, etag] as const;
    expect(await complete([small, [2, etag]])).toBe("400 EntityTooSmall");
    expect(await complete([[2, etag], small])).toBe("400 InvalidPartOrder");
    expect(await complete([[3, etag]])).toBe("400 InvalidPart");
    expect(await complete([])).toBe("400 MalformedXML");
    expect(await complete([[10_001, etag]])).toBe("400 InvalidArgument");
    await expectStatus({ method: "DELETE", path: `${path}?uploadId=${id}` }, 204);
    expect(await complete([small])).toBe("404 NoSuchUpload");
    expect(await refusal({ method: "GET", path: `${path}?uploadId=${id}` })).toBe(
      "404 NoSuchUpload",
    );
  });
});

describe("what is refused", () => {
  test.each([
    ["GET", "/missing-bucket", "404 NoSuchBucket"],
    ["PUT", "/Bad_Name", "400 InvalidBucketName"],
    ["GET", "/Bad_Name", "404 NoSuchBucket"],
    ["GET", "/no!", "400 InvalidBucketName"],
    ["GET", "/ab/key", "400 InvalidBucketName"],
    ["DELETE", `/${"a".repeat(256)}?policy`, "400 InvalidBucketName"],
    ["POST", "/%C3%A9t%C3%A9?delete", "400 InvalidBucketName"],
    ["PUT", "/a%20b/key?tagging", "400 InvalidBucketName"],
    ["PATCH", "/BUCKET/key", "405 MethodNotAllowed"],
    ["PUT", "/BUCKET?versioning", "400 MissingRequestBodyError"],
    ["PUT", "/BUCKET/key?tagging", "400 MissingRequestBodyError"],
    ["GET", "/BUCKET/key?unknown", "501 NotImplemented"],
    ["GET", "/BUCKET/key?versionId=junk", "400 InvalidArgument"],
    ["GET", `/BUCKET/key?versionId=${"0".repeat(32)}`, "404 NoSuchVersion"],
    ["PUT", "/BUCKET/key?partNumber=0&uploadId=1", "400 InvalidArgument"],
    ["PUT", "/BUCKET/key?partNumber=1&uploadId=1", "404 NoSuchUpload"],
    ["GET", "/BUCKET?policy", "404 NoSuchBucketPolicy"],
    ["GET", "/BUCKET?lifecycle", "404 NoSuchLifecycleConfiguration"],
    ["POST", "/BUCKET?delete", "400 MissingRequestBodyError"],
  ])("%s %s is %s", async (method, target, expected) => {
    const path = target.replace("BUCKET", await makeBucket());
    expect(await refusal({ method, path })).toBe(expected);
  });

  test.each([
    [{ "x-amz-server-side-encryption": "aws:kms" }],
    [{ "x-amz-mfa": "1 2" }],
    [{ "x-amz-grant-read": "id=1" }],
  ])("a demand of %j is refused by name, and nothing is stored", async (headers) => {
    const bucket = await makeBucket();
    const path = `/${bucket}/key`;
    const answer = await site().ask({ method: "PUT", path, headers, body: "x" });
    expect([answer.status, element(answer, "Header")]).toEqual([501, Object.keys(headers)[0]]);
    expect(await refusal({ method: "GET", path })).toBe("404 NoSuchKey");
  });

  test("a body that is not what its digest says leaves nothing", async () => {
    const bucket = await makeBucket();
    for (const size of [10, 300_000]) {
      const path = `/${bucket}/key`;
      const headers = { "Content-MD5": "XrY7u+Ae7tCTyyK7j1rNww==" };
      const body = Buffer.alloc(size, "x");
      expect(await refusal({ method: "PUT", path, headers, body })).toBe("400 BadDigest");
      expect(await refusal({ method: "GET", path })).toBe("404 NoSuchKey");
    }
  });

  test.each([100_000, 1_000_000])(
    "a body of %i bytes whose client goes away leaves nothing, and is reported once",
    async (size) => {
      const bucket = await makeBucket();
      const before = site().summaries.length;
      const path = `/${bucket}/key`;
      const body = Buffer.alloc(size, "x");
      const answer = await site().ask({ method: "PUT", path, body, abortAfterBytes: size / 2 });
      expect(element(answer, "Code")).toBe("IncompleteBody");
      expect(site().summaries.slice(before)).toMatchObject([
        { operation: "PutObject", errorCode: "IncompleteBody", inBytes: size / 2 },
      ]);
      expect(await refusal({ method: "GET", path })).toBe("404 NoSuchKey");
    },
  );

  test("a request without a signature learns nothing", async () => {
    for (const target of ["/", "/missing", "/missing/key"]) {
      const request = { method: "GET", target, headers: { host: "h" }, body: Buffer.alloc(0) };
      const answer = await ask(site().handler, request);
      expect([answer.status, element(answer, "Code")]).toEqual([403, "AccessDenied"]);
    }
  });
});

test("every answer has its ids, and every request is reported once", async () => {
  const bucket = await makeBucket();
  const before = site().summaries.length;
  const answer = await site().ask({ method: "GET", path: `/${bucket}/missing` });
  const id = answer.headers["x-amz-request-id"];
  expect(id).toMatch(/^[0-9A-F]{16}$/);
  expect(element(answer, "RequestId")).toBe(id);
  expect(element(answer, "Resource")).toBe(`/${bucket}/missing`);
  expect(site().summaries.length).toBe(before + 1);
  expect(site().summaries.at(-1)).toMatchObject({
    requestId: id,
    operation: "GetObject",
    bucket,
    key: "missing",
    accessKey: "ROOTKEY1",
    status: 404,
    errorCode: "NoSuchKey",
    outBytes: answer.body.length,
  });
  const put = { method: "PUT", path: `/${bucket}/k`, body: "12345" };
  await expectStatus(put, 200);
  expect(site().summaries.at(-1)).toMatchObject({
    operation: "PutObject",
    inBytes: 5,
    outBytes: 0,
  });
});

test("beyond its bound on requests under way a site asks clients to slow down", async () => {
  const small = await openS3Site({ requestsMax: 0 });
  const answer = await small.ask({ method: "GET", path: "/" });
  expect([answer.status, element(answer, "Code")]).toEqual([503, "SlowDown"]);
  await small.close();
});

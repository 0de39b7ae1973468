import {
  DeleteBucketWebsiteCommand,
  DeleteObjectCommand,
  GetBucketWebsiteCommand,
  PutBucketCorsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutBucketWebsiteCommand,
  PutObjectCommand,
  type S3Client,
  type WebsiteConfiguration,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { BOUNDARY, formBytes, signedFields } from "../support/forms.ts";
import { type RawAnswer, requestBytes, sendBytes, sendSigned } from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, type TestServer, useServer } from "../support/server.ts";

const DOMAIN = "web.test";
/** Below the other one: the longer name wins. */
const S3_DOMAIN = "s3.web.test";
const PAGES: WebsiteConfiguration = {
  IndexDocument: { Suffix: "index.html" },
  ErrorDocument: { Key: "oops/error.html" },
  RoutingRules: [
    {
      Condition: { KeyPrefixEquals: "docs/" },
      Redirect: { ReplaceKeyPrefixWith: "documents/", HttpRedirectCode: "302" },
    },
    {
      Condition: { HttpErrorCodeReturnedEquals: "404", KeyPrefixEquals: "old/" },
      Redirect: { Protocol: "https", HostName: "other.test", ReplaceKeyWith: "moved.html" },
    },
  ],
};

async function shownBucket(
  s3: S3Client,
  pages: WebsiteConfiguration | undefined,
  listable = true,
): Promise<string> {
  const Bucket = await makeBucket(s3);
  const statement = (Action: string, Resource: string) => ({
    ...{ Effect: "Allow", Principal: "*", Action },
    Resource: `arn:aws:s3:::${Resource}`,
  });
  const Statement = [
    statement("s3:GetObject", `${Bucket}/*`),
    ...(listable ? [statement("s3:ListBucket", Bucket)] : []),
    { ...statement("s3:GetObject", `${Bucket}/secret*`), Effect: "Deny" },
  ];
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  await s3.send(new PutBucketPolicyCommand({ Bucket, Policy }));
  if (pages === undefined) return Bucket;
  await s3.send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration: pages }));
  return Bucket;
}

async function put(s3: S3Client, Bucket: string, objects: Record<string, string>): Promise<void> {
  for (const [Key, Body] of Object.entries(objects)) {
    const ContentType = "text/html";
    await s3.send(new PutObjectCommand({ Bucket, Key, Body, ContentType }));
  }
}

async function visit(
  server: TestServer,
  bucket: string,
  path: string,
  request: { method?: string; headers?: Record<string, string>; domain?: string } = {},
): Promise<RawAnswer> {
  const { method = "GET", headers = {}, domain = DOMAIN } = request;
  const lines = { Host: `${bucket}.${domain}:${server.port}`, ...headers };
  const answer = await sendBytes(server, requestBytes({ method, path }, lines), { thenEnd: false });
  if (answer === undefined) throw new Error(`${method} ${path}: no answer`);
  return answer;
}

describe.each(ENGINES)("websites on %s", (engine) => {
  const server = useServer({ engine, flags: ["--website-domain", DOMAIN, "--domain", S3_DOMAIN] });

  test("a configuration is kept and taken away", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const get = () => s3.send(new GetBucketWebsiteCommand({ Bucket }));
    expect(await refusalOf(get())).toBe("404 NoSuchWebsiteConfiguration");
    for (const pages of [
      PAGES,
      { RedirectAllRequestsTo: { HostName: "example.com", Protocol: "https" as const } },
      { IndexDocument: { Suffix: "i" } },
    ]) {
      const WebsiteConfiguration = pages;
      const done = await s3.send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration }));
      expect(done.$metadata.httpStatusCode).toBe(200);
      const { $metadata, ...kept } = await get();
      expect([$metadata.httpStatusCode, kept]).toEqual([200, pages]);
    }
    const gone = await s3.send(new DeleteBucketWebsiteCommand({ Bucket }));
    expect(gone.$metadata.httpStatusCode).toBe(204);
    expect(await refusalOf(get())).toBe("404 NoSuchWebsiteConfiguration");
    const nothing = await visit(server(), Bucket, "/");
    expect(nothing.status).toBe(404);
    expect(nothing.headers["x-amz-error-code"]).toBe("NoSuchWebsiteConfiguration");
  });

  const index = "<IndexDocument><Suffix>i</Suffix></IndexDocument>";
  const rule = (text: string) =>
    `${index}<RoutingRules><RoutingRule>${text}</RoutingRule></RoutingRules>`;
  test.each([
    ["", "InvalidArgument", "A value for IndexDocument Suffix must be provided"],
    ["<IndexDocument><Suffix>a/b</Suffix></IndexDocument>", "InvalidArgument", "not well formed"],
    ["<IndexDocument><Suffix></Suffix></IndexDocument>", "InvalidArgument", "not well formed"],
    [
      `${index}<RedirectAllRequestsTo><HostName>h</HostName></RedirectAllRequestsTo>`,
      "InvalidRequest",
      "RedirectAllRequestsTo cannot be provided in conjunction with other",
    ],
    [
      "<RedirectAllRequestsTo><HostName>a b</HostName></RedirectAllRequestsTo>",
      "InvalidRequest",
      "",
    ],
    [
      rule("<Redirect><HttpRedirectCode>200</HttpRedirectCode></Redirect>"),
      "InvalidRequest",
      "(200)",
    ],
    [rule("<Redirect><Protocol>ftp</Protocol></Redirect>"), "InvalidRequest", "Invalid protocol"],
    [
      rule(
        "<Redirect><ReplaceKeyWith>a</ReplaceKeyWith>" +
          "<ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith></Redirect>",
      ),
      "InvalidRequest",
      "ReplaceKeyPrefix or ReplaceKey but not both",
    ],
    [
      rule("<Condition/><Redirect><HostName>h</HostName></Redirect>"),
      "InvalidRequest",
      "Condition cannot be empty",
    ],
    [
      rule(
        "<Condition><HttpErrorCodeReturnedEquals>302</HttpErrorCodeReturnedEquals></Condition>" +
          "<Redirect><HostName>h</HostName></Redirect>",
      ),
      "InvalidRequest",
      "(302)",
    ],
    [rule(""), "MalformedXML", ""],
    [rule("<Redirect/>"), "MalformedXML", ""],
    [`${index}<Extra/>`, "MalformedXML", ""],
  ])("the configuration %s is refused with %s", async (inside, code, message) => {
    const Bucket = await makeBucket(sdkFor(server()));
    const body = `<WebsiteConfiguration>${inside}</WebsiteConfiguration>`;
    const answer = await sendSigned(server(), { method: "PUT", path: `/${Bucket}?website`, body });
    expect([answer.status, answer.code]).toEqual([400, code]);
    expect(answer.body).toContain(message);
  });

  test("pages and index documents are shown, with what was stored beside them", async () => {
    const s3 = sdkFor(server());
    const Bucket = await shownBucket(s3, PAGES);
    await put(s3, Bucket, { "index.html": "top", "a/index.html": "a", "a b.html": "spaced" });
    for (const [path, body] of [
      ["/", "top"],
      ["/?versionId=x&list-type=2", "top"],
      ["/a/", "a"],
      ["/a%20b.html", "spaced"],
    ] as const) {
      const answer = await visit(server(), Bucket, path);
      expect([answer.status, answer.body]).toEqual([200, body]);
      expect(answer.headers["content-type"]).toBe("text/html");
    }
    const folder = await visit(server(), Bucket, "/a");
    expect([folder.status, folder.headers["location"]]).toEqual([302, "/a/"]);
    const range = await visit(server(), Bucket, "/", { headers: { Range: "bytes=1-2" } });
    expect([range.status, range.body]).toEqual([206, "op"]);
    const { etag = "" } = (await visit(server(), Bucket, "/")).headers;
    const same = await visit(server(), Bucket, "/", { headers: { "If-None-Match": etag } });
    expect(same.status).toBe(304);
  });

  test("HEAD says what GET sends", async () => {
    const s3 = sdkFor(server());
    const Bucket = await shownBucket(s3, PAGES);
    await put(s3, Bucket, { "index.html": "top" });
    const request = { method: "HEAD", headers: { Connection: "close" } };
    const lines = { Host: `${Bucket}.${DOMAIN}`, ...request.headers };
    const bytes = requestBytes({ method: "HEAD", path: "/" }, lines);
    const answer = await sendBytes(server(), bytes, { thenEnd: true });
    expect([answer?.status, answer?.headers["content-length"]]).toEqual([200, "3"]);
  });

  test("errors come with the error document, and with their own status", async () => {
    const s3 = sdkFor(server());
    const Bucket = await shownBucket(s3, PAGES);
    const plain = await visit(server(), Bucket, "/gone<b>");
    expect(plain.status).toBe(404);
    expect(plain.headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(plain.headers["x-amz-error-code"]).toBe("NoSuchKey");
    expect(plain.body).toContain("<h1>404 Not Found</h1>");
    expect(plain.body).toContain("<li>Key: gone&lt;b&gt;</li>");
    expect(plain.body).toContain("Error Occurred While Attempting to Retrieve a Custom Error");
    await put(s3, Bucket, { "oops/error.html": "sorry", secret: "not for you" });
    const headers = { Range: "bytes=0-1" };
    const custom = await visit(server(), Bucket, "/gone", { headers });
    expect([custom.status, custom.body]).toEqual([404, "sorry"]);
    expect(custom.headers["content-type"]).toBe("text/html");
    const secret = await visit(server(), Bucket, "/secret");
    expect([secret.status, secret.body]).toEqual([403, "sorry"]);
    expect(secret.headers["x-amz-error-code"]).toBe("AccessDenied");
  });

  test("who may not list does not learn what is there", async () => {
    const s3 = sdkFor(server());
    const Bucket = await shownBucket(s3, { IndexDocument: { Suffix: "index.html" } }, false);
    for (const path of ["/", "/gone", "/secret"]) {
      const answer = await visit(server(), Bucket, path);
      expect([answer.status, answer.headers["x-amz-error-code"]]).toEqual([403, "AccessDenied"]);
    }
    const hidden = await makeBucket(s3);
    await put(s3, hidden, { "index.html": "top" });
    const WebsiteConfiguration = PAGES;
    await s3.send(new PutBucketWebsiteCommand({ Bucket: hidden, WebsiteConfiguration }));
    const answer = await visit(server(), hidden, "/");
    expect(answer.status).toBe(403);
    expect(answer.body).not.toContain("top");
  });

  test("redirects go where rules and objects say", async () => {
    const s3 = sdkFor(server());
    const Bucket = await shownBucket(s3, PAGES);
    const object = { Bucket, Key: "moved", Body: "x", WebsiteRedirectLocation: "/new place?a=1" };
    await s3.send(new PutObjectCommand(object));
    const host = `${Bucket}.${DOMAIN}:${server().port}`;
    for (const [path, status, location] of [
      ["/docs/a%20b", 302, `http://${host}/documents/a%20b`],
      ["/old/gone", 301, "https://other.test/moved.html"],
      ["/moved", 301, "/new%20place?a=1"],
    ] as const) {
      const answer = await visit(server(), Bucket, path);
      expect([answer.status, answer.headers["location"]]).toEqual([status, location]);
    }
    const all = { RedirectAllRequestsTo: { HostName: "example.com", Protocol: "https" as const } };
    const other = await shownBucket(s3, all);
    const answer = await visit(server(), other, "/a/b%0d%0ax:y");
    expect([answer.status, answer.headers["location"]]).toEqual([
      301,
      "https://example.com/a/b%0D%0Ax:y",
    ]);
  });

  test("what was deleted or hidden by a marker is gone, and comes back with its version", async () => {
    const s3 = sdkFor(server());
    const Bucket = await shownBucket(s3, PAGES);
    const VersioningConfiguration = { Status: "Enabled" as const };
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    await put(s3, Bucket, { "a/index.html": "first" });
    await put(s3, Bucket, { "a/index.html": "second" });
    expect((await visit(server(), Bucket, "/a/")).body).toBe("second");
    const Key = "a/index.html";
    const { VersionId } = await s3.send(new DeleteObjectCommand({ Bucket, Key }));
    const gone = await visit(server(), Bucket, "/a/");
    expect([gone.status, gone.headers["x-amz-error-code"]]).toEqual([404, "NoSuchKey"]);
    expect((await visit(server(), Bucket, "/a")).status).toBe(404);
    await s3.send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
    expect((await visit(server(), Bucket, "/a/")).body).toBe("second");
  });

  test("pages of other origins ask what the bucket's CORS rules let them do", async () => {
    const s3 = sdkFor(server());
    const Bucket = await shownBucket(s3, PAGES);
    await put(s3, Bucket, { "index.html": "<p>" });
    const headers = { Origin: "http://a.test", "Access-Control-Request-Method": "GET" };
    const ask = (more = {}) =>
      visit(server(), Bucket, "/", { method: "OPTIONS", headers: { ...headers, ...more } });
    const closed = await ask();
    expect([closed.status, closed.headers["x-amz-error-code"]]).toEqual([403, "AccessForbidden"]);
    expect(closed.headers["content-type"]).toMatch(/^text\/html/);
    const CORSRules = [{ AllowedMethods: ["GET"], AllowedOrigins: ["http://a.test"] }];
    const CORSConfiguration = { CORSRules };
    await s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration }));
    const open = await ask();
    expect([open.status, open.body]).toEqual([200, ""]);
    expect(open.headers["access-control-allow-origin"]).toBe("http://a.test");
    expect((await ask({ Origin: "http://b.test" })).status).toBe(403);
    const got = await visit(server(), Bucket, "/", { headers: { Origin: "http://a.test" } });
    expect([got.status, got.headers["access-control-allow-origin"]]).toEqual([
      200,
      "http://a.test",
    ]);
    const bare = await shownBucket(s3, undefined);
    const nowhere = await visit(server(), bare, "/", { method: "OPTIONS", headers });
    expect(nowhere.headers["x-amz-error-code"]).toBe("NoSuchWebsiteConfiguration");
  });

  test("a form may be sent to the host of its bucket, beside its website", async () => {
    const s3 = sdkFor(server());
    const Bucket = await shownBucket(s3, PAGES);
    const VersioningConfiguration = { Status: "Enabled" as const };
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    const fields = [["key", "index.html"] as const];
    const signed = signedFields([{ bucket: Bucket }, { key: "index.html" }]);
    const body = formBytes({ fields: [...fields, ...signed], file: "from a form" });
    const host = `${Bucket}.${S3_DOMAIN}:${server().port}`;
    const lines = {
      Host: host,
      "Content-Type": `multipart/form-data; boundary=${BOUNDARY}`,
      "Content-Length": String(body.length),
    };
    const request = requestBytes({ method: "POST", path: "/" }, lines, body);
    const answer = await sendBytes(server(), request);
    expect([answer?.status, answer?.headers["location"]]).toEqual([
      204,
      `http://${host}/index.html`,
    ]);
    expect(answer?.headers["x-amz-version-id"]).toMatch(/^[0-9a-f]{32}$/);
    expect((await visit(server(), Bucket, "/")).body).toBe("from a form");
  });

  test("only reading is possible, and the S3 operations are elsewhere", async () => {
    const s3 = sdkFor(server());
    const Bucket = await shownBucket(s3, PAGES);
    for (const method of ["PUT", "POST", "DELETE"]) {
      const answer = await visit(server(), Bucket, "/k", { method });
      expect([method, answer.status]).toEqual([method, 405]);
      expect(answer.headers["allow"]).toBe("GET, HEAD, OPTIONS");
    }
    const control = await visit(server(), Bucket, "/v1/health/live");
    expect([control.status, control.headers["x-amz-error-code"]]).toEqual([404, "NoSuchKey"]);
    const nowhere = await visit(server(), "not-there", "/");
    expect([nowhere.status, nowhere.headers["x-amz-error-code"]]).toEqual([404, "NoSuchBucket"]);
    const s3Host = await visit(server(), Bucket, "/", { domain: S3_DOMAIN });
    expect(s3Host.body).toContain("<ListBucketResult");
    const broken = await visit(server(), Bucket, "/%ff");
    expect(broken.status).toBe(400);
  });
});

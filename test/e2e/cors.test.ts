import {
  type CORSRule,
  DeleteBucketCorsCommand,
  GetBucketCorsCommand,
  GetObjectCommand,
  PutBucketCorsCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import {
  type RawAnswer,
  requestBytes,
  sendBytes,
  sendSigned,
  signedHeaders,
} from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, type TestServer, useServer } from "../support/server.ts";

const VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";
const RULES: CORSRule[] = [
  { AllowedMethods: ["GET"], AllowedOrigins: ["*suffix"] },
  { AllowedMethods: ["GET"], AllowedOrigins: ["start*end"] },
  {
    ID: "uploads",
    AllowedMethods: ["PUT", "POST"],
    AllowedOrigins: ["https://app.test"],
    AllowedHeaders: ["x-amz-*", "Content-Type"],
    ExposeHeaders: ["ETag"],
    MaxAgeSeconds: 600,
  },
];

async function bucketWith(s3: S3Client, rules: CORSRule[] = RULES): Promise<string> {
  const Bucket = await makeBucket(s3);
  const CORSConfiguration = { CORSRules: rules };
  await s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration }));
  return Bucket;
}

async function send(
  server: TestServer,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<RawAnswer> {
  const lines = { Host: server.host, ...headers };
  const answer = await sendBytes(server, requestBytes({ method, path }, lines));
  if (answer === undefined) throw new Error(`${method} ${path}: no answer`);
  return answer;
}

/** What a page gets to see: origin and methods. */
function allowed({ headers }: RawAnswer): ReadonlyArray<string | undefined> {
  return [headers["access-control-allow-origin"], headers["access-control-allow-methods"]];
}

const NOTHING = [undefined, undefined];

describe.each(ENGINES)("CORS on %s", (engine) => {
  const server = useServer({ engine });

  test("rules are kept, replaced and taken away", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const get = () => s3.send(new GetBucketCorsCommand({ Bucket }));
    expect(await refusalOf(get())).toBe("404 NoSuchCORSConfiguration");
    const put = (CORSRules: CORSRule[]) =>
      s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }));
    expect((await put(RULES)).$metadata.httpStatusCode).toBe(200);
    expect((await get()).CORSRules).toEqual(RULES);
    await put(RULES.slice(1));
    expect((await get()).CORSRules).toEqual(RULES.slice(1));
    for (let times = 0; times < 2; times++) {
      const gone = await s3.send(new DeleteBucketCorsCommand({ Bucket }));
      expect(gone.$metadata.httpStatusCode).toBe(204);
    }
    expect(await refusalOf(get())).toBe("404 NoSuchCORSConfiguration");
  });

  const GET = { AllowedMethods: ["GET"], AllowedOrigins: ["*"] };
  test.each<readonly [string, CORSRule[], string]>([
    ["no rule", [], "400 MalformedXML"],
    ["101 rules", Array.from({ length: 101 }, () => GET), "400 InvalidRequest"],
    ["an origin with two stars", [{ ...GET, AllowedOrigins: ["*.a.*"] }], "400 InvalidRequest"],
    ["a header with two stars", [{ ...GET, AllowedHeaders: ["*a*"] }], "400 InvalidRequest"],
    ["an exposed header with a star", [{ ...GET, ExposeHeaders: ["x-*"] }], "400 InvalidRequest"],
    ["a method of its own", [{ ...GET, AllowedMethods: ["OPTIONS"] }], "400 InvalidRequest"],
    ["a method in small letters", [{ ...GET, AllowedMethods: ["get"] }], "400 InvalidRequest"],
    ["no method", [{ AllowedMethods: [], AllowedOrigins: ["*"] }], "400 MalformedXML"],
    ["no origin", [{ AllowedMethods: ["GET"], AllowedOrigins: [] }], "400 MalformedXML"],
    ["a line break", [{ ...GET, ExposeHeaders: ["a\r\nb: c"] }], "400 MalformedXML"],
    ["a time that is none", [{ ...GET, MaxAgeSeconds: -1 }], "400 MalformedXML"],
  ])("%s is refused and changes nothing", async (_name, CORSRules, refusal) => {
    const s3 = sdkFor(server());
    const Bucket = await bucketWith(s3);
    const put = s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }));
    expect(await refusalOf(put)).toBe(refusal);
    const { CORSRules: kept } = await s3.send(new GetBucketCorsCommand({ Bucket }));
    expect(kept).toEqual(RULES);
  });

  test.each([
    ["cors", 64, "<CORSConfiguration>", "</CORSConfiguration>"],
    ["website", 128, "<WebsiteConfiguration>", "</WebsiteConfiguration>"],
  ])("a document of %s has at most %i KiB", async (name, most, begin, end) => {
    const path = `/${await makeBucket(sdkFor(server()))}?${name}`;
    const said = async (bytes: number): Promise<string> => {
      const body = begin + " ".repeat(bytes - begin.length - end.length) + end;
      const { status, code } = await sendSigned(server(), { method: "PUT", path, body });
      return `${status} ${code}`;
    };
    expect(await said(most * 1024)).toMatch(/^400 (MalformedXML|InvalidArgument)$/);
    expect(await said(most * 1024 + 1)).toBe("400 MaxMessageLengthExceeded");
  });

  test("the message names what a rule may not have", async () => {
    const Bucket = await makeBucket(sdkFor(server()));
    const body =
      "<CORSConfiguration><CORSRule><AllowedMethod>PATCH</AllowedMethod>" +
      "<AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>";
    const answer = await sendSigned(server(), { method: "PUT", path: `/${Bucket}?cors`, body });
    expect([answer.status, answer.code]).toEqual([400, "InvalidRequest"]);
    expect(answer.body).toContain(
      "Found unsupported HTTP method in CORS config. Unsupported method is PATCH",
    );
  });

  test.each([
    ["foo.suffix", "GET", 200, ["foo.suffix", "GET"]],
    ["foo.suffix", "PUT", 403, NOTHING],
    ["foo.suffix.get", "GET", 403, NOTHING],
    ["start1end", "GET", 200, ["start1end", "GET"]],
    ["https://app.test", "PUT", 200, ["https://app.test", "PUT, POST"]],
    ["https://app.test", "DELETE", 403, NOTHING],
  ] as const)("a preflight from %s for %s is answered with %i", async (...row) => {
    const [origin, method, status, seen] = row;
    const Bucket = await bucketWith(sdkFor(server()));
    const headers = { Origin: origin, "Access-Control-Request-Method": method };
    for (const path of [`/${Bucket}`, `/${Bucket}/not-there`, `/${Bucket}/k?uploadId=x&foo=1`]) {
      const answer = await send(server(), "OPTIONS", path, headers);
      expect(answer.status).toBe(status);
      expect(allowed(answer)).toEqual(seen);
      expect(answer.headers["vary"]).toBe(VARY);
      if (status === 200) continue;
      expect(answer.code).toBe("AccessForbidden");
      expect(answer.body).toContain("CORSResponse: This CORS request is not allowed.");
      expect(answer.body).toContain(`<Method>${method}</Method>`);
    }
  });

  test("a preflight allows what it was asked for, and says the rest of its rule", async () => {
    const Bucket = await bucketWith(sdkFor(server()));
    const answer = await send(server(), "OPTIONS", `/${Bucket}/k`, {
      Origin: "https://app.test",
      "Access-Control-Request-Method": "PUT",
      "Access-Control-Request-Headers": "Content-Type, X-Amz-Date,x-amz-meta-a",
    });
    expect([answer.status, answer.body]).toEqual([200, ""]);
    expect(answer.headers).toMatchObject({
      "access-control-allow-headers": "content-type, x-amz-date, x-amz-meta-a",
      "access-control-expose-headers": "ETag",
      "access-control-max-age": "600",
      "access-control-allow-credentials": "true",
    });
    const more = await send(server(), "OPTIONS", `/${Bucket}/k`, {
      Origin: "https://app.test",
      "Access-Control-Request-Method": "PUT",
      "Access-Control-Request-Headers": "content-type,authorization",
    });
    expect([more.status, more.code]).toEqual([403, "AccessForbidden"]);
  });

  test.each([
    [{}, 400, "BadRequest", "Insufficient information. Origin request header needed."],
    [{ Origin: "http://a" }, 400, "BadRequest", "Invalid Access-Control-Request-Method: null"],
    [
      { Origin: "http://a", "Access-Control-Request-Method": "PATCH" },
      400,
      "BadRequest",
      "Invalid Access-Control-Request-Method: PATCH",
    ],
    [
      { Origin: "http://a", "Access-Control-Request-Method": "GET" },
      403,
      "AccessForbidden",
      "CORSResponse: CORS is not enabled for this bucket.",
    ],
  ] as const)("a preflight with %j is refused: %i %s", async (headers, status, code, message) => {
    const Bucket = await makeBucket(sdkFor(server()));
    const answer = await send(server(), "OPTIONS", `/${Bucket}`, headers);
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(answer.body).toContain(`<Message>${message}</Message>`);
  });

  test("a preflight for a bucket that is not there hears so", async () => {
    const headers = { Origin: "http://a", "Access-Control-Request-Method": "GET" };
    const answer = await send(server(), "OPTIONS", "/not-there/k", headers);
    expect([answer.status, answer.code]).toEqual([404, "NoSuchBucket"]);
  });

  test("answers carry the rule of their origin, errors and HEAD too", async () => {
    const s3 = sdkFor(server());
    const Bucket = await bucketWith(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "content" }));
    const ask = (method: string, key: string, headers: Record<string, string>) =>
      sendSigned(server(), { method, path: `/${Bucket}/${key}`, headers });
    const there = await ask("GET", "k", { Origin: "foo.suffix" });
    expect([there.status, ...allowed(there)]).toEqual([200, "foo.suffix", "GET"]);
    expect(there.headers).toMatchObject({ vary: VARY, "access-control-allow-credentials": "true" });
    const gone = await ask("GET", "gone", { Origin: "foo.suffix" });
    expect([gone.status, ...allowed(gone)]).toEqual([404, "foo.suffix", "GET"]);
    const forbidden = await send(server(), "GET", `/${Bucket}/k`, { Origin: "foo.suffix" });
    expect([forbidden.status, ...allowed(forbidden)]).toEqual([403, "foo.suffix", "GET"]);
    const put = await send(server(), "PUT", `/${Bucket}/k`, {
      Origin: "foo.suffix",
      "Access-Control-Request-Method": "GET",
      "Content-Length": "0",
    });
    expect([put.status, ...allowed(put)]).toEqual([403, "foo.suffix", "GET"]);
    const other = await ask("GET", "k", { Origin: "foo.bar" });
    expect([other.status, ...allowed(other), other.headers["vary"]]).toEqual([
      200,
      undefined,
      undefined,
      VARY,
    ]);
    const none = await ask("GET", "k", {});
    expect([none.status, ...allowed(none), none.headers["vary"]]).toEqual([
      200,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("HEAD asks for the method HEAD", async () => {
    const s3 = sdkFor(server());
    const Bucket = await bucketWith(s3, [{ AllowedMethods: ["HEAD"], AllowedOrigins: ["*"] }]);
    const request = { method: "HEAD", path: `/${Bucket}/gone`, headers: { Origin: "http://a" } };
    const headers = { ...signedHeaders(server(), request), Connection: "close" };
    const answer = await fetch(`${server().endpoint}/${Bucket}/gone`, { method: "HEAD", headers });
    expect(answer.status).toBe(404);
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
  });

  test("a bucket without rules says nothing of origins, and neither does one that is gone", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "content" }));
    const headers = { Origin: "http://a" };
    for (const path of [`/${Bucket}/k`, "/not-there/k", "/"]) {
      const answer = await sendSigned(server(), { method: "GET", path, headers });
      expect([...allowed(answer), answer.headers["vary"]]).toEqual([...NOTHING, undefined]);
    }
    expect(await refusalOf(s3.send(new GetObjectCommand({ Bucket, Key: "gone" })))).toBe(
      "404 NoSuchKey",
    );
  });
});

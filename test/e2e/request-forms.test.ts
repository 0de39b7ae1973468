import { connect } from "node:net";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, test } from "vitest";
import { requestBytes, sendBytes, sendSigned, signedHeaders } from "../support/raw-http.ts";
import { makeBucket, sdkFor } from "../support/sdk.ts";
import { ENGINES, type TestServer, useServer } from "../support/server.ts";

/** Sends the requests over one connection, each after the answer to the one before. */
function statusesOf(server: TestServer, requests: readonly Uint8Array[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, "127.0.0.1");
    const statuses: string[] = [];
    let text = "";
    const finish = (): void => {
      socket.destroy();
      resolve(statuses);
    };
    socket.setTimeout(20_000, finish);
    socket.on("error", reject);
    socket.on("close", finish);
    socket.on("data", (data) => {
      text += data.toString("latin1");
      const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
      const headEnd = text.indexOf("\r\n\r\n");
      if (status === undefined || headEnd < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      const isHead = statuses.length === HEAD_AT;
      if (!isHead && text.length < headEnd + 4 + length) return;
      text = "";
      statuses.push(status);
      const next = requests[statuses.length];
      if (next === undefined) finish();
      else socket.write(next);
    });
    socket.on("connect", () => socket.write(requests[0] ?? ""));
  });
}
/** Which of the requests is a HEAD, whose answer has a length and no body. */
const HEAD_AT = 1;

describe.each(ENGINES)("forms of requests on %s", (engine) => {
  const server = useServer({ engine });
  let Bucket = "";

  beforeAll(async () => {
    const s3 = sdkFor(server());
    Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "there", Body: "body" }));
  });

  // The answer to a HEAD has a length and no body: its end is the end of the connection.
  const send = (method: string, path: string, headers = {}, body?: string) =>
    sendSigned(server(), {
      ...{ method, path: `/${Bucket}${path}` },
      headers: method === "HEAD" ? { ...headers, Connection: "close" } : headers,
      ...(body === undefined ? {} : { body }),
    });

  test("Expect: 100-continue is welcome", async () => {
    const put = await send("PUT", "/expected", { Expect: "100-continue" }, "body");
    expect(put.status).toBe(200);
    expect((await send("GET", "/expected")).body).toBe("body");
  });

  test.each([
    ["/%c3%a9t%c3%a9", "/%C3%A9t%C3%A9"],
    ["/tilde~", "/tilde%7E"],
    ["/paren(1)!*'", "/paren%281%29%21%2A%27"],
    ["/semi;colon=1:2@", "/semi%3Bcolon%3D1%3A2%40"],
  ])("%s and %s are one key", async (plain, escaped) => {
    expect((await send("PUT", plain, {}, plain)).status).toBe(200);
    expect((await send("GET", escaped)).body).toBe(plain);
  });

  test("slashes are part of the key, wherever they stand", async () => {
    const keys = ["//twice", "/dir/", "/dir//", "/dir/file"];
    for (const key of keys) expect((await send("PUT", key, {}, key)).status).toBe(200);
    for (const key of keys) expect((await send("GET", key)).body).toBe(key);
    const listed = await send("GET", "?list-type=2&prefix=%2F");
    expect(listed.body).toContain("<Key>/twice</Key>");
    expect(listed.body).not.toContain("<Key>dir/</Key>");
  });

  test("a directory marker of no bytes is an object like others", async () => {
    expect((await send("PUT", "/marker/", { "Content-Length": "0" })).status).toBe(200);
    const head = await send("GET", "/marker/");
    expect([head.status, head.headers["content-length"]]).toEqual([200, "0"]);
    expect((await send("GET", "/marker")).code).toBe("NoSuchKey");
  });

  test("in a query a plus sign is a space, and %2B a plus sign", async () => {
    for (const key of ["/q%20r", "/q%2Br"]) await send("PUT", key, {}, "x");
    const spaced = await send("GET", "?list-type=2&prefix=q%20r");
    expect(spaced.body).toContain("<Key>q r</Key>");
    expect(spaced.body).not.toContain("<Key>q+r</Key>");
    const plus = await send("GET", "?list-type=2&prefix=q%2Br");
    expect(plus.body).toContain("<Key>q+r</Key>");
  });

  test("a body where none belongs does not disturb the next request", async () => {
    const bodies = ["GET", "HEAD", "DELETE"].map((method) => {
      const request = { method, path: `/${Bucket}/nothing`, body: "unexpected" };
      return requestBytes(request, signedHeaders(server(), request), "unexpected");
    });
    const last = { method: "GET", path: `/${Bucket}/there` };
    const next = requestBytes(last, signedHeaders(server(), last));
    const statuses = await statusesOf(server(), [...bodies, next]);
    expect(statuses).toEqual(["404", "404", "204", "200"]);
  });

  test("a PUT that does not say its length is refused with 411", async () => {
    const path = `/${Bucket}/endless`;
    const headers = { "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD" };
    const signed = signedHeaders(server(), { method: "PUT", path, headers });
    delete signed["Content-Length"];
    const answer = await sendBytes(server(), requestBytes({ method: "PUT", path }, signed));
    expect([answer?.status, answer?.code]).toEqual([411, "MissingContentLength"]);
    const streaming = { "X-Amz-Content-Sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" };
    const undecoded = await send("PUT", "/endless", streaming, "");
    expect([undecoded.status, undecoded.code]).toEqual([411, "MissingContentLength"]);
    expect((await send("HEAD", "/endless")).status).toBe(404);
  });

  test("errors name the resource, the request and the thing", async () => {
    const missing = await send("GET", "/not%20here?x-id=GetObject");
    expect(missing.status).toBe(404);
    expect(missing.headers["content-type"]).toBe("application/xml");
    expect(missing.body).toMatch(/^<\?xml version="1.0" encoding="UTF-8"\?>\s*<Error><Code>/);
    expect(missing.body).toContain("<Key>not here</Key>");
    expect(missing.body).toContain(`<Resource>/${Bucket}/not%20here</Resource>`);
    const id = missing.headers["x-amz-request-id"];
    expect(missing.body).toContain(`<RequestId>${id}</RequestId>`);
    const nowhere = await sendSigned(server(), { method: "GET", path: "/not-a-bucket" });
    expect(nowhere.body).toContain("<BucketName>not-a-bucket</BucketName>");
    const post = await send("POST", "/there", {}, "");
    expect([post.status, post.code]).toEqual([405, "MethodNotAllowed"]);
  });

  test("an error of HEAD has no body", async () => {
    for (const path of ["/nothing", "/there?partNumber=9", "/there?versionId=nonsense"]) {
      const head = await send("HEAD", path);
      expect(head.status).toBeGreaterThanOrEqual(400);
      expect(head.body).toBe("");
    }
  });

  test("the owner a request expects must be the owner", async () => {
    const acl = await send("GET", "?acl");
    const owner = /<ID>([^<]+)<\/ID>/.exec(acl.body)?.[1] ?? "";
    const right = await send("GET", "/there", { "x-amz-expected-bucket-owner": owner });
    expect(right.body).toBe("body");
    const wrong = await send("GET", "/there", { "x-amz-expected-bucket-owner": "111122223333" });
    expect([wrong.status, wrong.code]).toEqual([403, "AccessDenied"]);
  });
});

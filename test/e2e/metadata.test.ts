import { beforeAll, describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

describe.each(ENGINES)("metadata on %s", (engine) => {
  const server = useServer({ engine });
  let Bucket = "";

  beforeAll(async () => {
    Bucket = await makeBucket(sdkFor(server()));
  });

  // The answer to a HEAD has a length and no body: its end is the end of the connection.
  const send = (method: string, path: string, headers = {}, body?: string) =>
    sendSigned(server(), {
      ...{ method, path: `/${Bucket}${path}` },
      headers: method === "HEAD" ? { ...headers, Connection: "close" } : headers,
      ...(body === undefined ? {} : { body }),
    });
  const put = (key: string, headers: object) => send("PUT", key, headers, "body");

  test("system metadata comes back as it was sent, from GET and from HEAD", async () => {
    const system = {
      "cache-control": "public, max-age=14400",
      "content-disposition": 'attachment; filename="a b.txt"',
      "content-encoding": "gzip",
      "content-language": "de-AT, en",
      "content-type": "text/html; charset=utf-8",
      expires: "Thu, 01 Dec 2994 16:00:00 GMT",
      "x-amz-website-redirect-location": "/other page",
    };
    expect((await put("/system", system)).status).toBe(200);
    for (const method of ["GET", "HEAD"]) {
      expect((await send(method, "/system")).headers).toMatchObject(system);
    }
  });

  test("an Expires that is no date is kept as it is", async () => {
    await put("/expires", { Expires: "never" });
    expect((await send("GET", "/expires")).headers["expires"]).toBe("never");
  });

  test("what has no type is binary/octet-stream", async () => {
    await send("PUT", "/untyped", { "Content-Length": "0" });
    expect((await send("GET", "/untyped")).headers["content-type"]).toBe("binary/octet-stream");
    await send("PUT", "/empty-type", { "Content-Length": "0", "Content-Type": "" });
    const got = await send("GET", "/empty-type");
    expect(got.headers["content-type"]).toBe("binary/octet-stream");
  });

  test.each([
    ["aws-chunked", undefined],
    ["gzip,aws-chunked", "gzip"],
    ["aws-chunked, gzip", "gzip"],
    ["gzip, br", "gzip, br"],
  ])("of content-encoding %s, %s is kept", async (sent, kept) => {
    await put("/encoded", { "Content-Encoding": sent });
    expect((await send("GET", "/encoded")).headers["content-encoding"]).toBe(kept);
  });

  test("user metadata has lower-case names, and empty values are values", async () => {
    const headers = { "X-Amz-Meta-Upper": "Case Stays", "x-amz-meta-empty": "" };
    expect((await put("/user", headers)).status).toBe(200);
    const got = await send("GET", "/user");
    expect(got.headers["x-amz-meta-upper"]).toBe("Case Stays");
    expect(got.headers["x-amz-meta-empty"]).toBe("");
    await put("/user", {});
    expect((await send("GET", "/user")).headers["x-amz-meta-upper"]).toBeUndefined();
  });

  test("words that a client encoded for mail come back as they were", async () => {
    const word = "=?UTF-8?Q?caf=C3=A9?=";
    await put("/words", { "x-amz-meta-word": word });
    expect((await send("GET", "/words")).headers["x-amz-meta-word"]).toBe(word);
  });

  test("2,048 bytes of user metadata are allowed, one more is not", async () => {
    const value = "v".repeat(2048 - "name".length);
    expect((await put("/limit", { "x-amz-meta-name": value })).status).toBe(200);
    const more = await put("/beyond", { "x-amz-meta-name": `${value}v` });
    expect([more.status, more.code]).toEqual([400, "MetadataTooLarge"]);
    expect(more.body).toContain("<MaxSizeAllowed>2048</MaxSizeAllowed>");
    expect((await send("HEAD", "/beyond")).status).toBe(404);
    // System metadata does not count.
    expect((await put("/limit", { "Cache-Control": "c".repeat(3000) })).status).toBe(200);
  });

  test("response-* parameters replace what is stored, in GET and HEAD", async () => {
    await put("/replaced", { "Content-Type": "text/css", "Cache-Control": "private" });
    const wanted = {
      "cache-control": "no-cache",
      "content-disposition": 'attachment; filename="ü&=.txt"',
      "content-encoding": "br",
      "content-language": "esperanto",
      "content-type": "foo/bar",
      expires: "123",
    };
    const query = Object.entries(wanted)
      .map(([name, value]) => `response-${name}=${encodeURIComponent(value)}`)
      .join("&");
    for (const method of ["GET", "HEAD"]) {
      const got = await send(method, `/replaced?${query}`);
      expect(got.status).toBe(200);
      const { "content-disposition": disposition, ...others } = wanted;
      expect(got.headers).toMatchObject(others);
      const raw = got.headers["content-disposition"] ?? "";
      expect(Buffer.from(raw, "latin1").toString()).toBe(disposition);
    }
    const split = await send("GET", "/replaced?response-content-type=a%0D%0AX-Evil%3A%201");
    expect([split.status, split.headers["x-evil"]]).toEqual([400, undefined]);
  });

  test("a redirect must lead to a path or to the web", async () => {
    for (const location of ["/page", "http://a.example/", "https://a.example/"]) {
      const headers = { "x-amz-website-redirect-location": location };
      expect((await put("/redirect", headers)).status).toBe(200);
    }
    for (const location of ["page", "ftp://a.example/", "javascript:alert(1)"]) {
      const refused = await put("/redirect", { "x-amz-website-redirect-location": location });
      expect([refused.status, refused.code]).toEqual([400, "InvalidRedirectLocation"]);
    }
  });

  test("storage classes are labels, and STANDARD is not shown", async () => {
    await put("/class", { "x-amz-storage-class": "STANDARD_IA" });
    expect((await send("HEAD", "/class")).headers["x-amz-storage-class"]).toBe("STANDARD_IA");
    const listed = await send("GET", "?list-type=2&prefix=class");
    expect(listed.body).toContain("<StorageClass>STANDARD_IA</StorageClass>");
    await put("/class", { "x-amz-storage-class": "STANDARD" });
    expect((await send("HEAD", "/class")).headers["x-amz-storage-class"]).toBeUndefined();
    const nonsense = await put("/class", { "x-amz-storage-class": "standard" });
    expect([nonsense.status, nonsense.code]).toEqual([400, "InvalidStorageClass"]);
    const cold = await put("/class", { "x-amz-storage-class": "GLACIER" });
    expect([cold.status, cold.code]).toEqual([501, "NotImplemented"]);
  });

  test("tags sent with an object are counted and read back", async () => {
    await put("/tagged", { "x-amz-tagging": "b=2&a=one%20%2B%20two&empty=" });
    expect((await send("HEAD", "/tagged")).headers["x-amz-tagging-count"]).toBe("3");
    const tags = await send("GET", "/tagged?tagging");
    expect(tags.body).toContain("<Tag><Key>a</Key><Value>one + two</Value></Tag>");
    const many = Array.from({ length: 11 }, (_, at) => `t${at}=x`).join("&");
    for (const tagging of [many, "a=1&a=2", "=x", `k=${"v".repeat(257)}`, "bad=%3C"]) {
      expect((await put("/tagged", { "x-amz-tagging": tagging })).status).toBe(400);
    }
  });

  test("a copy brings everything along, or nothing", async () => {
    const headers = {
      "Content-Type": "text/css",
      "Cache-Control": "private",
      "x-amz-meta-colour": "blue",
      "x-amz-tagging": "a=1",
      "x-amz-storage-class": "STANDARD_IA",
      "x-amz-website-redirect-location": "/there",
    };
    await put("/from", headers);
    const copy = (to: string, more = {}) =>
      send("PUT", to, { "x-amz-copy-source": `/${Bucket}/from`, ...more });
    expect((await copy("/kept")).status).toBe(200);
    const kept = await send("HEAD", "/kept");
    expect(kept.headers).toMatchObject({
      "content-type": "text/css",
      "cache-control": "private",
      "x-amz-meta-colour": "blue",
      "x-amz-tagging-count": "1",
    });
    // AWS: storage class and redirect come from the request only.
    expect(kept.headers["x-amz-storage-class"]).toBeUndefined();
    expect(kept.headers["x-amz-website-redirect-location"]).toBeUndefined();
    const directives = {
      "x-amz-metadata-directive": "REPLACE",
      "x-amz-tagging-directive": "REPLACE",
    };
    await copy("/bare", { ...directives, "x-amz-meta-size": "small" });
    const bare = await send("HEAD", "/bare");
    expect(bare.headers).toMatchObject({
      "content-type": "binary/octet-stream",
      "x-amz-meta-size": "small",
    });
    for (const name of ["cache-control", "x-amz-meta-colour", "x-amz-tagging-count"]) {
      expect(bare.headers[name]).toBeUndefined();
    }
    const unknown = await copy("/bare", { "x-amz-metadata-directive": "MERGE" });
    expect([unknown.status, unknown.code]).toEqual([400, "InvalidArgument"]);
  });
});

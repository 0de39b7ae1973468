import { beforeEach, describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

/** MD5 of "body". */
const ETAG = "841a2d689ad86bd1611447453c22c6fc";
const OTHER = "0123456789abcdef0123456789abcdef";
const PAST = "Mon, 01 Jan 2024 00:00:00 GMT";

describe.each(ENGINES)("corners of conditions on %s", (engine) => {
  const server = useServer({ engine });
  let Bucket = "";

  // The answer to a HEAD has a length and no body: its end is the end of the connection.
  const send = (method: string, path: string, headers = {}, body?: string) =>
    sendSigned(server(), {
      ...{ method, path: `/${Bucket}${path}` },
      headers: method === "HEAD" ? { ...headers, Connection: "close" } : headers,
      ...(body === undefined ? {} : { body }),
    });

  beforeEach(async () => {
    Bucket = await makeBucket(sdkFor(server()));
    await send("PUT", "/there", {}, "body");
  });

  test.each([
    [{ "If-Match": ETAG }, 200],
    [{ "If-Match": `"${OTHER}", "${ETAG}"` }, 200],
    [{ "If-Match": `W/"${ETAG}"` }, 412],
    [{ "If-Match": OTHER }, 412],
    [{ "If-None-Match": ETAG }, 304],
    [{ "If-None-Match": `"${OTHER}","${ETAG}"` }, 304],
    [{ "If-None-Match": `W/"${ETAG}"` }, 304],
    // A failed precondition goes before "not modified".
    [{ "If-Match": OTHER, "If-None-Match": ETAG }, 412],
    [{ "If-Unmodified-Since": PAST, "If-None-Match": ETAG }, 412],
    [{ "If-Match": ETAG, "If-None-Match": ETAG }, 304],
    // What is no date is no condition.
    [{ "If-Modified-Since": "yesterday", "If-Unmodified-Since": "tomorrow" }, 200],
    [{ "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT" }, 200],
    [{ "If-Match": OTHER, Range: "bytes=100-" }, 412],
    [{ "If-None-Match": ETAG, Range: "bytes=100-" }, 304],
    [{ "If-Match": ETAG, Range: "bytes=1-2" }, 206],
  ])("reading with %j answers %i", async (headers, status) => {
    for (const method of ["GET", "HEAD"]) {
      const answer = await send(method, "/there", headers);
      expect(answer.status).toBe(status);
      if (status === 304) {
        expect(answer.headers["etag"]).toBe(`"${ETAG}"`);
        expect(answer.headers["last-modified"]).toMatch(/ GMT$/);
        expect(answer.body).toBe("");
      }
    }
  });

  test("what has not changed says again how long it may be kept", async () => {
    const kept = { "Cache-Control": "max-age=60", Expires: "Fri, 01 Jan 2100 00:00:00 GMT" };
    await send("PUT", "/kept", { ...kept, "x-amz-meta-a": "b" }, "body");
    const unchanged = await send("GET", "/kept", { "If-None-Match": ETAG });
    expect(unchanged.status).toBe(304);
    expect(unchanged.headers).toMatchObject({
      "cache-control": kept["Cache-Control"],
      expires: kept.Expires,
    });
    expect(unchanged.headers).not.toHaveProperty("content-type");
    expect(unchanged.headers).not.toHaveProperty("x-amz-meta-a");
  });

  test("what is not there is 404, whatever the condition", async () => {
    for (const headers of [{ "If-Match": "*" }, { "If-None-Match": "*" }, { "If-Match": ETAG }]) {
      expect((await send("GET", "/missing", headers)).code).toBe("NoSuchKey");
    }
  });

  test.each([
    ["/there", { "If-Match": `"${ETAG}"` }, 200, ""],
    ["/there", { "If-Match": ETAG }, 200, ""],
    ["/there", { "If-Match": "*" }, 200, ""],
    ["/there", { "If-Match": OTHER }, 412, "PreconditionFailed"],
    ["/there", { "If-None-Match": "*" }, 412, "PreconditionFailed"],
    ["/missing", { "If-None-Match": "*" }, 200, ""],
    ["/missing", { "If-Match": "*" }, 404, "NoSuchKey"],
    ["/missing", { "If-Match": ETAG }, 404, "NoSuchKey"],
    ["/there", { "If-Unmodified-Since": PAST }, 501, "NotImplemented"],
    // What is no list of entity tags is a condition all the same.
    ["/there", { "If-None-Match": '"*' }, 501, "NotImplemented"],
    ["/there", { "If-None-Match": "" }, 501, "NotImplemented"],
    ["/there", { "If-Match": `"${ETAG}" "x", *` }, 412, "PreconditionFailed"],
  ])("writing %s with %j answers %i %s", async (key, headers, status, code) => {
    const put = await send("PUT", key, headers, "new");
    expect([put.status, put.code]).toEqual([status, code]);
    const now = status === 200 ? "new" : key === "/there" ? "body" : undefined;
    const got = await send("GET", key);
    expect(got.status === 200 ? got.body : undefined).toBe(now);
  });

  test.each([
    ["/there", { "If-Match": `"${ETAG}"` }, 200, ""],
    ["/there", { "If-Match": OTHER }, 412, "PreconditionFailed"],
    ["/missing", { "If-Match": ETAG }, 404, "NoSuchKey"],
    ["/missing", { "If-None-Match": "*" }, 200, ""],
  ])("completing %s with %j answers %i %s", async (key, headers, status, code) => {
    const begun = await send("POST", `${key}?uploads`);
    const place = `${key}?uploadId=${/<UploadId>([^<]+)</.exec(begun.body)?.[1]}`;
    const part = await send("PUT", `${place}&partNumber=1`, {}, "part");
    const xml =
      "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>" +
      `<ETag>${part.headers["etag"]}</ETag></Part></CompleteMultipartUpload>`;
    const done = await send("POST", place, headers, xml);
    expect([done.status, done.code]).toEqual([status, code]);
    // A refused completion leaves the upload as it was.
    const listed = await send("GET", place);
    expect(listed.status).toBe(status === 200 ? 404 : 200);
  });

  test.each([
    [{ "if-match": ETAG, "if-unmodified-since": PAST }, 200],
    [{ "if-none-match": OTHER, "if-modified-since": PAST }, 200],
    [{ "if-none-match": ETAG, "if-modified-since": PAST }, 412],
    [{ "if-match": OTHER }, 412],
    [{ "if-unmodified-since": PAST }, 412],
    // A copy whose condition nobody can read must not go ahead without it.
    [{ "if-unmodified-since": "tomorrow" }, 400],
    [{ "if-modified-since": "" }, 400],
    [{ "if-none-match": `"${ETAG}" "${OTHER}"` }, 400],
    [{ "if-match": `"${ETAG}" "${OTHER}"` }, 412],
    [{ "if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT" }, 200],
  ])("copying when the source is %j answers %i", async (conditions, status) => {
    const named = Object.entries(conditions).map(([name, value]) => [
      `x-amz-copy-source-${name}`,
      value,
    ]);
    const headers = { "x-amz-copy-source": `${Bucket}/there`, ...Object.fromEntries(named) };
    const copied = await send("PUT", "/copied", headers);
    expect(copied.status).toBe(status);
    expect((await send("GET", "/copied")).status).toBe(status === 200 ? 200 : 404);
    const begun = await send("POST", "/parts?uploads");
    const uploadId = /<UploadId>([^<]+)</.exec(begun.body)?.[1];
    const part = await send("PUT", `/parts?partNumber=1&uploadId=${uploadId}`, headers);
    expect(part.status).toBe(status);
  });
});

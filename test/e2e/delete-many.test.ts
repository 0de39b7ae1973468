import { createHash } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const OTHER_ETAG = "&quot;0123456789abcdef0123456789abcdef&quot;";

describe.each(ENGINES)("deleting on %s", (engine) => {
  const server = useServer({ engine });
  let Bucket = "";

  beforeEach(async () => {
    Bucket = await makeBucket(sdkFor(server()));
  });

  // The answer to a HEAD has a length and no body: its end is the end of the connection.
  const send = (method: string, path: string, headers = {}, body?: string) =>
    sendSigned(server(), {
      ...{ method, path: `/${Bucket}${path}` },
      headers: method === "HEAD" ? { ...headers, Connection: "close" } : headers,
      ...(body === undefined ? {} : { body }),
    });
  const put = (key: string) => send("PUT", key, {}, "body");
  const deleteMany = (xml: string, headers = {}) => send("POST", "?delete", headers, xml);
  const isThere = async (key: string) => (await send("HEAD", key)).status === 200;

  test("each key has its own result, those that were not there included", async () => {
    await put("/one");
    const xml =
      '<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\n' +
      "  <Object><Key>one</Key></Object>\n  <Object><Key>missing</Key></Object>\n</Delete>\n";
    const answer = await deleteMany(xml);
    expect(answer.status).toBe(200);
    expect(answer.body).toContain("<Deleted><Key>one</Key></Deleted>");
    expect(answer.body).toContain("<Deleted><Key>missing</Key></Deleted>");
    expect(await isThere("/one")).toBe(false);
  });

  test("an empty key and one that is too long fail alone", async () => {
    await put("/one");
    const long = "k".repeat(1025);
    const answer = await deleteMany(
      `<Delete><Object><Key></Key></Object><Object><Key>${long}</Key></Object>` +
        "<Object><Key>one</Key></Object></Delete>",
    );
    expect(answer.status).toBe(200);
    expect(answer.body).toContain("<Code>UserKeyMustBeSpecified</Code>");
    expect(answer.body).toContain("<Code>KeyTooLongError</Code>");
    expect(answer.body).toContain("<Deleted><Key>one</Key></Deleted>");
    expect(await isThere("/one")).toBe(false);
  });

  test("keys are taken exactly: white space, references, the same one twice", async () => {
    for (const key of ["/%20padded%20", "/a%26%3Cb", "/tab%09"]) await put(key);
    const answer = await deleteMany(
      "<Delete><Object><Key> padded </Key></Object><Object><Key>a&amp;&lt;b</Key></Object>" +
        "<Object><Key>tab&#9;</Key></Object><Object><Key>tab&#x9;</Key></Object></Delete>",
    );
    expect(answer.status).toBe(200);
    expect(answer.body).not.toContain("<Error>");
    const listed = await send("GET", "?list-type=2");
    expect(listed.body).toContain("<KeyCount>0</KeyCount>");
  });

  test("a quiet request hears of failures only", async () => {
    await put("/one");
    const answer = await deleteMany(
      `<Delete><Quiet>true</Quiet><Object><Key>one</Key></Object><Object><Key>two</Key>` +
        `<ETag>${OTHER_ETAG}</ETag></Object></Delete>`,
    );
    expect(answer.body).not.toContain("<Deleted>");
    expect(answer.body).toContain("<Key>two</Key><Code>NoSuchKey</Code>");
  });

  test("an ETag is a condition on its key alone", async () => {
    for (const key of ["/right", "/bare", "/wrong", "/any"]) await put(key);
    const md5 = createHash("md5").update("body").digest("hex");
    const item = (key: string, etag: string) =>
      `<Object><Key>${key}</Key><ETag>${etag}</ETag></Object>`;
    const answer = await deleteMany(
      `<Delete>${item("right", `&quot;${md5}&quot;`)}${item("bare", md5)}` +
        `${item("wrong", OTHER_ETAG)}${item("any", "*")}</Delete>`,
    );
    expect(answer.status).toBe(200);
    expect(answer.body).toContain("<Key>wrong</Key><Code>PreconditionFailed</Code>");
    const there = await Promise.all(["/right", "/bare", "/wrong", "/any"].map(isThere));
    expect(there).toEqual([false, false, true, false]);
  });

  test("conditions we do not judge are refused, and nothing is deleted", async () => {
    await put("/one");
    const answer = await deleteMany(
      "<Delete><Object><Key>one</Key><Size>4</Size></Object></Delete>",
    );
    expect(answer.body).toContain("<Code>NotImplemented</Code>");
    const single = await send("DELETE", "/one", { "x-amz-if-match-size": "4" });
    expect([single.status, single.code]).toEqual([501, "NotImplemented"]);
    expect(await isThere("/one")).toBe(true);
  });

  test.each([
    ["Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==", "BadDigest"],
    ["Content-MD5", "short", "InvalidDigest"],
    ["x-amz-checksum-sha256", `${"A".repeat(43)}=`, "BadDigest"],
    ["x-amz-checksum-crc32", "AAAAAA==", "BadDigest"],
  ])("a body that does not fit its %s %s is refused", async (name, value, code) => {
    await put("/one");
    const xml = "<Delete><Object><Key>one</Key></Object></Delete>";
    const answer = await deleteMany(xml, { [name]: value });
    expect([answer.status, answer.code]).toEqual([400, code]);
    expect(await isThere("/one")).toBe(true);
  });

  test("a body that fits its digest is obeyed", async () => {
    await put("/one");
    const xml = "<Delete><Object><Key>one</Key></Object></Delete>";
    const md5 = createHash("md5").update(xml).digest("base64");
    expect((await deleteMany(xml, { "Content-MD5": md5 })).status).toBe(200);
    expect(await isThere("/one")).toBe(false);
  });

  test("1,000 keys are one request", async () => {
    const objects = Array.from({ length: 1000 }, (_, at) => `<Object><Key>k${at}</Key></Object>`);
    const answer = await deleteMany(`<Delete>${objects.join("")}</Delete>`);
    expect(answer.body.match(/<Deleted>/g)).toHaveLength(1000);
    const more = await deleteMany(
      `<Delete>${objects.join("")}<Object><Key>x</Key></Object></Delete>`,
    );
    expect([more.status, more.code]).toEqual([400, "MalformedXML"]);
  });

  test("a delete that demands an object there must be answers 404 or 412", async () => {
    const missing = await send("DELETE", "/one", { "If-Match": "*" });
    expect([missing.status, missing.code]).toEqual([404, "NoSuchKey"]);
    await put("/one");
    const wrong = await send("DELETE", "/one", { "If-Match": '"0"' });
    expect([wrong.status, wrong.code]).toEqual([412, "PreconditionFailed"]);
    expect(wrong.body).toContain("<Condition>If-Match</Condition>");
    expect((await send("DELETE", "/one", { "If-Match": "*" })).status).toBe(204);
  });

  test.each([
    ["null", 204, ""],
    ["", 400, "InvalidArgument"],
    ["nonsense", 400, "InvalidArgument"],
  ])("deleting version %j answers %i", async (versionId, status, code) => {
    await put("/one");
    const answer = await send("DELETE", `/one?versionId=${versionId}`);
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(await isThere("/one")).toBe(status !== 204);
  });
});

import { createHash } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, patternBytes, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const LONG = patternBytes(5 * 1024 * 1024, 21);
const SMALL = Buffer.from("the last part");

type Sent = { readonly number: number; readonly etag: string; readonly sha256?: string };

describe.each(ENGINES)("corners of multipart uploads on %s", (engine) => {
  const server = useServer({ engine });
  let Bucket = "";
  let finished = "";

  // The answer to a HEAD has a length and no body: its end is the end of the connection.
  const send = (method: string, path: string, headers = {}, body?: string | Uint8Array) =>
    sendSigned(server(), {
      ...{ method, path: `/${Bucket}${path}` },
      headers: method === "HEAD" ? { ...headers, Connection: "close" } : headers,
      ...(body === undefined ? {} : { body }),
    });
  const begin = async (key: string, headers = {}): Promise<string> => {
    const begun = await send("POST", `${key}?uploads`, headers);
    return /<UploadId>([^<]+)</.exec(begun.body)?.[1] ?? "";
  };
  const sendPart = async (place: string, number: number, body: Uint8Array): Promise<Sent> => {
    const headers = body.length === 0 ? { "Content-Length": "0" } : {};
    const bytes = body.length === 0 ? undefined : body;
    const sent = await send("PUT", `${place}&partNumber=${number}`, headers, bytes);
    expect(sent.status).toBe(200);
    return { number, etag: sent.headers["etag"] ?? "" };
  };
  const partXml = ({ number, etag, sha256 }: Sent): string =>
    `<Part><ETag>${etag}</ETag><PartNumber>${number}</PartNumber>` +
    `${sha256 === undefined ? "" : `<ChecksumSHA256>${sha256}</ChecksumSHA256>`}</Part>`;
  const complete = (place: string, parts: string, headers = {}) =>
    send("POST", place, headers, `<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`);

  beforeAll(async () => {
    Bucket = await makeBucket(sdkFor(server()));
    const headers = { "Content-Type": "text/css", "x-amz-meta-colour": "blue" };
    const place = `/finished?uploadId=${await begin("/finished", headers)}`;
    const parts = [await sendPart(place, 3, LONG), await sendPart(place, 9, SMALL)];
    const done = await complete(place, parts.map(partXml).join(""));
    expect(done.status).toBe(200);
    finished = /<ETag>([^<]+)</.exec(done.body)?.[1] ?? "";
    expect(done.body).toContain(`<Location>${server().endpoint}/${Bucket}/finished</Location>`);
  });

  test("an upload that names no checksum has CRC64NVME, whatever its parts bring", async () => {
    const place = `/unnamed?uploadId=${await begin("/unnamed")}`;
    const sha256 = createHash("sha256").update(LONG).digest("base64");
    const brought = { "x-amz-checksum-sha256": sha256 };
    const first = await send("PUT", `${place}&partNumber=1`, brought, LONG);
    expect(first.headers["x-amz-checksum-sha256"]).toBe(sha256);
    const last = await sendPart(place, 2, SMALL);
    const listed = `<ETag>${first.headers["etag"]}</ETag><ChecksumSHA256>${sha256}</ChecksumSHA256>`;
    const parts = `<Part><PartNumber>1</PartNumber>${listed}</Part>${partXml(last)}`;
    const done = await complete(place, parts);
    const whole = await send("PUT", "/whole", {}, Buffer.concat([LONG, SMALL]));
    const crc = whole.headers["x-amz-checksum-crc64nvme"];
    expect(done.body).toContain(`<ChecksumCRC64NVME>${crc}</ChecksumCRC64NVME>`);
    expect(done.body).toContain("<ChecksumType>FULL_OBJECT</ChecksumType>");
    const mode = { "x-amz-checksum-mode": "ENABLED" };
    const { headers } = await send("HEAD", "/unnamed?partNumber=1", mode);
    expect(headers["x-amz-checksum-crc64nvme"]).toBeTruthy();
    expect(headers["x-amz-checksum-sha256"]).toBeUndefined();
  });

  test("what was said when the upload began describes the object", async () => {
    const head = await send("HEAD", "/finished");
    expect(head.headers).toMatchObject({
      "content-type": "text/css",
      "x-amz-meta-colour": "blue",
      "content-length": String(LONG.length + SMALL.length),
      etag: finished.replaceAll("&quot;", '"'),
    });
  });

  test("a part is read by its number, with its place and the number of parts", async () => {
    const size = LONG.length + SMALL.length;
    for (const method of ["GET", "HEAD"]) {
      const second = await send(method, "/finished?partNumber=2");
      expect(second.status).toBe(206);
      expect(second.headers).toMatchObject({
        "content-range": `bytes ${LONG.length}-${size - 1}/${size}`,
        "content-length": String(SMALL.length),
        "x-amz-mp-parts-count": "2",
      });
      expect(second.body).toBe(method === "GET" ? SMALL.toString() : "");
    }
    expect((await send("HEAD", "/finished?partNumber=3")).status).toBe(416);
    const beyond = await send("GET", "/finished?partNumber=3");
    expect([beyond.status, beyond.code]).toEqual([416, "InvalidPartNumber"]);
    const zero = await send("GET", "/finished?partNumber=0");
    expect([zero.status, zero.code]).toEqual([400, "InvalidArgument"]);
    const whole = await send("HEAD", "/finished");
    expect(whole.headers["x-amz-mp-parts-count"]).toBeUndefined();
  });

  test.each([
    ["bare", (etag: string) => etag.replaceAll('"', "")],
    ["quoted", (etag: string) => etag],
    ["with entities", (etag: string) => etag.replaceAll('"', "&quot;")],
    ["with numbers", (etag: string) => etag.replaceAll('"', "&#34;")],
  ])("an ETag may come %s", async (name, form) => {
    const key = `/etag-${name.replace(" ", "-")}`;
    const place = `${key}?uploadId=${await begin(key)}`;
    const part = await sendPart(place, 1, SMALL);
    const done = await complete(place, partXml({ ...part, etag: form(part.etag) }));
    expect(done.status).toBe(200);
    expect((await send("GET", key)).body).toBe(SMALL.toString());
  });

  test("an upload of one part without bytes is an empty object", async () => {
    const place = `/empty?uploadId=${await begin("/empty")}`;
    const part = await sendPart(place, 1, Buffer.alloc(0));
    expect((await complete(place, partXml(part))).status).toBe(200);
    const got = await send("GET", "/empty");
    expect([got.status, got.headers["content-length"]]).toEqual([200, "0"]);
    expect(got.headers["etag"]).toMatch(/^"[0-9a-f]{32}-1"$/);
  });

  test("parts that are not listed are left out", async () => {
    const place = `/subset?uploadId=${await begin("/subset")}`;
    const [one] = [await sendPart(place, 1, SMALL), await sendPart(place, 2, LONG)];
    expect((await complete(place, partXml(one))).status).toBe(200);
    expect((await send("GET", "/subset")).body).toBe(SMALL.toString());
    expect((await send("GET", place)).code).toBe("NoSuchUpload");
  });

  test.each([
    ["", 400, "MalformedXML"],
    ["<Part><PartNumber>1</PartNumber></Part>", 400, "MalformedXML"],
    ["<Part><ETag>x</ETag></Part>", 400, "MalformedXML"],
    ["<Part><ETag>x</ETag><PartNumber>1</PartNumber><Odd/></Part>", 400, "MalformedXML"],
    ["<Part><ETag>x</ETag><PartNumber>0</PartNumber></Part>", 400, "InvalidArgument"],
    ["<Part><ETag>x</ETag><PartNumber>1</PartNumber></Part>", 400, "InvalidPart"],
  ])("completing with %j answers %i %s", async (parts, status, code) => {
    const place = `/refused?uploadId=${await begin("/refused")}`;
    await sendPart(place, 1, SMALL);
    const refused = await complete(place, parts);
    expect([refused.status, refused.code]).toEqual([status, code]);
    expect((await send("HEAD", "/refused")).status).toBe(404);
    expect((await send("DELETE", place)).status).toBe(204);
  });

  test("a part that is not there is named, with its upload and the tag that was listed", async () => {
    const uploadId = await begin("/named");
    const part = "<Part><ETag>x</ETag><PartNumber>134</PartNumber></Part>";
    const refused = await complete(`/named?uploadId=${uploadId}`, part);
    expect(refused.code).toBe("InvalidPart");
    for (const field of [
      `<UploadId>${uploadId}</UploadId>`,
      "<PartNumber>134</PartNumber>",
      "<ETag>x</ETag>",
    ]) {
      expect(refused.body).toContain(field);
    }
  });

  test("an upload id without a part number takes no body", async () => {
    const place = `/bodiless?uploadId=${await begin("/bodiless")}`;
    const refused = await send("PUT", place, {}, "x");
    expect([refused.status, refused.code]).toEqual([405, "MethodNotAllowed"]);
    expect(refused.headers["allow"]).toBe("DELETE, POST, GET");
    expect((await send("HEAD", "/bodiless")).status).toBe(404);
  });

  test("completing without any body is refused", async () => {
    const place = `/bodiless?uploadId=${await begin("/bodiless")}`;
    const refused = await send("POST", place, { "Content-Length": "0" });
    expect([refused.status, refused.code]).toEqual([400, "MalformedXML"]);
  });

  test("a composite upload wants the checksum of each part, and the right one", async () => {
    const sha256 = createHash("sha256").update(SMALL).digest("base64");
    const headers = { "x-amz-checksum-algorithm": "SHA256" };
    const place = `/summed?uploadId=${await begin("/summed", headers)}`;
    const plain = await send("PUT", `${place}&partNumber=1`, {}, SMALL);
    const sent = await send(
      ...(["PUT", `${place}&partNumber=1`, { "x-amz-checksum-sha256": sha256 }, SMALL] as const),
    );
    expect(sent.headers["x-amz-checksum-sha256"]).toBe(sha256);
    expect([200, 400]).toContain(plain.status);
    const part = { number: 1, etag: sent.headers["etag"] ?? "" };
    const missing = await complete(place, partXml(part));
    expect([missing.status, missing.code]).toEqual([400, "InvalidRequest"]);
    const other = createHash("sha256").update("other").digest("base64");
    const wrong = await complete(place, partXml({ ...part, sha256: other }));
    expect([wrong.status, wrong.code]).toEqual([400, "InvalidPart"]);
    const right = partXml({ ...part, sha256 });
    const digest = createHash("sha256").update(Buffer.from(sha256, "base64")).digest("base64");
    for (const [value, code] of [
      ["bad", "InvalidRequest"],
      [`${other}-1`, "BadDigest"],
    ]) {
      const refused = await complete(place, right, { "x-amz-checksum-sha256": value });
      expect([refused.status, refused.code]).toEqual([400, code]);
    }
    const done = await complete(place, right, { "x-amz-checksum-sha256": `${digest}-1` });
    expect(done.body).toContain(`<ChecksumSHA256>${digest}-1</ChecksumSHA256>`);
    expect(done.body).toContain("<ChecksumType>COMPOSITE</ChecksumType>");
  });

  test("the size a completion claims must be that of its parts", async () => {
    const place = `/sized?uploadId=${await begin("/sized")}`;
    const part = partXml(await sendPart(place, 1, SMALL));
    const wrong = await complete(place, part, { "x-amz-mp-object-size": "7" });
    expect([wrong.status, wrong.code]).toEqual([400, "InvalidRequest"]);
    const right = { "x-amz-mp-object-size": String(SMALL.length) };
    expect((await complete(place, part, right)).status).toBe(200);
  });

  test("an upload belongs to its key", async () => {
    const uploadId = await begin("/mine");
    for (const place of [`/other?uploadId=${uploadId}`, "/mine?uploadId=nonsense"]) {
      const part = await send("PUT", `${place}&partNumber=1`, {}, SMALL);
      const listed = await send("GET", place);
      const aborted = await send("DELETE", place);
      expect([part.code, listed.code, aborted.code]).toEqual(Array(3).fill("NoSuchUpload"));
    }
    expect((await send("DELETE", `/mine?uploadId=${uploadId}`)).status).toBe(204);
  });

  test("lists of parts end where they should", async () => {
    const place = `/listed?uploadId=${await begin("/listed")}`;
    for (const number of [2, 4]) await sendPart(place, number, SMALL);
    const numbers = (body: string): unknown[] =>
      [...body.matchAll(/<PartNumber>(\d+)</g)].map((match) => Number(match[1]));
    const first = await send("GET", `${place}&max-parts=1`);
    expect(numbers(first.body)).toEqual([2]);
    expect(first.body).toContain("<IsTruncated>true</IsTruncated>");
    expect(first.body).toContain("<NextPartNumberMarker>2</NextPartNumberMarker>");
    const last = await send("GET", `${place}&max-parts=1&part-number-marker=2`);
    expect(numbers(last.body)).toEqual([4]);
    expect(last.body).toContain("<IsTruncated>false</IsTruncated>");
    for (const query of ["part-number-marker=4", "part-number-marker=2147483647", "max-parts=0"]) {
      const none = await send("GET", `${place}&${query}`);
      expect([none.status, numbers(none.body)]).toEqual([200, []]);
      expect(none.body).toContain("<IsTruncated>false</IsTruncated>");
    }
    for (const query of ["max-parts=-1", "max-parts=x", "part-number-marker=-1"]) {
      expect((await send("GET", `${place}&${query}`)).code).toBe("InvalidArgument");
    }
    const huge = await send("GET", `${place}&max-parts=5000`);
    expect(huge.body).toContain("<MaxParts>1000</MaxParts>");
  });

  test("lists of uploads page through keys, uploads and prefixes", async () => {
    const other = await makeBucket(sdkFor(server()));
    const keys = ["a", "a", "b/1", "b/2", "c%0A"];
    for (const key of keys)
      await sendSigned(server(), { method: "POST", path: `/${other}/${key}?uploads` });
    const found: string[] = [];
    let markers = "";
    for (let page = 0; page < 4; page++) {
      const path = `/${other}?uploads&max-uploads=1&delimiter=%2F&encoding-type=url${markers}`;
      const { body } = await sendSigned(server(), { method: "GET", path });
      const key = /<Upload><Key>([^<]+)</.exec(body)?.[1];
      found.push(key ?? /<CommonPrefixes><Prefix>([^<]+)</.exec(body)?.[1] ?? "nothing");
      const nextKey = /<NextKeyMarker>([^<]*)</.exec(body)?.[1];
      const nextId = /<NextUploadIdMarker>([^<]*)</.exec(body)?.[1] ?? "";
      expect(body).toContain(`<IsTruncated>${page < 3}</IsTruncated>`);
      markers = `&key-marker=${nextKey}&upload-id-marker=${nextId}`;
    }
    expect(found).toEqual(["a", "a", "b/", "c%0A"]);
    const path = `/${other}?uploads&upload-id-marker=${"f".repeat(32)}`;
    const ignored = await sendSigned(server(), { method: "GET", path });
    expect(ignored.body.match(/<Upload>/g)).toHaveLength(keys.length);
  });
});

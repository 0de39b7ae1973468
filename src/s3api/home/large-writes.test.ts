import { createHash } from "node:crypto";
import aws4 from "aws4";
import { describe, expect, test } from "vitest";
import { ask } from "../../../test/support/fake-exchange.ts";
import { ABSENT, must, statusOf, useHomePair } from "../../../test/support/home-pair.ts";
import {
  credentialOf,
  ROOT_CREDENTIAL,
  type S3Site,
  type SignedRequest,
} from "../../../test/support/s3-site.ts";

const BOB = credentialOf("BOB", {});

const ANYBODY_PUTS = JSON.stringify({
  Version: "2012-10-17",
  Statement: [
    {
      ...{ Effect: "Allow", Action: "s3:PutObject", Resource: "arn:aws:s3:::photos/*" },
      Principal: { AWS: "*" },
    },
  ],
});

const { berlin, paris, link } = await useHomePair();

const MIB = 1024 * 1024;

/** Bytes that differ from chunk to chunk. */
function bytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 4096) bytes.writeUInt32LE(seed * 1_000_000 + at, at);
  return bytes;
}

describe("a conditional write of a large body", () => {
  const body = bytesOf(9 * MIB + 5, 1);

  test("travels in pieces, and is stored as any other", async () => {
    const headers = { ...ABSENT, "x-amz-meta-colour": "blue", "Content-Type": "video/mp4" };
    const put = { method: "PUT", path: "/photos/huge", headers, body };
    const answer = await berlin.ask(put);
    expect(answer.status).toBe(200);
    expect(answer.headers["etag"]).toBe(`"${createHash("md5").update(body).digest("hex")}"`);
    expect([link.pieces, link.forwarded.length]).toEqual([3, 0]);
    const got = await paris.ask({ method: "GET", path: "/photos/huge" });
    expect(got.body.equals(body)).toBe(true);
    expect(got.headers).toMatchObject({ "x-amz-meta-colour": "blue", "content-type": "video/mp4" });
    expect(await statusOf(berlin, put)).toBe("412 PreconditionFailed");
    const etag = { "If-Match": must(answer.headers["etag"]) };
    const next = { ...put, headers: etag, body: bytesOf(9 * MIB, 2) };
    expect(await statusOf(berlin, next)).toBe("200");
    expect(await statusOf(berlin, next)).toBe("412 PreconditionFailed");
    expect(await statusOf(berlin, { method: "HEAD", path: "/photos/huge" })).toBe("404");
  });

  test("keeps the checksum that its client sends behind it, and is refused with a wrong one", async () => {
    const sha256 = createHash("sha256").update(body).digest("base64");
    const chunked = (trailer: string) => {
      const framed = [`${body.length.toString(16)}\r\n`, body, "\r\n0\r\n", trailer, "\r\n\r\n"];
      return Buffer.concat(framed.map((piece) => Buffer.from(piece)));
    };
    const headers = {
      ...{ ...ABSENT, "X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER" },
      ...{ "X-Amz-Decoded-Content-Length": String(body.length) },
      ...{ "Content-Encoding": "aws-chunked", "X-Amz-Trailer": "x-amz-checksum-sha256" },
    };
    const put = { method: "PUT", path: "/photos/trailed", headers };
    const wrong = chunked(
      `x-amz-checksum-sha256:${sha256.replace(/^./, (c) => (c === "a" ? "b" : "a"))}`,
    );
    expect(await statusOf(berlin, { ...put, body: wrong })).toBe("400 BadDigest");
    expect(await statusOf(paris, { method: "HEAD", path: "/photos/trailed" })).toBe("404");
    const right = await berlin.ask({ ...put, body: chunked(`x-amz-checksum-sha256:${sha256}`) });
    expect([right.status, right.headers["x-amz-checksum-sha256"]]).toEqual([200, sha256]);
    const asked = { "x-amz-checksum-mode": "ENABLED" };
    const got = await paris.ask({ method: "GET", path: "/photos/trailed", headers: asked });
    expect([got.body.equals(body), got.headers["x-amz-checksum-sha256"]]).toEqual([true, sha256]);
    expect(got.headers["content-encoding"]).toBeUndefined();
  });

  test("may be an append, and is refused at once when the home says no", async () => {
    await paris.ask({ method: "PUT", path: "/photos/film", body: "one" });
    const append = { "x-amz-write-offset-bytes": "3" };
    const grow = { method: "PUT", path: "/photos/film", headers: append, body };
    expect(await statusOf(berlin, grow)).toBe("200");
    const got = await paris.ask({ method: "GET", path: "/photos/film" });
    expect(got.body.equals(Buffer.concat([Buffer.from("one"), body]))).toBe(true);
    // His key has not come to the home yet.
    berlin.add(BOB);
    await berlin.ask({ method: "PUT", path: "/photos?policy", body: ANYBODY_PUTS });
    const put = { method: "PUT", path: "/photos/his", headers: ABSENT, body, as: BOB };
    expect(await statusOf(berlin, put)).toBe("503 ServiceUnavailable");
    expect(link.pieces).toBeLessThan(5);
  });

  test("may be signed in its address", async () => {
    const headers = { Host: "s3.test:9000", ...ABSENT };
    const { path } = aws4.sign(
      {
        ...{ method: "PUT", host: "s3.test:9000", service: "s3", region: "us-east-1", headers },
        ...{ path: "/photos/presigned?X-Amz-Expires=60", signQuery: true },
      },
      { accessKeyId: ROOT_CREDENTIAL.id, secretAccessKey: ROOT_CREDENTIAL.secret },
    );
    for (const bytes of [body, body.subarray(0, 10)]) {
      const length = { "Content-Length": String(bytes.length) };
      const target = { method: "PUT", target: path ?? "", headers: { ...headers, ...length } };
      const sent = await ask(berlin.handler, { ...target, body: bytes });
      expect([sent.status, String(sent.body)]).toEqual([200, ""]);
      await paris.ask({ method: "DELETE", path: "/photos/presigned" });
    }
  });

  test("leaves nothing when the link breaks or its client goes, and may be tried again", async () => {
    const put = { method: "PUT", path: "/photos/torn", headers: ABSENT, body };
    for (const left of [0, 1, 2]) {
      link.piecesLeft = left;
      const { status, headers } = await berlin.ask(put);
      expect([status, headers["retry-after"]]).toEqual([503, "5"]);
    }
    link.piecesLeft = undefined;
    await berlin.ask({ ...put, abortAfterBytes: 5 * MIB });
    expect(await statusOf(paris, { method: "HEAD", path: "/photos/torn" })).toBe("404");
    await expect.poll(() => paris.store.stats().segments.pinnedBytes).toBe(0);
    expect(await statusOf(berlin, put)).toBe("200");
  });
});

/** Begins an upload with parts of these sizes, in MiB, and gives what completes it. */
async function upload(
  site: S3Site,
  path: string,
  sizes: readonly number[],
  headers: Record<string, string> = {},
): Promise<{ readonly complete: SignedRequest; readonly body: Buffer; readonly id: string }> {
  const begun = await site.ask({ method: "POST", path: `${path}?uploads`, headers });
  const id = must(/<UploadId>([^<]*)</.exec(String(begun.body))?.[1]);
  const parts: string[] = [];
  const bodies: Buffer[] = [];
  for (const [at, size] of sizes.entries()) {
    const body = bytesOf(size * MIB, 100 + parts.length + path.length);
    bodies.push(body);
    const name = `partNumber=${at + 1}&uploadId=${id}`;
    const put = await site.ask({ method: "PUT", path: `${path}?${name}`, body });
    const etag = put.headers["etag"];
    parts.push(`<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
  }
  const body = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
  const complete = {
    ...{ method: "POST", path: `${path}?uploadId=${id}`, headers: ABSENT, body },
  };
  return { complete, id, body: Buffer.concat(bodies) };
}

async function uploadsAt(site: S3Site): Promise<number> {
  const listed = await site.ask({ method: "GET", path: "/photos?uploads" });
  return String(listed.body).split("<Upload>").length - 1;
}

function etagIn(body: Buffer): string | undefined {
  return /<ETag>([^<]*)</.exec(String(body))?.[1]?.replaceAll("&quot;", '"');
}

describe("an upload that is completed with a condition, away from home", () => {
  test("becomes an object at the home, once, however often it is asked for", async () => {
    const headers = { "x-amz-meta-colour": "red", "Content-Type": "video/mp4" };
    const { complete, body } = await upload(berlin, "/photos/reel", [5, 6, 1], headers);
    const [first, second] = await Promise.all([berlin.ask(complete), berlin.ask(complete)]);
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(etagIn(first.body)).toMatch(/^"[0-9a-f]{32}-3"$/);
    expect(etagIn(second.body)).toBe(etagIn(first.body));
    expect(link.fetchedBytes).toBe(12 * MIB);
    const got = await paris.ask({ method: "GET", path: "/photos/reel" });
    expect(got.body.equals(body)).toBe(true);
    expect(got.headers).toMatchObject({ "x-amz-meta-colour": "red", "content-type": "video/mp4" });
    const part = await paris.ask({ method: "GET", path: "/photos/reel?partNumber=2" });
    expect(part.body.equals(body.subarray(5 * MIB, 11 * MIB))).toBe(true);
    expect([await uploadsAt(berlin), await uploadsAt(paris)]).toEqual([0, 0]);
    // The upload has ended here: the home remembers what it answered.
    const late = await berlin.ask(complete);
    expect([late.status, etagIn(late.body)]).toEqual([200, etagIn(first.body)]);
    const never = complete.path.replace(/uploadId=.*/, `uploadId=${"0".repeat(32)}`);
    expect(await statusOf(berlin, { ...complete, path: never })).toBe("404 NoSuchUpload");
  });

  test("may be asked for below a domain of this site's own, and is found there", async () => {
    const { complete } = await upload(berlin, "/photos/below", [1]);
    const path = complete.path.replace("/photos/", "/");
    const done = await berlin.ask({ ...complete, path, host: "photos.s3.test:9000" });
    expect(String(done.body)).toContain("<Location>http://s3.test:9000/photos/below</Location>");
    expect(await statusOf(paris, { method: "HEAD", path: "/photos/below" })).toBe("200");
  });

  test("is refused when the condition does not hold, and no byte of it travels", async () => {
    await paris.ask({ method: "PUT", path: "/photos/taken", body: "x" });
    const { complete } = await upload(berlin, "/photos/taken", [5, 1]);
    expect(await statusOf(berlin, complete)).toBe("412 PreconditionFailed");
    const wrong = { ...complete, headers: { "If-Match": '"wrong"' } };
    expect(await statusOf(berlin, wrong)).toBe("412 PreconditionFailed");
    expect([link.fetchedBytes, await uploadsAt(berlin), await uploadsAt(paris)]).toEqual([0, 1, 0]);
    const now = await paris.ask({ method: "HEAD", path: "/photos/taken" });
    const right = { ...complete, headers: { "If-Match": must(now.headers["etag"]) } };
    expect(await statusOf(berlin, right)).toBe("200");
    expect(await uploadsAt(berlin)).toBe(0);
  });

  test("is refused for what its list says wrongly, as at the home", async () => {
    const { complete } = await upload(berlin, "/photos/odd", [5, 1]);
    const listed = String(complete.body);
    const swapped = listed.replace(/<ETag>[^<]*</, `<ETag>"${"0".repeat(32)}"<`);
    expect(await statusOf(berlin, { ...complete, body: swapped })).toBe("400 InvalidPart");
    expect(await statusOf(berlin, { ...complete, body: "<Other/>" })).toBe("400 MalformedXML");
    const size = { ...complete, headers: { ...ABSENT, "x-amz-mp-object-size": "7" } };
    expect(await statusOf(berlin, size)).toBe("400 InvalidRequest");
    expect([link.fetchedBytes, await uploadsAt(berlin)]).toEqual([0, 1]);
    const one = listed.replace(/<Part><PartNumber>2.*?<\/Part>/, "");
    expect(await statusOf(berlin, { ...complete, body: one })).toBe("200");
    expect(link.fetchedBytes).toBe(5 * MIB);
  });

  test("leaves nothing at the home when the link breaks, and may be tried again", async () => {
    const { complete, body } = await upload(berlin, "/photos/cut", [5, 2]);
    link.isCut = true;
    expect(await statusOf(berlin, complete)).toBe("503 ServiceUnavailable");
    link.isCut = false;
    link.piecesLeft = 0;
    expect(await statusOf(berlin, complete)).toBe("503 ServiceUnavailable");
    link.piecesLeft = undefined;
    expect([await uploadsAt(berlin), await uploadsAt(paris)]).toEqual([1, 0]);
    expect(await statusOf(paris, { method: "HEAD", path: "/photos/cut" })).toBe("404");
    await expect.poll(() => paris.store.stats().segments.pinnedBytes).toBe(0);
    expect(await statusOf(berlin, complete)).toBe("200");
    const got = await paris.ask({ method: "GET", path: "/photos/cut" });
    expect(got.body.equals(body)).toBe(true);
  });

  test("may have been begun at the home", async () => {
    const { complete } = await upload(paris, "/photos/there", [5, 1]);
    expect(await statusOf(berlin, complete)).toBe("200");
    expect(await statusOf(berlin, complete)).toBe("200");
    expect([link.fetchedBytes, await uploadsAt(paris)]).toEqual([0, 0]);
  });
});

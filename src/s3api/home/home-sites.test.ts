import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  ABSENT,
  BERLIN,
  must,
  PARIS,
  PHOTOS,
  setHome,
  statusOf,
  useHomePair,
} from "../../../test/support/home-pair.ts";
import { credentialOf } from "../../../test/support/s3-site.ts";
import { parseObjectKey, parseOriginId, parseSeq } from "../../core/names.ts";

const ALICE = credentialOf("ALICE", {});

const pair = await useHomePair();
const { berlin, paris, link } = pair;

const LIST = { method: "POST", path: "/photos?delete" };

function deleteOf(...objects: readonly string[]): string {
  const list = objects.map((one) => `<Object>${one}</Object>`).join("");
  return `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${list}</Delete>`;
}

describe("a list of deletes, some of them with a condition", () => {
  test("is done where each of them is judged, and answered in its order", async () => {
    const key = "a &amp; b\u00e9";
    const path = `/photos/${encodeURIComponent("a & b\u00e9")}`;
    const there = await paris.ask({ method: "PUT", path, body: "x" });
    const etag = `<ETag>${there.headers["etag"]?.replaceAll('"', "&quot;")}</ETag>`;
    await berlin.ask({ method: "PUT", path: "/photos/here", body: "x" });
    const body = deleteOf(
      `<Key>${key}</Key>${etag}`,
      "<Key>here</Key>",
      '<Key>absent</Key><ETag>"a"</ETag>',
      `<Key>${key}</Key>${etag}`,
    );
    const md5 = createHash("md5").update(body).digest("base64");
    const many = await berlin.ask({ ...LIST, headers: { "Content-MD5": md5 }, body });
    expect(String(many.body).split('/2006-03-01/">')[1]).toBe(
      `<Deleted><Key>${key}</Key></Deleted><Deleted><Key>here</Key></Deleted>` +
        "<Error><Key>absent</Key><Code>NoSuchKey</Code>" +
        "<Message>The specified key does not exist.</Message></Error></DeleteResult>",
    );
    expect(await statusOf(paris, { method: "HEAD", path })).toBe("404");
    expect(await statusOf(berlin, { method: "HEAD", path: "/photos/here" })).toBe("404");
    expect(link.forwarded.map(({ target }) => target)).toEqual(["/photos?delete"]);
  });

  test("tells what the home refuses, and nothing else of it when it is quiet", async () => {
    const { headers } = await paris.ask({ method: "PUT", path: "/photos/two", body: "x" });
    const objects = [
      `<Key>two</Key><ETag>${headers["etag"]}</ETag>`,
      '<Key>two</Key><VersionId>null</VersionId><ETag>"wrong"</ETag>',
    ];
    const body = deleteOf(...objects).replace("</Delete>", "<Quiet>true</Quiet></Delete>");
    const quiet = await berlin.ask({ ...LIST, body });
    expect(String(quiet.body)).not.toContain("<Deleted>");
    expect(String(quiet.body)).toContain("<Key>two</Key><VersionId>null</VersionId><Code>");
    const token = await paris.ask({ method: "DELETE", path: "/photos/x" });
    expect(quiet.headers["x-atoll-token"]).toBe(token.headers["x-atoll-token"]);
  });

  test("is done but for these while the home is out of reach, or is one no more", async () => {
    for (const isCut of [true, false]) {
      link.isCut = isCut;
      if (!isCut) await setHome(paris, BERLIN);
      await berlin.ask({ method: "PUT", path: "/photos/here", body: "x" });
      const objects = ["<Key>here</Key>", '<Key>there</Key><ETag>"a"</ETag>'];
      const many = await berlin.ask({ ...LIST, body: deleteOf(...objects) });
      expect(String(many.body)).toContain("<Deleted><Key>here</Key></Deleted>");
      expect(String(many.body)).toContain("<Key>there</Key><Code>ServiceUnavailable</Code>");
    }
    await setHome(paris, PARIS);
    expect(link.forwarded).toHaveLength(1);
  });
});

describe("a conditional write at a site that is not the bucket's home", () => {
  test("is judged and stored at the home, and answered as there", async () => {
    const put = { method: "PUT", path: "/photos/cat%20%C3%A9", headers: ABSENT, body: "first" };
    const answer = await berlin.ask(put);
    expect(answer.status).toBe(200);
    expect(answer.headers["etag"]).toMatch(/^"[0-9a-f]{32}"$/);
    const token = answer.headers["x-atoll-token"];
    expect(token).toBe(
      (await paris.ask({ method: "DELETE", path: "/photos/x" })).headers["x-atoll-token"],
    );
    expect(await statusOf(berlin, put)).toBe("412 PreconditionFailed");
    expect(await statusOf(paris, put)).toBe("412 PreconditionFailed");
    expect(await statusOf(berlin, { method: "HEAD", path: put.path })).toBe("404");
    expect(String((await paris.ask({ method: "GET", path: put.path })).body)).toBe("first");
    expect(link.forwarded.map(({ principal }) => principal)).toEqual([
      { kind: "root" },
      { kind: "root" },
    ]);
  });

  test("comes whole: attributes, checksums, and no word of the client's signature", async () => {
    const body = Buffer.alloc(300_000, "large");
    const headers = { ...ABSENT, "x-amz-meta-colour": "blue", "Content-Type": "text/plain" };
    expect(await statusOf(berlin, { method: "PUT", path: "/photos/large", headers, body })).toBe(
      "200",
    );
    const got = await paris.ask({ method: "GET", path: "/photos/large" });
    expect(got.body.equals(body)).toBe(true);
    expect(got.headers).toMatchObject({
      "x-amz-meta-colour": "blue",
      "content-type": "text/plain",
    });
    const names = link.forwarded[0]?.headers.map(([name]) => name) ?? [];
    expect(names).not.toContain("authorization");
    expect(names).not.toContain("x-amz-content-sha256");
  });

  test("may be a delete or an append", async () => {
    await paris.ask({ method: "PUT", path: "/photos/log", body: "one" });
    const append = { "x-amz-write-offset-bytes": "3" };
    const grow = { method: "PUT", path: "/photos/log", headers: append, body: " two" };
    expect(await statusOf(berlin, grow)).toBe("200");
    expect(String((await paris.ask({ method: "GET", path: "/photos/log" })).body)).toBe("one two");
    const drop = { method: "DELETE", path: "/photos/log", headers: { "If-Match": '"wrong"' } };
    expect(await statusOf(berlin, drop)).toBe("412 PreconditionFailed");
    expect(link.forwarded).toHaveLength(2);
  });

  test.each(["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"])(
    "may be a rename whose source is asked for by %s",
    async (condition) => {
      const headers = {
        "x-amz-rename-source": "/photos/old",
        [`x-amz-rename-source-${condition}`]: "Sun, 06 Nov 1994 08:49:37 GMT",
      };
      await berlin.ask({ method: "PUT", path: "/photos/new?renameObject", headers });
      expect(link.forwarded).toHaveLength(1);
    },
  );

  test("means the bucket in front of this site's domain, which the home does not know", async () => {
    const host = "photos.s3.test:9000";
    const path = "/photos/in%20photos";
    const put = { method: "PUT", path, host, headers: ABSENT, body: "x" };
    const there = await berlin.ask(put);
    expect(there.status).toBe(200);
    const inPathStyle = { method: "HEAD", path: `/photos${path}` };
    expect(await statusOf(paris, inPathStyle)).toBe("200");
    const etag = `<ETag>${there.headers["etag"]}</ETag>`;
    const body = deleteOf(`<Key>photos/in photos</Key>${etag}`);
    const many = await berlin.ask({ method: "POST", path: "/?delete", host, body });
    expect(String(many.body)).toContain("<Deleted><Key>photos/in photos</Key></Deleted>");
    expect(await statusOf(paris, inPathStyle)).toBe("404");
  });

  test("is refused with 503 while the home is out of reach, and nothing is stored", async () => {
    link.isCut = true;
    const put = { method: "PUT", path: "/photos/dog", headers: ABSENT, body: "x" };
    const { status, headers } = await berlin.ask(put);
    expect([status, headers["retry-after"]]).toEqual([503, "5"]);
    expect(await statusOf(berlin, { method: "HEAD", path: "/photos/dog" })).toBe("404");
    expect(await statusOf(berlin, { method: "PUT", path: "/photos/free", body: "x" })).toBe("200");
    expect(await statusOf(berlin, { method: "GET", path: "/photos/free" })).toBe("200");
    const read = { method: "GET", path: "/photos/free", headers: { "If-Match": '"no"' } };
    expect(await statusOf(berlin, read)).toBe("412 PreconditionFailed");
  });

  test("needs the same rights there as here", async () => {
    berlin.add(ALICE);
    const put = { method: "PUT", path: "/photos/hers", headers: ABSENT, body: "x", as: ALICE };
    expect(await statusOf(berlin, put)).toBe("403 AccessDenied");
    expect(link.forwarded).toHaveLength(0);
    const policy = {
      Version: "2012-10-17",
      Statement: [
        {
          ...{ Effect: "Allow", Action: "s3:PutObject", Resource: "arn:aws:s3:::photos/*" },
          Principal: { AWS: "*" },
        },
      ],
    };
    const body = JSON.stringify(policy);
    await berlin.ask({ method: "PUT", path: "/photos?policy", body });
    // The key is not known there yet, then its rights are not, and then all is.
    expect(await statusOf(berlin, put)).toBe("503 ServiceUnavailable");
    paris.add(ALICE);
    expect(await statusOf(berlin, put)).toBe("403 AccessDenied");
    await paris.ask({ method: "PUT", path: "/photos?policy", body });
    expect(await statusOf(berlin, put)).toBe("200");
  });
});

test("a home that is not one any more sends nobody further", async () => {
  await setHome(paris, BERLIN);
  const put = { method: "PUT", path: "/photos/moved", headers: ABSENT, body: "x" };
  expect(await statusOf(berlin, put)).toBe("503 ServiceUnavailable");
  expect(link.forwarded).toHaveLength(1);
  await setHome(paris, PARIS);
});

test("a new home judges nothing before it knows what its predecessors have judged", async () => {
  const [origin, five, six] = [parseOriginId("ab".repeat(8)), parseSeq(5), parseSeq(6)];
  pair.applied.set(must(origin), must(five));
  await setHome(paris, PARIS, new Map([[must(origin), must(six)]]));
  const put = { method: "PUT", path: "/photos/soon", headers: ABSENT, body: "x" };
  expect(await statusOf(paris, put)).toBe("503 ServiceUnavailable");
  expect(await statusOf(paris, { ...put, headers: {} })).toBe("200");
  pair.applied.set(must(origin), must(six));
  expect(await statusOf(paris, put)).toBe("412 PreconditionFailed");
  await setHome(paris, PARIS);
});

test("the role is given away when nothing that rests on it is under way", async () => {
  const home = must(paris.service.home);
  const key = must(parseObjectKey("last"));
  const body = "x";
  const put = statusOf(paris, { method: "PUT", path: "/photos/last", headers: ABSENT, body });
  let wasWritten = false;
  const handed = home.handOver(PHOTOS, async () => {
    wasWritten = paris.store.object(PHOTOS, key) !== undefined;
    await setHome(paris, BERLIN);
  });
  const during = { method: "PUT", path: "/photos/during", headers: ABSENT, body };
  expect(await statusOf(paris, during)).toBe("503 ServiceUnavailable");
  await expect(home.handOver(PHOTOS, async () => undefined)).rejects.toMatchObject({
    kind: "busy",
  });
  expect([await put, await handed, wasWritten]).toEqual(["200", undefined, true]);
});

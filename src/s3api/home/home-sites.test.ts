import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  credentialOf,
  openS3Site,
  type S3Site,
  type SignedRequest,
} from "../../../test/support/s3-site.ts";
import type { ForwardedRequest } from "../../core/forwarded-request.ts";
import { encodeHomeSite, HOME_SETTING } from "../../core/home-site.ts";
import {
  type BucketName,
  type OriginId,
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
  parseSiteId,
  type Seq,
  type SiteId,
} from "../../core/names.ts";
import type { Vector } from "../../core/records.ts";

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the test's own data is wrong");
  return value;
}

const BERLIN = must(parseSiteId("1".repeat(16)));
const PARIS = must(parseSiteId("2".repeat(16)));
const PHOTOS = must(parseBucketName("photos"));
const ALICE = credentialOf("ALICE", {});

let berlin: S3Site;
let paris: S3Site;
let forwarded: ForwardedRequest[];
let isCut: boolean;
const applied = new Map<OriginId, Seq>();

beforeAll(async () => {
  paris = await openS3Site({
    home: {
      self: PARIS,
      applied: () => applied,
      forward: () => Promise.reject(new Error("paris asks nobody")),
    },
  });
  berlin = await openS3Site({
    home: {
      self: BERLIN,
      applied: () => new Map(),
      forward: (_home, request) => {
        if (isCut) return Promise.reject(new Error("the link is cut"));
        forwarded.push(request);
        return paris.service.answerForwarded(request);
      },
    },
  });
  for (const site of [berlin, paris]) {
    await site.ask({ method: "PUT", path: "/photos" });
    await settle(site, PHOTOS, PARIS);
  }
});
afterAll(async () => {
  await berlin.close();
  await paris.close();
});
beforeEach(() => {
  forwarded = [];
  isCut = false;
});

async function settle(
  site: S3Site,
  bucket: BucketName,
  home: SiteId,
  after: Vector = new Map(),
): Promise<void> {
  const value = encodeHomeSite({ site: home, epoch: 1, after });
  await site.store.putBucketSetting({ bucket, name: HOME_SETTING, value });
}

async function statusOf(site: S3Site, request: SignedRequest): Promise<string> {
  const { status, body } = await site.ask(request);
  const code = /<Code>([^<]*)</.exec(String(body))?.[1];
  return code === undefined ? String(status) : `${status} ${code}`;
}

const ABSENT = { "If-None-Match": "*" };

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
    expect(forwarded.map(({ principal }) => principal)).toEqual([
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
    const names = forwarded[0]?.headers.map(([name]) => name) ?? [];
    expect(names).not.toContain("authorization");
    expect(names).not.toContain("x-amz-content-sha256");
  });

  test("may be a delete or an append; one of many deletes is refused by itself", async () => {
    await paris.ask({ method: "PUT", path: "/photos/log", body: "one" });
    const append = { "x-amz-write-offset-bytes": "3" };
    const grow = { method: "PUT", path: "/photos/log", headers: append, body: " two" };
    expect(await statusOf(berlin, grow)).toBe("200");
    expect(String((await paris.ask({ method: "GET", path: "/photos/log" })).body)).toBe("one two");
    const drop = { method: "DELETE", path: "/photos/log", headers: { "If-Match": '"wrong"' } };
    expect(await statusOf(berlin, drop)).toBe("412 PreconditionFailed");
    await berlin.ask({ method: "PUT", path: "/photos/here", body: "x" });
    const body =
      "<Delete><Object><Key>here</Key></Object>" +
      '<Object><Key>there</Key><ETag>"a"</ETag></Object></Delete>';
    const many = await berlin.ask({ method: "POST", path: "/photos?delete", body });
    expect(String(many.body)).toContain("<Deleted><Key>here</Key></Deleted>");
    expect(String(many.body)).toContain("<Key>there</Key><Code>ServiceUnavailable</Code>");
    expect(forwarded).toHaveLength(2);
  });

  test("is refused with 503 while the home is out of reach, and nothing is stored", async () => {
    isCut = true;
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
    expect(forwarded).toHaveLength(0);
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

  test("is refused when it is too large to be brought, or its parts are here", async () => {
    const large = { "Content-Length": String(9 * 1024 * 1024) };
    const put = { method: "PUT", path: "/photos/huge", headers: { ...ABSENT, ...large } };
    const answer = await berlin.ask({ ...put, body: Buffer.alloc(9 * 1024 * 1024) });
    expect(String(answer.body)).toContain("<Code>EntityTooLarge</Code>");
    const path = "/photos/parts?uploadId=00000000000000000000000000000000";
    const complete = { method: "POST", path, headers: ABSENT, body: "<x/>" };
    expect(await statusOf(berlin, complete)).toBe("501 NotImplemented");
    expect(forwarded).toHaveLength(0);
  });
});

test("a home that is not one any more sends nobody further", async () => {
  await settle(paris, PHOTOS, BERLIN);
  const put = { method: "PUT", path: "/photos/moved", headers: ABSENT, body: "x" };
  expect(await statusOf(berlin, put)).toBe("503 ServiceUnavailable");
  expect(forwarded).toHaveLength(1);
  await settle(paris, PHOTOS, PARIS);
});

test("a new home judges nothing before it knows what its predecessors have judged", async () => {
  const [origin, five, six] = [parseOriginId("ab".repeat(8)), parseSeq(5), parseSeq(6)];
  applied.set(must(origin), must(five));
  await settle(paris, PHOTOS, PARIS, new Map([[must(origin), must(six)]]));
  const put = { method: "PUT", path: "/photos/soon", headers: ABSENT, body: "x" };
  expect(await statusOf(paris, put)).toBe("503 ServiceUnavailable");
  expect(await statusOf(paris, { ...put, headers: {} })).toBe("200");
  applied.set(must(origin), must(six));
  expect(await statusOf(paris, put)).toBe("412 PreconditionFailed");
  await settle(paris, PHOTOS, PARIS);
});

test("the role is given away when nothing that rests on it is under way", async () => {
  const home = must(paris.service.home);
  const key = must(parseObjectKey("last"));
  const body = "x";
  const put = statusOf(paris, { method: "PUT", path: "/photos/last", headers: ABSENT, body });
  let wasWritten = false;
  const handed = home.handOver(PHOTOS, async () => {
    wasWritten = paris.store.object(PHOTOS, key) !== undefined;
    await settle(paris, PHOTOS, BERLIN);
  });
  const during = { method: "PUT", path: "/photos/during", headers: ABSENT, body };
  expect(await statusOf(paris, during)).toBe("503 ServiceUnavailable");
  await expect(home.handOver(PHOTOS, async () => undefined)).rejects.toMatchObject({
    code: "OperationAborted",
  });
  expect([await put, await handed, wasWritten]).toEqual(["200", undefined, true]);
});

import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { credentialOf, openS3Site, type S3Site } from "../../test/support/s3-site.ts";
import { readStoredPolicy } from "./policy/document.ts";

const LOCKED = "locked";
const PLAIN = "plain";
const DAY_MS = 24 * 3600 * 1000;
let site: S3Site;
let keys = 0;

beforeAll(async () => {
  site = await openS3Site();
  await site.ask({ method: "PUT", path: `/${PLAIN}` });
  const headers = { "x-amz-bucket-object-lock-enabled": "true" };
  await site.ask({ method: "PUT", path: `/${LOCKED}`, headers });
});

afterAll(async () => {
  await site.close();
});

/** A key that may do everything, but this when the condition holds. */
function keyDenied(Action: string, Condition: object) {
  const Statement = [
    { Effect: "Allow", Action: "*", Resource: "*" },
    { Effect: "Deny", Action, Resource: "*", Condition },
  ];
  keys += 1;
  const policies = [readStoredPolicy(JSON.stringify({ Version: "2012-10-17", Statement }))];
  const credential = credentialOf(`DENIEDKEY${keys}`, { policies });
  site.add(credential);
  return credential;
}

type Key = ReturnType<typeof keyDenied>;

function withDigest(body: string, headers: Record<string, string> = {}) {
  return {
    body,
    headers: { ...headers, "content-md5": createHash("md5").update(body).digest("base64") },
  };
}

const inDays = (days: number): string => new Date(Date.now() + days * DAY_MS).toISOString();

describe("the lock in a body", () => {
  const path = `/${LOCKED}/k`;

  beforeAll(async () => {
    await site.ask({ method: "PUT", path, body: "x" });
  });

  function retain(as: Key, mode: string, days: number, headers?: Record<string, string>) {
    const body =
      `<Retention><Mode>${mode}</Mode>` +
      `<RetainUntilDate>${inDays(days)}</RetainUntilDate></Retention>`;
    const request = { method: "PUT", path: `${path}?retention`, as };
    return site.ask({ ...request, ...withDigest(body, headers) });
  }

  test("is bounded by a policy on the days that remain", async () => {
    const days = { "s3:object-lock-remaining-retention-days": "10" };
    const as = keyDenied("s3:PutObjectRetention", { NumericGreaterThan: days });
    expect((await retain(as, "GOVERNANCE", 20)).status).toBe(403);
    // A header says nothing of what is in the body.
    const short = { "x-amz-object-lock-retain-until-date": inDays(1) };
    expect((await retain(as, "GOVERNANCE", 20, short)).status).toBe(403);
    expect((await retain(as, "GOVERNANCE", 5)).status).toBe(200);
  });

  test("is bounded by a policy on its mode, which may also say who goes round it", async () => {
    const mode = { "s3:object-lock-mode": "COMPLIANCE" };
    const as = keyDenied("s3:PutObjectRetention", { StringEquals: mode });
    expect((await retain(as, "COMPLIANCE", 7)).status).toBe(403);
    expect((await retain(as, "GOVERNANCE", 7)).status).toBe(200);
    const days = { "s3:object-lock-remaining-retention-days": "3" };
    const bypass = { "x-amz-bypass-governance-retention": "true" };
    const bounded = keyDenied("s3:BypassGovernanceRetention", { NumericLessThan: days });
    expect((await retain(bounded, "GOVERNANCE", 2, bypass)).status).toBe(403);
    expect((await retain(bounded, "GOVERNANCE", 4, bypass)).status).toBe(200);
  });

  test("is bounded by a policy on legal holds", async () => {
    const as = keyDenied("s3:PutObjectLegalHold", {
      StringEquals: { "s3:object-lock-legal-hold": "OFF" },
    });
    const hold = (Status: string, headers?: Record<string, string>) => {
      const body = `<LegalHold><Status>${Status}</Status></LegalHold>`;
      const request = { method: "PUT", path: `${path}?legal-hold`, as };
      return site.ask({ ...request, ...withDigest(body, headers) });
    };
    expect((await hold("ON")).status).toBe(200);
    expect((await hold("OFF")).status).toBe(403);
    expect((await hold("OFF", { "x-amz-object-lock-legal-hold": "ON" })).status).toBe(403);
  });

  test("is told to be malformed only to who may set one", async () => {
    const request = { method: "PUT", path: `${path}?retention`, ...withDigest("<Retention>") };
    const as = keyDenied("s3:PutObjectRetention", {});
    expect((await site.ask({ ...request, as })).status).toBe(403);
    expect((await site.ask(request)).status).toBe(400);
  });
});

describe("the conditions of a DeleteObjects", () => {
  /** What AWS documents to enforce conditional deletes. */
  const enforced = () => keyDenied("s3:DeleteObject", { Null: { "s3:if-match": "true" } });

  async function deleteMany(as: Key, objects: string, headers: Record<string, string> = {}) {
    const body = `<Delete>${objects}</Delete>`;
    const answer = await site.ask({ method: "POST", path: `/${PLAIN}?delete`, as, body, headers });
    const text = answer.body.toString();
    return [...text.matchAll(/<(Deleted|Code)>(?:<Key>)?(\w+)/g)].map(([, , word]) => word);
  }

  test("are those of each key, and not a header that binds none of them", async () => {
    for (const key of ["a", "b"]) await site.ask({ method: "PUT", path: `/${PLAIN}/${key}` });
    const as = enforced();
    const objects = "<Object><Key>a</Key></Object><Object><Key>b</Key><ETag>*</ETag></Object>";
    expect(await deleteMany(as, objects, { "If-Match": "*" })).toEqual(["AccessDenied", "b"]);
    expect((await site.ask({ method: "HEAD", path: `/${PLAIN}/a` })).status).toBe(200);
  });

  test("are those on the old key when an object is renamed", async () => {
    await site.ask({ method: "PUT", path: `/${PLAIN}/old` });
    const as = enforced();
    const rename = (headers: Record<string, string>) => {
      const all = { ...headers, "x-amz-rename-source": "/old" };
      return site.ask({ method: "PUT", path: `/${PLAIN}/new?renameObject`, as, headers: all });
    };
    expect((await rename({ "If-None-Match": "*", "If-Match": "*" })).status).toBe(403);
    expect((await rename({ "x-amz-rename-source-if-match": "*" })).status).toBe(200);
  });
});

describe("what a bucket is made with", () => {
  const create = (as: Key, name: string, inside = "") => {
    const body =
      inside === "" ? "" : `<CreateBucketConfiguration>${inside}</CreateBucketConfiguration>`;
    return site.ask({ method: "PUT", path: `/${name}`, as, body });
  };
  const tags = (level: string) => `<Tags><Tag><Key>level</Key><Value>${level}</Value></Tag></Tags>`;
  const REGION = "<LocationConstraint>us-east-1</LocationConstraint>";

  test("is bounded by a policy on its location", async () => {
    const as = keyDenied("s3:CreateBucket", {
      StringNotEquals: { "s3:LocationConstraint": "us-east-1" },
    });
    expect((await create(as, "nowhere")).status).toBe(403);
    expect(
      (await create(as, "moon", "<LocationConstraint>moon-1</LocationConstraint>")).status,
    ).toBe(403);
    expect((await create(as, "here", REGION)).status).toBe(200);
  });

  test("is bounded by a policy on its tags, for either of the actions it needs", async () => {
    const level = { StringNotEquals: { "aws:RequestTag/level": "public" } };
    for (const action of ["s3:CreateBucket", "s3:TagResource"]) {
      const as = keyDenied(action, level);
      const name = action.slice("s3:".length).toLowerCase();
      expect((await create(as, name, tags("secret"))).status).toBe(403);
      expect((await create(as, name, tags("public"))).status).toBe(200);
    }
    const named = keyDenied("s3:CreateBucket", { Null: { "aws:TagKeys": "true" } });
    expect((await create(named, "bare", REGION)).status).toBe(403);
    expect((await create(named, "tagged", tags("any"))).status).toBe(200);
  });

  test("is told to be malformed only to who may make one", async () => {
    const bad = "<LocationConstraint>";
    expect((await create(keyDenied("s3:CreateBucket", {}), "bad", bad)).status).toBe(403);
    expect((await create(keyDenied("s3:ListBucket", {}), "bad", bad)).status).toBe(400);
  });
});

test("the tags that a copy brings along are what a policy on tags is asked about", async () => {
  const headers = { "x-amz-tagging": "level=secret" };
  await site.ask({ method: "PUT", path: `/${PLAIN}/tagged`, headers });
  const tags = { "s3:RequestObjectTag/level": "public" };
  const as = keyDenied("s3:PutObjectTagging", { StringNotEquals: tags });
  const copy = (more: Record<string, string>) => {
    const all = { ...more, "x-amz-copy-source": `/${PLAIN}/tagged` };
    return site.ask({ method: "PUT", path: `/${PLAIN}/copy`, as, headers: all });
  };
  expect((await copy({ "x-amz-tagging": "level=public" })).status).toBe(403);
  const replaced = { "x-amz-tagging": "level=public", "x-amz-tagging-directive": "REPLACE" };
  expect((await copy(replaced)).status).toBe(200);
});

test("a policy can ask for conditions on objects that are made, and let parts be uploaded", async () => {
  const as = keyDenied("s3:PutObject", {
    Null: { "s3:if-none-match": "true" },
    Bool: { "s3:ObjectCreationOperation": "true" },
  });
  const ask = (method: string, path: string, headers: Record<string, string> = {}, body = "") =>
    site.ask({ method, path: `/${PLAIN}/${path}`, as, headers, body });
  expect((await ask("PUT", "made")).status).toBe(403);
  await site.ask({ method: "PUT", path: `/${PLAIN}/source` });
  const copy = { "x-amz-copy-source": `${PLAIN}/source` };
  expect((await ask("PUT", "copied", copy)).status).toBe(403);
  expect((await ask("PUT", "copied", { ...copy, "If-None-Match": "*" })).status).toBe(200);
  expect((await ask("PUT", "made", { "If-None-Match": "*" })).status).toBe(200);
  const begun = await ask("POST", "parts?uploads");
  const id = /<UploadId>(\w+)/.exec(begun.body.toString())?.[1] ?? "";
  const part = await ask("PUT", `parts?partNumber=1&uploadId=${id}`, {}, "x");
  const etag = part.headers["etag"];
  const list =
    "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>" +
    `<ETag>${etag}</ETag></Part></CompleteMultipartUpload>`;
  expect((await ask("POST", `parts?uploadId=${id}`, {}, list)).status).toBe(403);
  const done = await ask("POST", `parts?uploadId=${id}`, { "If-None-Match": "*" }, list);
  expect(done.status).toBe(200);
});

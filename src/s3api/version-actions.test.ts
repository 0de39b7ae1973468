import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { credentialOf, openS3Site, type S3Site } from "../../test/support/s3-site.ts";
import type { OperationRow } from "./operation.ts";
import { OPERATIONS } from "./operations.ts";
import { readStoredPolicy } from "./policy/document.ts";

const BUCKET = "versions";
let site: S3Site;
let keys = 0;

beforeAll(async () => {
  site = await openS3Site();
  await site.ask({ method: "PUT", path: `/${BUCKET}` });
});

afterAll(async () => {
  await site.close();
});

/** A key that may do everything but this. */
function keyWithout(action: string, Condition = {}) {
  const Statement = [
    { Effect: "Allow", Action: "*", Resource: "*" },
    { Effect: "Deny", Action: action, Resource: "*", Condition },
  ];
  keys += 1;
  const policies = [readStoredPolicy(JSON.stringify({ Version: "2012-10-17", Statement }))];
  const credential = credentialOf(`KEYWITHOUT${keys}`, { policies });
  site.add(credential);
  return credential;
}

type Request = Omit<Parameters<S3Site["ask"]>[0], "as">;

/** Whether policies let a request through; what becomes of it then is for other tests. */
async function isAllowed(request: Request, without: string): Promise<boolean> {
  const answer = await site.ask({ ...request, as: keyWithout(without) });
  return answer.status !== 403;
}

const ROWS = Object.entries<OperationRow>(OPERATIONS).flatMap(([name, row]) =>
  row.versionAction === undefined ? [] : [{ name, row, versionAction: row.versionAction }],
);

describe("a request that names a version", () => {
  test.each(ROWS)("$name asks for $versionAction", async ({ row, versionAction }) => {
    const query = Object.entries(row.query ?? {}).map(([key, value]) => `${key}=${value}`);
    const path = (...more: string[]) => `/${BUCKET}/k?${[...query, ...more].join("&")}`;
    const { method } = row;
    // One of them asks once it knows the tags; to the others the document means nothing.
    const body = row.body === "xml" ? "<Tagging><TagSet></TagSet></Tagging>" : "";
    const plain = { method, path: path(), body };
    const named = { method, path: path("versionId=null"), body };
    expect(await isAllowed(named, versionAction)).toBe(false);
    expect(await isAllowed(named, row.action)).toBe(true);
    expect(await isAllowed(plain, versionAction)).toBe(true);
    expect(await isAllowed(plain, row.action)).toBe(false);
  });

  test("as the source of a copy asks for the right to read versions", async () => {
    const copy = (source: string): Request => ({
      method: "PUT",
      path: `/${BUCKET}/to`,
      headers: { "x-amz-copy-source": `/${BUCKET}/from${source}` },
    });
    expect(await isAllowed(copy("?versionId=null"), "s3:GetObjectVersion")).toBe(false);
    expect(await isAllowed(copy("?versionId=null"), "s3:GetObject")).toBe(true);
    expect(await isAllowed(copy(""), "s3:GetObjectVersion")).toBe(true);
    expect(await isAllowed(copy(""), "s3:GetObject")).toBe(false);
  });

  test("among many to delete is judged by itself", async () => {
    const body =
      "<Delete><Object><Key>a</Key></Object>" +
      "<Object><Key>b</Key><VersionId>null</VersionId></Object></Delete>";
    const request = { method: "POST", path: `/${BUCKET}?delete`, body };
    const without = async (action: string): Promise<string[]> => {
      const answer = await site.ask({ ...request, as: keyWithout(action) });
      const denied = /<Error><Key>(\w)<\/Key>(?:<VersionId>null<\/VersionId>)?<Code>AccessDenied/g;
      return [...answer.body.toString().matchAll(denied)].map(([, key]) => key ?? "");
    };
    expect(await without("s3:DeleteObjectVersion")).toEqual(["b"]);
    expect(await without("s3:DeleteObject")).toEqual(["a"]);
    expect(await without("s3:GetObject")).toEqual([]);
  });

  test("can be singled out by policies, wherever it is named", async () => {
    const [kept, other] = ["a".repeat(32), "b".repeat(32)];
    const as = keyWithout("s3:*", { StringEquals: { "s3:VersionId": kept } });
    const headers = (id: string) => ({ "x-amz-copy-source": `/${BUCKET}/k?versionId=${id}` });
    for (const [id, denied] of [
      [kept, true],
      [other, false],
    ] as const) {
      const read = await site.ask({ method: "GET", path: `/${BUCKET}/k?versionId=${id}`, as });
      expect(read.status === 403).toBe(denied);
      const copy = { method: "PUT", path: `/${BUCKET}/to`, headers: headers(id), as };
      expect((await site.ask(copy)).status === 403).toBe(denied);
      const body = `<Delete><Object><Key>k</Key><VersionId>${id}</VersionId></Object></Delete>`;
      const many = await site.ask({ method: "POST", path: `/${BUCKET}?delete`, body, as });
      expect(many.body.toString().includes("<Code>AccessDenied</Code>")).toBe(denied);
    }
  });

  test("may be bound to the tags it sets", async () => {
    const as = keyWithout("s3:PutObject*Tagging", {
      StringNotEquals: { "s3:RequestObjectTag/team": "blue" },
    });
    const set = async (team: string): Promise<boolean> => {
      const body = `<Tagging><TagSet><Tag><Key>team</Key><Value>${team}</Value></Tag></TagSet></Tagging>`;
      const request = { method: "PUT", path: `/${BUCKET}/k?tagging&versionId=null`, body, as };
      return (await site.ask(request)).status !== 403;
    };
    expect([await set("blue"), await set("red")]).toEqual([true, false]);
  });

  test("bypasses governance only with the right to", async () => {
    const request: Request = {
      method: "DELETE",
      path: `/${BUCKET}/k?versionId=null`,
      headers: { "x-amz-bypass-governance-retention": "true" },
    };
    expect(await isAllowed(request, "s3:BypassGovernanceRetention")).toBe(false);
    expect(await isAllowed(request, "s3:GetObject")).toBe(true);
    expect(await isAllowed({ ...request, headers: {} }, "s3:BypassGovernanceRetention")).toBe(true);
  });

  test("is listed with a right of its own", async () => {
    const request = { method: "GET", path: `/${BUCKET}?versions` };
    expect(await isAllowed(request, "s3:ListBucketVersions")).toBe(false);
    expect(await isAllowed(request, "s3:ListBucket")).toBe(true);
  });

  test("which is not there is not told to who may not list", async () => {
    const absent = { method: "GET", path: `/${BUCKET}/none?versionId=${"0".repeat(32)}` };
    expect(await isAllowed(absent, "s3:ListBucket")).toBe(false);
    expect((await site.ask(absent)).status).toBe(404);
  });
});

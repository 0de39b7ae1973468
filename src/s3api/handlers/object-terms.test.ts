import { afterAll, beforeAll, expect, test } from "vitest";
import { credentialOf, openS3Site, type S3Site } from "../../../test/support/s3-site.ts";
import { readStoredPolicy } from "../policy/document.ts";

const PATH = "/terms/tagged";
let site: S3Site;

beforeAll(async () => {
  site = await openS3Site();
  await site.ask({ method: "PUT", path: "/terms" });
  await site.ask({ method: "PUT", path: PATH, headers: { "x-amz-tagging": "a=1&b=2" } });
});

afterAll(async () => {
  await site.close();
});

/** A key that may do this and nothing else. */
function keyFor(id: string, ...Action: readonly string[]) {
  const Statement = { Effect: "Allow", Action, Resource: "*" };
  const json = JSON.stringify({ Version: "2012-10-17", Statement });
  const credential = credentialOf(id, { policies: [readStoredPolicy(json)] });
  site.add(credential);
  return credential;
}

test.each([
  ["READER", PATH, "s3:GetObject", "s3:GetObjectTagging"],
  ["VERSIONREADER", `${PATH}?versionId=null`, "s3:GetObjectVersion", "s3:GetObjectVersionTagging"],
])("a %s is told the number of tags if it may read them", async (id, path, read, readTags) => {
  for (const method of ["GET", "HEAD"]) {
    const without = await site.ask({ method, path, as: keyFor(id, read) });
    expect([without.status, without.headers["x-amz-tagging-count"]]).toEqual([200, undefined]);
    const may = await site.ask({ method, path, as: keyFor(`${id}2`, read, readTags) });
    expect([may.status, may.headers["x-amz-tagging-count"]]).toEqual([200, "2"]);
  }
});

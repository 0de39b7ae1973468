import { expect, test } from "vitest";
import { callerOf } from "../../test/support/policies.ts";
import { parseBucketName } from "../core/names.ts";
import type { StoredBucket } from "../storage/store.ts";
import { headersOf } from "./headers/header-list.ts";
import type { OperationRow } from "./operation.ts";
import { OPERATIONS } from "./operations.ts";
import { knownVersion, type RequestFacts, requestValues } from "./request-values.ts";
import { parseQuery } from "./target.ts";

const NOW_MS = Date.UTC(2026, 10, 21, 12);

type Asked = {
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly who?: "root" | "user" | "anonymous";
  readonly name?: string;
  readonly presigned?: boolean;
  readonly operation?: string;
  readonly known?: ReadonlyMap<string, readonly string[]>;
  /** There is no such bucket. */
  readonly isGone?: true;
};

function bucketMadeBy(creator: string): StoredBucket {
  const name = parseBucketName("photos");
  if (name === undefined) throw new Error("photos is a bucket name");
  const settings = new Map([["creator", Buffer.from(creator)]]);
  return { name, createdMs: 0, owner: "owner", settings };
}

function valuesFor(key: string, asked: Asked = {}): readonly string[] | undefined {
  const { who = "user", name = "alice", presigned = false } = asked;
  const credential = { ...callerOf(who, "ALICEKEY1", name), secret: "", policies: [] };
  const facts = {
    exchange: { remoteAddress: "192.0.2.1", secure: true },
    headers: headersOf(asked.headers ?? {}),
    query: parseQuery(asked.query ?? ""),
    auth: { credential, presigned },
    region: "eu-1",
    nowMs: () => NOW_MS,
    operation: asked.operation,
  } satisfies RequestFacts;
  const valuesOf = requestValues(facts, {
    bucket: asked.isGone === true ? undefined : bucketMadeBy("BOBKEY001"),
    key: "a",
    known: asked.known,
    tagsOf: (_bucket, key, version) => [["of", `${key} ${version ?? "current"}`]],
  });
  return valuesOf(key);
}

test.each([
  ["aws:sourceip", {}, ["192.0.2.1"]],
  ["aws:securetransport", {}, ["true"]],
  ["aws:currenttime", {}, ["2026-11-21T12:00:00.000Z"]],
  ["aws:epochtime", {}, [String(NOW_MS / 1000)]],
  ["aws:username", {}, ["alice"]],
  ["aws:username", { name: "" }, ["ALICEKEY1"]],
  ["aws:username", { who: "root" }, undefined],
  ["aws:userid", {}, ["ALICEKEY1"]],
  ["aws:userid", { who: "anonymous" }, undefined],
  ["aws:principalarn", {}, ["arn:aws:iam::000000000000:user/alice"]],
  ["aws:principalarn", { who: "root" }, ["arn:aws:iam::000000000000:root"]],
  ["aws:principalarn", { who: "anonymous" }, undefined],
  ["aws:principaltype", { who: "anonymous" }, ["Anonymous"]],
  ["aws:useragent", { headers: { "user-agent": "curl" } }, ["curl"]],
  ["aws:referer", {}, undefined],
  ["aws:requestedregion", {}, ["eu-1"]],
  ["atoll:bucketcreator", {}, ["BOBKEY001"]],
  ["atoll:bucketcreator", { isGone: true }, ["ALICEKEY1"]],
  ["atoll:bucketcreator", { isGone: true, who: "anonymous" }, undefined],
  ["s3:authtype", {}, ["REST-HEADER"]],
  ["s3:authtype", { presigned: true }, ["REST-QUERY-STRING"]],
  ["s3:authtype", { who: "anonymous" }, undefined],
  ["s3:signatureversion", {}, ["AWS4-HMAC-SHA256"]],
  ["s3:signatureage", { headers: { "x-amz-date": "20261121T115959Z" } }, ["1000"]],
  ["s3:prefix", { query: "prefix=a/" }, ["a/"]],
  ["s3:prefix", {}, undefined],
  ["s3:max-keys", { query: "max-keys=10" }, ["10"]],
  ["s3:versionid", { query: "versionId=null" }, ["null"]],
  ["s3:versionid", { query: "versionId=null", known: knownVersion("abc") }, ["abc"]],
  ["s3:x-amz-acl", { headers: { "x-amz-acl": "private" } }, ["private"]],
  ["s3:x-amz-copy-source", { headers: { "x-amz-copy-source": "/b/a%20b?versionId=1" } }, ["b/a b"]],
  ["s3:x-amz-copy-source", { headers: { "x-amz-copy-source": "b/a+b%2Bc" } }, ["b/a b+c"]],
  ["s3:x-amz-content-sha256", { headers: { "x-amz-content-sha256": "of" } }, ["of"]],
  ["s3:x-amz-content-sha256", { presigned: true }, ["UNSIGNED-PAYLOAD"]],
  ["s3:x-amz-content-sha256", { presigned: true, query: "X-Amz-Content-Sha256=of" }, ["of"]],
  ["s3:x-amz-content-sha256", { who: "anonymous" }, undefined],
  ["s3:if-none-match", { headers: { "if-none-match": "*" } }, ["*"]],
  ["s3:object-lock-mode", { headers: { "x-amz-object-lock-mode": "GOVERNANCE" } }, ["GOVERNANCE"]],
  ["s3:existingobjecttag/of", {}, ["a current"]],
  ["s3:existingobjecttag/of", { query: "versionId=v" }, ["a v"]],
  ["s3:existingobjecttag/none", {}, undefined],
  ["s3:requestobjecttag/b", { headers: { "x-amz-tagging": "a=1&b=2" } }, ["2"]],
  ["s3:requestobjecttagkeys", { headers: { "x-amz-tagging": "a=1&b=2" } }, ["a", "b"]],
  ["s3:requestobjecttagkeys", {}, undefined],
  ["aws:sourcevpce", {}, undefined],
] as const)("%s of %j is %j", (key, asked, expected) => {
  expect(valuesFor(key, asked as Asked)).toEqual(expected);
});

test("of every operation that needs s3:PutObject it is known whether it makes an object", () => {
  const preparing: string[] = [];
  for (const [operation, row] of Object.entries<OperationRow>(OPERATIONS)) {
    const values = valuesFor("s3:objectcreationoperation", { operation });
    if (row.action !== "s3:PutObject") {
      expect(values, operation).toBeUndefined();
      continue;
    }
    expect(["true", "false"], operation).toContain(values?.[0]);
    if (values?.[0] === "false") preparing.push(operation);
  }
  expect(preparing.sort()).toEqual(["CreateMultipartUpload", "UploadPart", "UploadPartCopy"]);
});

test.each([
  ["2026-11-22T12:00:00Z", "1"],
  ["2026-11-22T12:00:01Z", "2"],
  ["someday", "someday"],
])("retention until %s lasts %s more days", (until, days) => {
  const headers = { "x-amz-object-lock-retain-until-date": until };
  expect(valuesFor("s3:object-lock-remaining-retention-days", { headers })).toEqual([days]);
});

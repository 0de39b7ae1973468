import { createHash } from "node:crypto";
import aws4 from "aws4";
import { describe, expect, test } from "vitest";
import { ask } from "../../test/support/fake-exchange.ts";
import { documentOf } from "../../test/support/policies.ts";
import { credentialOf } from "../../test/support/s3-site.ts";
import { elements, useS3Site } from "../../test/support/s3-suite.ts";
import type { Credential } from "./auth/credentials.ts";

const { site, makeBucket, expectStatus, refusal } = useS3Site();

const DENIED = "403 AccessDenied";
const EVERYTHING = { Effect: "Allow", Action: "s3:*", Resource: "*" };
const DAY_MS = 24 * 3600 * 1000;

/** A key that may do everything but what meets this condition. */
function denied(id: string, Action: string, Condition: object): Credential {
  const deny = { Effect: "Deny", Action, Resource: "*", Condition };
  const credential = credentialOf(id, { policies: [documentOf([EVERYTHING, deny])] });
  site().add(credential);
  return credential;
}

describe("policies as AWS's pages have them", () => {
  test("make writes conditional, and let parts of uploads come without", async () => {
    const bucket = await makeBucket();
    const as = denied("CONDITIONAL", "s3:PutObject", {
      ...{ Null: { "s3:if-none-match": "true" }, Bool: { "s3:ObjectCreationOperation": "true" } },
    });
    const headers = { "If-None-Match": "*" };
    const put = { method: "PUT", path: `/${bucket}/put`, body: "x", as };
    expect(await refusal(put)).toBe(DENIED);
    await expectStatus({ ...put, headers }, 200);
    const copied = { ...put, path: `/${bucket}/copy`, body: "" };
    const source = { "x-amz-copy-source": `${bucket}/put` };
    expect(await refusal({ ...copied, headers: source })).toBe(DENIED);
    const path = `/${bucket}/upload`;
    const begun = await expectStatus({ method: "POST", path: `${path}?uploads`, as }, 200);
    const [id = ""] = elements(begun, "UploadId");
    const of = `uploadId=${id}`;
    const part = { method: "PUT", path: `${path}?partNumber=1&${of}`, body: "x", as };
    const etag = (await expectStatus(part, 200)).headers["etag"];
    const one = `<Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part>`;
    const body = `<CompleteMultipartUpload>${one}</CompleteMultipartUpload>`;
    const complete = { method: "POST", path: `${path}?${of}`, body, as };
    expect(await refusal(complete)).toBe(DENIED);
    await expectStatus({ ...complete, headers }, 200);
  });

  test("keep links from bringing what nobody signed", async () => {
    const bucket = await makeBucket();
    const is = { StringEquals: { "s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD" } };
    const as = denied("SIGNEDONLY", "s3:PutObject", is);
    const { path = "" } = aws4.sign(
      {
        ...{ method: "PUT", host: "s3.test:9000", service: "s3", region: "us-east-1" },
        ...{ path: `/${bucket}/linked?X-Amz-Expires=60`, signQuery: true },
      },
      { accessKeyId: as.id, secretAccessKey: as.secret },
    );
    const headers = { Host: "s3.test:9000", "Content-Length": "1" };
    const link = { method: "PUT", target: path, headers, body: Buffer.from("x") };
    const linked = await ask(site().handler, link);
    expect(linked.status).toBe(403);
    await expectStatus({ method: "PUT", path: `/${bucket}/signed`, body: "x", as }, 200);
  });

  test("bound how long a lock may last, wherever a request says it", async () => {
    const bucket = await makeBucket({ "x-amz-bucket-object-lock-enabled": "true" });
    const longer = { NumericGreaterThan: { "s3:object-lock-remaining-retention-days": "10" } };
    const as = denied("SHORTLOCKS", "s3:PutObjectRetention", longer);
    await expectStatus({ method: "PUT", path: `/${bucket}/kept`, body: "x" }, 200);
    const until = (days: number): string => new Date(Date.now() + days * DAY_MS).toISOString();
    const lockFor = (days: number, headers = {}) => {
      const date = `<RetainUntilDate>${until(days)}</RetainUntilDate>`;
      const body = `<Retention><Mode>GOVERNANCE</Mode>${date}</Retention>`;
      const md5 = createHash("md5").update(body).digest("base64");
      const path = `/${bucket}/kept?retention`;
      return { method: "PUT", path, headers: { "Content-MD5": md5, ...headers }, body, as };
    };
    expect(await refusal(lockFor(3650))).toBe(DENIED);
    // What else it says is not what is done.
    const small = {
      "x-amz-object-lock-mode": "GOVERNANCE",
      "x-amz-object-lock-retain-until-date": until(1),
    };
    expect(await refusal(lockFor(3650, small))).toBe(DENIED);
    await expectStatus(lockFor(5), 200);
  });

  test("let nobody take a legal hold away", async () => {
    const bucket = await makeBucket({ "x-amz-bucket-object-lock-enabled": "true" });
    const off = { StringEquals: { "s3:object-lock-legal-hold": "OFF" } };
    const as = denied("HOLDSSTAY1", "s3:PutObjectLegalHold", off);
    await expectStatus({ method: "PUT", path: `/${bucket}/held`, body: "x" }, 200);
    const hold = (status: string) => {
      const body = `<LegalHold><Status>${status}</Status></LegalHold>`;
      const md5 = createHash("md5").update(body).digest("base64");
      const path = `/${bucket}/held?legal-hold`;
      return { method: "PUT", path, headers: { "Content-MD5": md5 }, body, as };
    };
    await expectStatus(hold("ON"), 200);
    expect(await refusal(hold("OFF"))).toBe(DENIED);
    expect(await refusal({ ...hold("ON"), body: "<LegalHold/>" })).toBe("400 BadDigest");
  });
});

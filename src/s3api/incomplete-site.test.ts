import { createHash } from "node:crypto";
import { expect, test, vi } from "vitest";
import { ask } from "../../test/support/fake-exchange.ts";
import { credentialOf, openS3Site } from "../../test/support/s3-site.ts";
import type { Store } from "../storage/store.ts";
import { S3Error } from "./errors.ts";
import { requireComplete, whileIncomplete } from "./incomplete-site.ts";

function storeWith(underWay: boolean | "merge"): Pick<Store, "rows"> {
  const merge = underWay === "merge" ? { merges: true } : {};
  const bootstrap = underWay === false ? undefined : { position: "", ...merge };
  return { rows: { bootstrap: () => bootstrap } } as unknown as Pick<Store, "rows">;
}

test("what is missing may be on its way while rows are taken over", () => {
  for (const code of ["NoSuchKey", "NoSuchBucket", "NoSuchVersion"] as const) {
    const failure = new S3Error(code);
    expect(whileIncomplete(storeWith(false), failure)).toBe(failure);
    expect(whileIncomplete(storeWith(true), failure)).toMatchObject({
      code: "SlowDown",
      status: 503,
    });
  }
});

test("a site that merges rows of another one into its own answers as before", () => {
  const failure = new S3Error("NoSuchKey");
  expect(whileIncomplete(storeWith("merge"), failure)).toBe(failure);
  expect(() => requireComplete(storeWith("merge"), "ListObjectsV2")).not.toThrow();
});

test("who may not list, and who visits a website, comes again as well", async () => {
  const site = await openS3Site({ websiteDomain: "web.test" });
  const alice = credentialOf("ALICE", {});
  site.add(alice);
  await site.ask({ method: "PUT", path: "/pages" });
  const read = { Effect: "Allow", Principal: "*", Action: ["s3:GetObject", "s3:GetObjectVersion"] };
  const policy = JSON.stringify({ Statement: { ...read, Resource: "arn:aws:s3:::pages/*" } });
  await site.ask({ method: "PUT", path: "/pages?policy", body: policy });
  const website =
    "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument></WebsiteConfiguration>";
  await site.ask({ method: "PUT", path: "/pages?website", body: website });
  const visit = (host: string) =>
    ask(site.handler, { method: "GET", target: "/page", headers: { host }, body: Buffer.alloc(0) });
  const statuses = async () => {
    const paths = ["/pages/page", `/pages/page?versionId=${"0".repeat(32)}`];
    const asked = paths.map((path) => site.ask({ method: "GET", path, as: alice }));
    const answers = [...asked, visit("pages.web.test"), visit("others.web.test")];
    return (await Promise.all(answers)).map(({ status }) => status);
  };
  expect(await statuses()).toEqual([403, 403, 403, 404]);
  const bootstrap = vi.spyOn(site.store.rows, "bootstrap");
  bootstrap.mockReturnValue({ position: "" } as unknown as ReturnType<typeof bootstrap>);
  expect(await statuses()).toEqual([503, 503, 503, 503]);
  await site.close();
});

test("who deletes or unlocks what came ahead of its log is told to come again", async () => {
  const site = await openS3Site();
  const lock = { "x-amz-bucket-object-lock-enabled": "true" };
  await site.ask({ method: "PUT", path: "/kept", headers: lock });
  await site.ask({ method: "PUT", path: "/kept/k", body: "bytes" });
  const ahead = { outcome: "ahead-of-log" } as const;
  vi.spyOn(site.store, "deleteBucket").mockResolvedValue(ahead);
  vi.spyOn(site.store, "deleteObject").mockResolvedValue(ahead);
  vi.spyOn(site.store, "changeObject").mockResolvedValue(ahead);
  const off = "<LegalHold><Status>OFF</Status></LegalHold>";
  const md5 = createHash("md5").update(off).digest("base64");
  const answers = await Promise.all([
    site.ask({ method: "DELETE", path: "/kept" }),
    site.ask({ method: "DELETE", path: `/kept/k?versionId=${"0".repeat(32)}` }),
    site.ask({
      method: "PUT",
      path: "/kept/k?legal-hold",
      body: off,
      headers: { "content-md5": md5 },
    }),
  ]);
  const codes = answers.map(({ status, body }) => [status, /<Code>(\w+)/.exec(`${body}`)?.[1]]);
  expect(codes).toEqual(Array(3).fill([503, "SlowDown"]));
  await site.close();
});

test("other failures stay what they are", () => {
  for (const failure of [new S3Error("AccessDenied"), new Error("of the program"), undefined]) {
    expect(whileIncomplete(storeWith(true), failure)).toBe(failure);
  }
});

test("nothing is listed while rows are taken over, and everything else is done", () => {
  const slow = expect.objectContaining({ code: "SlowDown" });
  for (const operation of ["ListBuckets", "ListObjectsV2", "ListObjectVersions"] as const) {
    expect(() => requireComplete(storeWith(true), operation)).toThrow(slow);
    expect(() => requireComplete(storeWith(false), operation)).not.toThrow();
  }
  for (const operation of ["PutObject", "GetObject", "ListParts"] as const) {
    expect(() => requireComplete(storeWith(true), operation)).not.toThrow();
  }
});

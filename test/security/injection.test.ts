import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { ENGINES } from "./served-site.ts";
import { bodyOf, outcome, signed } from "./site-client.ts";
import { useSite } from "./use-site.ts";

const BUCKET = "injected-bucket";
const EVIL = ["a\r\nX-Injected: 1", "a\nX-Injected: 1", "a\0b", "a\x01b"];
/** The native engine waits ten seconds for the LF that should follow: once is enough. */
const BARE_CR = "a\rX-Injected: 1";
const EVIL_ENCODED = ["a%0D%0AX-Injected:%201", "a%0AX-Injected:%201", "a%0DX-Injected:%201"];

const RESPONSE_PARAMETERS = [
  ...["cache-control", "content-disposition", "content-encoding", "content-language"],
  ...["content-type", "expires"],
];

/** Headers that mean something somewhere inside an S3 server. */
const INTERNAL_HEADERS = [
  "X-Minio-Replication-Server-Side-Encryption-Sealed-Key",
  "X-Minio-Replication-Server-Side-Encryption-Iv",
  "X-Minio-Internal-Server-Side-Encryption-Sealed-Key",
  "X-Minio-Source-Etag",
  "X-Minio-Source-Mtime",
  "X-Minio-Source-Replication-Request",
  "X-Atoll-Hlc",
  "X-Atoll-Version-Id",
  "X-Atoll-Origin",
  "X-Atoll-Envelope",
  "X-Rgw-Internal",
  "Seaweed-Owner",
];

/** Every header an operation reads, to be sent empty. */
const READ_HEADERS = [
  ...["content-md5", "content-type", "content-encoding", "content-language", "cache-control"],
  ...["content-disposition", "expires", "range", "if-match", "if-none-match", "expect"],
  ...["if-modified-since", "if-unmodified-since", "origin", "user-agent", "x-amz-acl"],
  ...["x-amz-copy-source", "x-amz-copy-source-range", "x-amz-copy-source-if-match"],
  ...["x-amz-copy-source-if-modified-since", "x-amz-metadata-directive", "x-amz-tagging"],
  ...["x-amz-tagging-directive", "x-amz-storage-class", "x-amz-checksum-crc32", "x-amz-trailer"],
  ...["x-amz-sdk-checksum-algorithm", "x-amz-decoded-content-length", "x-amz-meta-empty"],
  ...["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-mfa"],
  ...["x-amz-object-lock-legal-hold", "x-amz-server-side-encryption", "x-amz-rename-source"],
  ...["x-amz-server-side-encryption-customer-algorithm", "x-amz-write-offset-bytes"],
  ...["x-amz-server-side-encryption-customer-key", "x-amz-website-redirect-location"],
  ...["x-amz-server-side-encryption-customer-key-md5", "x-amz-expected-bucket-owner"],
  ...["x-amz-bypass-governance-retention", "x-amz-object-attributes", "x-amz-max-parts"],
  ...["x-amz-grant-read", "x-amz-object-ownership", "x-amz-bucket-object-lock-enabled"],
];

describe.each(ENGINES)("headers on %s", (engine) => {
  const at = useSite(engine, { buckets: [BUCKET], objects: { [`${BUCKET}/object`]: "object" } });

  const headOf = (text: string): string => text.slice(0, text.indexOf("\r\n\r\n"));

  test.each([
    ...["x-amz-meta-a", "content-type", "content-disposition", "cache-control", "expires"],
    ...["content-language", "x-amz-website-redirect-location", "x-amz-tagging"],
  ])("[S54] [N19] what could end a line never gets into an object by %s", async (name) => {
    for (const value of name === "x-amz-meta-a" ? [...EVIL, BARE_CR] : EVIL) {
      const before = at.served.rows();
      const target = `/${BUCKET}/evil`;
      const answer = await at.client.send({ method: "PUT", target, headers: { [name]: value } });
      expect(answer.status === 0 || (answer.status >= 400 && answer.status < 500)).toBe(true);
      expect(answer.text).not.toMatch(/^X-Injected/im);
      expect(at.served.rows()).toBe(before);
    }
  });

  test.each(RESPONSE_PARAMETERS)(
    "[S54] [N14] [N19] response-%s cannot end its line",
    async (name) => {
      for (const value of EVIL_ENCODED) {
        for (const form of [{}, { transport: "presigned", mode: "unsigned" } as const]) {
          const target = `/${BUCKET}/object?response-${name}=${value}`;
          const answer = await at.client.send({ method: "GET", target, ...form });
          expect(headOf(answer.text)).not.toMatch(/^X-Injected/im);
          expect([200, 400]).toContain(answer.status);
        }
      }
    },
  );

  test.each(EVIL_ENCODED)(
    "[N19] a target with %s cannot end a line of the answer",
    async (value) => {
      for (const target of [`/${value}`, `/${BUCKET}/${value}`, `/${BUCKET}?prefix=${value}`]) {
        const answer = await at.client.send({ method: "GET", target });
        expect(headOf(answer.text)).not.toMatch(/^X-Injected/im);
        expect(answer.status).toBeLessThan(500);
      }
    },
  );

  test("[S54] metadata beyond ASCII comes back in one line that says the same", async () => {
    const target = `/${BUCKET}/words`;
    const headers = { "x-amz-meta-name": "caf\u00c3\u00a9" };
    const wire = signed({ method: "PUT", target });
    const put = await at.client.sendUnsigned({ ...wire, headers: [...wire.headers] });
    expect(put.status).toBe(200);
    const answer = await at.client.send({ method: "PUT", target, headers });
    expect(answer.status).toBeLessThan(500);
  });

  test.each(["ExposeHeader", "AllowedHeader", "AllowedOrigin"])(
    "[S54] [N19] a line break in %s of a CORS rule never ends a line of an answer",
    async (element) => {
      const evil = "a&#13;&#10;X-Injected: 1";
      const body =
        "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin>" +
        `<AllowedMethod>GET</AllowedMethod><${element}>${evil}</${element}>` +
        "</CORSRule></CORSConfiguration>";
      const md5 = createHash("md5").update(body).digest("base64");
      const target = `/${BUCKET}?cors`;
      const put = await at.client.send({
        ...{ method: "PUT", target, body, headers: { "content-md5": md5 } },
      });
      expect([200, 400]).toContain(put.status);
      for (const origin of ["https://a.test", "a\tb", "null"]) {
        const headers = { origin, "access-control-request-method": "GET" };
        for (const method of ["GET", "OPTIONS"]) {
          const answer = await at.client.send({ method, target: `/${BUCKET}/object`, headers });
          expect(headOf(answer.text)).not.toMatch(/^X-Injected/im);
          expect(answer.status).toBeLessThan(500);
        }
      }
      await at.client.send({ method: "DELETE", target });
    },
  );

  test.each([
    "<RedirectAllRequestsTo><HostName>EVIL</HostName></RedirectAllRequestsTo>",
    "<IndexDocument><Suffix>EVIL</Suffix></IndexDocument>",
    "<IndexDocument><Suffix>i</Suffix></IndexDocument><RoutingRules><RoutingRule><Redirect>" +
      "<ReplaceKeyPrefixWith>EVIL</ReplaceKeyPrefixWith></Redirect></RoutingRule></RoutingRules>",
  ])("[S54] [N19] a line break in a website never gets past its document: %s", async (inner) => {
    const evil = "a&#13;&#10;X-Injected: 1";
    const body = `<WebsiteConfiguration>${inner.replace("EVIL", evil)}</WebsiteConfiguration>`;
    const md5 = createHash("md5").update(body).digest("base64");
    const target = `/${BUCKET}?website`;
    const put = await at.client.send({
      ...{ method: "PUT", target, body, headers: { "content-md5": md5 } },
    });
    expect([200, 400]).toContain(put.status);
    const got = await at.client.send({ method: "GET", target });
    expect(headOf(got.text)).not.toMatch(/^X-Injected/im);
    await at.client.send({ method: "DELETE", target });
  });

  test("[S5] what a client sends in the name of the inside is never kept", async () => {
    const target = `/${BUCKET}/internal`;
    const headers = Object.fromEntries(INTERNAL_HEADERS.map((name) => [name.toLowerCase(), "1"]));
    const put = await at.client.send({ method: "PUT", target, headers, body: "plain" });
    expect(outcome(put)).toBe("200");
    const got = await at.client.send({ method: "GET", target });
    expect([got.status, bodyOf(got)]).toEqual([200, "plain"]);
    for (const name of INTERNAL_HEADERS) {
      expect(headOf(got.text).toLowerCase()).not.toContain(name.toLowerCase());
    }
  });

  test.each(READ_HEADERS)("[S61] an empty %s is a client's mistake at worst", async (name) => {
    for (const [method, target] of [
      ["GET", `/${BUCKET}/object`],
      ["PUT", `/${BUCKET}/empty`],
      ["PUT", `/${BUCKET}/empty?partNumber=1&uploadId=${"0".repeat(32)}`],
      ["POST", `/${BUCKET}/empty?uploads`],
      ["PUT", "/fresh-bucket"],
      ["DELETE", `/${BUCKET}/empty`],
      ["OPTIONS", `/${BUCKET}/empty`],
    ] as const) {
      const answer = await at.client.send({ method, target, headers: { [name]: "" } });
      expect([method, target, answer.status === 501 ? 400 : answer.status]).toEqual([
        method,
        target,
        expect.toSatisfy((status: number) => status < 500),
      ]);
    }
  });

  test.each(["__proto__", "constructor", "toString", "hasownproperty"])(
    "[N28] the name %s is a name like any other in headers, queries and tags",
    async (name) => {
      const target = `/${BUCKET}/names`;
      const headers = { [`x-amz-meta-${name}`]: "1", "x-amz-tagging": `${name}=1` };
      const put = await at.client.send({ method: "PUT", target, headers, body: "x" });
      expect(put.status).toBeLessThan(500);
      if (put.status === 200) {
        const head = await at.client.send({ method: "HEAD", target });
        expect(head.text.toLowerCase()).toContain(`x-amz-meta-${name.toLowerCase()}: 1`);
      }
      const asked = await at.client.send({ method: "GET", target: `/${BUCKET}?${name}=1` });
      expect(asked.status).toBeLessThan(502);
      expect(Object.keys(Object.prototype)).toEqual([]);
    },
  );
});

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { OperationRow } from "../../src/s3api/operation.ts";
import { OPERATIONS } from "../../src/s3api/operations.ts";
import { ROUTE_SAMPLES } from "./matrix-rows.ts";
import { ENGINES } from "./served-site.ts";
import { outcome } from "./site-client.ts";
import { useSite } from "./use-site.ts";

const BUCKET = "document-bucket";

/** Every operation that reads a document, with the root that its document has. */
const READERS = Object.entries<OperationRow>(OPERATIONS).flatMap(([name, row]) => {
  const body = ROUTE_SAMPLES.get(name)?.body ?? "";
  const root = /^<(\w+)/.exec(body)?.[1];
  if (!("handler" in row) || row.body !== "xml" || root === undefined) return [];
  const query = Object.entries(row.query ?? {}).map(([key, value]) => {
    const given = key === "uploadId" ? "0".repeat(32) : value;
    return given === "" ? key : `${key}=${given}`;
  });
  const place = { service: "/", bucket: `/${BUCKET}`, object: `/${BUCKET}/key` }[row.level];
  const path = name === "CreateBucket" ? "/document-made" : place;
  const target = query.length === 0 ? path : `${path}?${query.join("&")}`;
  return [{ name, method: row.method, target, root }];
});

const deep = (levels: number): string => "<a>".repeat(levels) + "</a>".repeat(levels);
const laughs = Array.from({ length: 20 }, (_, at) => `<!ENTITY l${at + 1} "&l${at};&l${at};">`);

/** Documents that no schema has anything to do with; `ROOT` stands for the right name. */
const HOSTILE_XML: Readonly<Record<string, string | Uint8Array>> = {
  nothing: "",
  words: "hello",
  JSON: "{}",
  "another root": "<Evil/>",
  "a document type": "<!DOCTYPE ROOT><ROOT/>",
  "a file from outside":
    '<!DOCTYPE ROOT [<!ENTITY x SYSTEM "file:///etc/passwd">]><ROOT>&x;</ROOT>',
  "a parameter entity": '<!DOCTYPE ROOT [<!ENTITY % x SYSTEM "http://a.test/">%x;]><ROOT/>',
  "billion laughs": `<!DOCTYPE ROOT [<!ENTITY l0 "ha">${laughs.join("")}]><ROOT>&l20;</ROOT>`,
  "a quadratic blow-up": `<!DOCTYPE ROOT [<!ENTITY a "${"a".repeat(50_000)}">]><ROOT>${"&a;".repeat(50_000)}</ROOT>`,
  "an unknown entity": "<ROOT>&evil;</ROOT>",
  "a hundred thousand references to nothing": `<ROOT>${"&#0;".repeat(100_000)}</ROOT>`,
  "ten thousand levels": `<ROOT>${deep(10_000)}</ROOT>`,
  "17 levels": `<ROOT>${deep(17)}</ROOT>`,
  "300,000 elements": `<ROOT>${"<a/>".repeat(300_000)}</ROOT>`,
  "an instruction": "<ROOT><?php system('id') ?></ROOT>",
  "a style sheet": '<?xml-stylesheet href="http://a.test/"?><ROOT/>',
  "no end": "<ROOT><a>",
  "crossed tags": "<ROOT><a><b></a></b></ROOT>",
  "two roots": "<ROOT/><ROOT/>",
  "words behind the end": "<ROOT/>words",
  "a prototype": "<ROOT><__proto__><isAdmin>true</isAdmin></__proto__></ROOT>",
  "a constructor": "<ROOT><constructor><prototype>x</prototype></constructor></ROOT>",
  "another encoding": '<?xml version="1.0" encoding="UTF-7"?><ROOT/>',
  "UTF-16": Buffer.from("\ufeff<ROOT/>", "utf16le"),
  "bytes that are no text": Buffer.from([0x3c, 0xff, 0xfe, 0x00, 0x3e]),
  NUL: "<ROOT>\0</ROOT>",
  "an open comment": "<ROOT><!-- </ROOT>",
  "an open CDATA": "<ROOT><![CDATA[</ROOT>",
  "a conditional section": "<ROOT><![INCLUDE[x]]></ROOT>",
};

const policy = (statement: string): string => `{"Version":"2012-10-17","Statement":[${statement}]}`;
const ALLOW =
  '"Effect":"Allow","Principal":"*","Action":"s3:GetObject",' +
  `"Resource":"arn:aws:s3:::${BUCKET}/*"`;

const HOSTILE_JSON: Readonly<Record<string, string | Uint8Array>> = {
  nothing: "",
  words: "hello",
  null: "null",
  "a list": "[]",
  "a number": "1",
  "an empty object": "{}",
  XML: "<Policy/>",
  "no end": '{"Version":"2012-10-17","Statement":[',
  "100,000 brackets": "[".repeat(100_000),
  "10,000 levels": `${'{"a":'.repeat(3000)}1${"}".repeat(3000)}`,
  "a prototype": policy(`{${ALLOW},"__proto__":{"Effect":"Allow"}}`),
  "a prototype at the top": `{"__proto__":{"Version":"2012-10-17"},"Statement":[{${ALLOW}}]}`,
  "a constructor": policy(`{${ALLOW},"constructor":{}}`),
  "an unknown field": policy(`{${ALLOW},"Evil":1}`),
  "an unknown field at the top": `{"Version":"2012-10-17","Evil":1,"Statement":[{${ALLOW}}]}`,
  "an unknown operator": policy(`{${ALLOW},"Condition":{"StringEvil":{"aws:x":"y"}}}`),
  "a condition that is a list": policy(`{${ALLOW},"Condition":[]}`),
  "an effect nobody knows": policy(`{${ALLOW.replace("Allow", "Perhaps")}}`),
  "a resource of another bucket": policy(`{${ALLOW.replace(BUCKET, "other-bucket")}}`),
  "ten thousand statements": policy(Array.from({ length: 10_000 }, () => `{${ALLOW}}`).join()),
  "more than 20 KiB": policy(`{${ALLOW},"Sid":"${"a".repeat(21_000)}"}`),
  "bytes that are no text": Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
  "a byte order mark": `\ufeff[]`,
  "half a surrogate": policy(`{${ALLOW},"Sid":"\\ud800"}`).replace("Allow", "Deny!"),
};

describe.each(ENGINES)("documents on %s", (engine) => {
  const at = useSite(engine, { buckets: [BUCKET], objects: { [`${BUCKET}/key`]: "object" } });

  async function sendBody(ask: { method: string; target: string }, content: string | Uint8Array) {
    // The signer works with Latin-1, one character for each byte.
    const body = Buffer.from(content).toString("latin1");
    const md5 = createHash("md5").update(Buffer.from(body, "latin1")).digest("base64");
    return at.client.send({ ...ask, body, headers: { "content-md5": md5 }, mode: "unsigned" });
  }

  test.each(Object.entries(HOSTILE_XML))(
    "[S12] [S66] [N7] XML with %s is refused wherever XML is read, and leaves nothing",
    async (name, xml) => {
      const before = at.served.rows();
      expect(READERS.length).toBeGreaterThanOrEqual(3);
      for (const { method, target, root } of READERS) {
        // Without a body a bucket is made all the same.
        if (name === "nothing" && root === "CreateBucketConfiguration") continue;
        const document = typeof xml === "string" ? xml.replaceAll("ROOT", root) : xml;
        const answer = await sendBody({ method, target }, document);
        expect([target, outcome(answer)]).toEqual([
          target,
          expect.stringMatching(/^4\d\d (?!AccessDenied)/),
        ]);
        expect(answer.text).not.toContain("root:x:0");
      }
      expect(at.served.rows()).toBe(before);
      expect(Object.keys(Object.prototype)).toEqual([]);
    },
  );

  test.each(Object.entries(HOSTILE_JSON))(
    "[N8] a policy with %s is refused, and leaves nothing",
    async (_name, json) => {
      const row: OperationRow = OPERATIONS.PutBucketPolicy;
      if (!("handler" in row)) return;
      const before = at.served.rows();
      const answer = await sendBody({ method: "PUT", target: `/${BUCKET}?policy` }, json);
      expect(answer.status, outcome(answer)).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
      expect(at.served.rows()).toBe(before);
      expect(Object.keys(Object.prototype)).toEqual([]);
    },
  );

  test("[S12] a body that claims ten gigabytes is refused before it comes", async () => {
    for (const { method, target } of READERS) {
      const headers = { "content-length": "10737418240" };
      const answer = await at.client.send({ method, target, headers, mode: "unsigned" });
      expect([target, answer.status]).toEqual([
        target,
        expect.toSatisfy((status: number) => status >= 400 && status < 500),
      ]);
    }
  });

  test("[S12] [N7] a stranger's document is refused before much of it has come", async () => {
    const tooMuch: ReadonlyArray<readonly [string, string]> = [
      ["content-length", String(256 * 1024 + 1)],
      ["transfer-encoding", "chunked"],
    ];
    const body = Buffer.from(
      `${(512 * 1024).toString(16)}\r\n${"x".repeat(512 * 1024)}\r\n0\r\n\r\n`,
    );
    for (const framing of tooMuch) {
      const headers = [["host", "a"] as const, framing];
      const request = { method: "POST", target: `/${BUCKET}?delete`, headers };
      const isChunked = framing[0] === "transfer-encoding";
      // Of the announced one nothing is sent: it is refused all the same.
      const sent = isChunked ? body : new Uint8Array(0);
      const answer = await at.client.sendUnsigned({ ...request, body: sent });
      expect(outcome(answer)).toBe(
        isChunked ? "400 EntityTooLarge" : "400 MaxMessageLengthExceeded",
      );
    }
  });

  test("[S30] [N6] an aws-chunked body without its lengths is a client's mistake", async () => {
    const before = at.served.rows();
    for (const mode of ["streaming-signed", "streaming-unsigned-trailer"] as const) {
      const target = `/${BUCKET}/chunked`;
      const headers = { "transfer-encoding": "chunked" };
      const answer = await at.client.send({ method: "PUT", target, mode, headers, body: "" });
      expect(answer.status === 0 || (answer.status >= 400 && answer.status < 500)).toBe(true);
    }
    expect(at.served.rows()).toBe(before);
  });
});

import { describe, expect, test } from "vitest";
import { KEY_VECTORS } from "./key-table.ts";
import { ENGINES } from "./served-site.ts";
import { bodyOf, outcome } from "./site-client.ts";
import { useSite } from "./use-site.ts";

const BUCKET = "vector-bucket";
const GOOD = KEY_VECTORS.filter((vector) => vector.key !== undefined);
const BAD = KEY_VECTORS.filter((vector) => vector.key === undefined);

/** A key in XML: whatever is not plain goes as a reference by number. */
function inXml(key: string): string {
  return [...key]
    .map((letter) => (/[\w /.-]/.test(letter) ? letter : `&#${letter.codePointAt(0)};`))
    .join("");
}

/** A key as one value of a query. */
const inQuery = (wire: string): string => wire.replaceAll("+", "%2B").replaceAll("&", "%26");

/** In this header a plus sign is a space, as at AWS; clients encode it. */
function copySourceOf(wire: string): string {
  return `/${BUCKET}/${wire.replaceAll("+", "%2B")}`;
}

describe.each(ENGINES)("keys on %s", (engine) => {
  const at = useSite(engine, {
    buckets: [BUCKET, "other-bucket"],
    objects: { "other-bucket/secret": "hidden words" },
  });

  async function listed(query = ""): Promise<string[]> {
    const target = `/${BUCKET}?list-type=2&encoding-type=url${query}`;
    const answer = await at.client.send({ method: "GET", target });
    expect(outcome(answer)).toBe("200");
    return [...bodyOf(answer).matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) =>
      decodeURIComponent((match[1] ?? "").replaceAll("+", " ")),
    );
  }

  test.each(GOOD)(
    "[S9] [S24] [S25] [S31] [N9] [N10] $name is the same key everywhere, and no path",
    async ({ wire, key = "" }) => {
      const target = `/${BUCKET}/${wire}`;
      const body = `body of ${wire.slice(0, 40)}`;
      expect(outcome(await at.client.send({ method: "PUT", target, body }))).toBe("200");
      expect(await listed()).toEqual([key]);
      const got = await at.client.send({ method: "GET", target });
      expect([got.status, bodyOf(got)]).toEqual([200, body]);
      const linked = await at.client.send({
        ...{ method: "GET", target, transport: "presigned", mode: "unsigned" },
      });
      expect([linked.status, bodyOf(linked)]).toEqual([200, body]);
      // As a prefix it finds itself; as a marker it has been passed.
      expect(await listed(`&prefix=${inQuery(wire)}`)).toEqual([key]);
      expect(await listed(`&start-after=${inQuery(wire)}`)).toEqual([]);
      const copy = await at.client.send({
        ...{ method: "PUT", target: `/${BUCKET}/~copy` },
        headers: { "x-amz-copy-source": copySourceOf(wire) },
      });
      expect(outcome(copy)).toBe("200");
      const copied = await at.client.send({ method: "GET", target: `/${BUCKET}/~copy` });
      expect(bodyOf(copied)).toBe(body);
      const begun = await at.client.send({ method: "POST", target: `${target}?uploads` });
      const id = /<UploadId>(\w+)</.exec(begun.text)?.[1] ?? "";
      const aborted = await at.client.send({
        method: "DELETE",
        target: `${target}?uploadId=${id}`,
      });
      expect(outcome(aborted)).toBe("204");
      const xml = `<Delete><Object><Key>${inXml(key)}</Key></Object></Delete>`;
      const many = { method: "POST", target: `/${BUCKET}?delete`, body: xml };
      expect(outcome(await at.client.send(many))).toBe("200");
      expect(await listed()).toEqual(["~copy"]);
      await at.client.send({ method: "DELETE", target: `/${BUCKET}/~copy` });
      const other = await at.client.send({ method: "GET", target: "/other-bucket/secret" });
      expect(bodyOf(other)).toBe("hidden words");
    },
  );

  test.each(BAD)(
    "[S29] [N9] [N10] $name is no key anywhere, and leaves nothing",
    async ({ wire }) => {
      const before = at.served.rows();
      const target = `/${BUCKET}/${wire}`;
      const copySource = { "x-amz-copy-source": copySourceOf(wire) };
      const asks = [
        ...["GET", "HEAD", "PUT", "DELETE"].map((method) => ({ method, target })),
        { method: "POST", target: `${target}?uploads` },
        { method: "PUT", target: `${target}?partNumber=1&uploadId=${"0".repeat(32)}` },
        { method: "PUT", target: `${target}?tagging`, body: "<Tagging/>" },
        { method: "PUT", target: `/${BUCKET}/copied`, headers: copySource },
      ];
      for (const ask of asks) {
        const answer = await at.client.send(ask).catch((failure: unknown) => {
          // The signer itself stumbles over what is no text: the request is not sent.
          if (failure instanceof URIError) return { status: 400, code: "", text: "" };
          throw failure;
        });
        expect(answer.status, `${ask.method} ${ask.target}`).toBeGreaterThanOrEqual(400);
        expect(answer.status).toBeLessThan(500);
      }
      expect(at.served.rows()).toBe(before);
    },
  );

  test.each([
    "<Key>a\0b</Key>",
    "<Key>a&#0;b</Key>",
    "<Key>&#xD800;</Key>",
    `<Key>${"k".repeat(1025)}</Key>`,
    "<Key></Key>",
  ])("[N10] DeleteObjects takes no key that no other place takes: %s", async (key) => {
    const before = at.served.rows();
    const body = `<Delete><Object>${key}</Object></Delete>`;
    const answer = await at.client.send({ method: "POST", target: `/${BUCKET}?delete`, body });
    expect(answer.text).toMatch(
      /<Code>(MalformedXML|KeyTooLongError|UserKeyMustBeSpecified)<\/Code>/,
    );
    expect(answer.status).toBeLessThan(500);
    expect(at.served.rows()).toBe(before);
  });

  test("[S24] [S32] a bucket is never left by way of a key", async () => {
    for (const path of [
      `/${BUCKET}/../other-bucket/secret`,
      `/${BUCKET}/%2e%2e/other-bucket/secret`,
      `/${BUCKET}/..%2fother-bucket%2fsecret`,
      `/${BUCKET}/.%2e/other-bucket/secret`,
      `/${BUCKET}//../other-bucket/secret`,
    ]) {
      expect(outcome(await at.client.send({ method: "GET", target: path }))).toBe("404 NoSuchKey");
    }
    for (const path of [
      "/../other-bucket/secret",
      "/./other-bucket/secret",
      "//other-bucket/secret",
    ]) {
      const answer = await at.client.send({ method: "GET", target: path });
      expect([path, answer.status >= 400 && answer.status < 500]).toEqual([path, true]);
      expect(bodyOf(answer)).not.toContain("hidden words");
    }
  });

  test.each([
    "../../etc/passwd",
    "..%2F..",
    "%00",
    "a/b",
    "0".repeat(31),
    "g".repeat(32),
    "null",
    "..",
    "😀",
  ])("[S64] an upload id of %s is nobody's", async (id) => {
    const before = at.served.rows();
    const target = `/${BUCKET}/key?uploadId=${encodeURIComponent(id)}`;
    for (const ask of [
      { method: "GET", target },
      { method: "DELETE", target },
      { method: "PUT", target: `${target}&partNumber=1`, body: "x" },
      {
        ...{ method: "POST", target },
        body: "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
      },
    ]) {
      const answer = await at.client.send(ask);
      expect([ask.method, outcome(answer)]).toEqual([ask.method, "404 NoSuchUpload"]);
    }
    expect(at.served.rows()).toBe(before);
  });
});

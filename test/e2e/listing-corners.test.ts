import {
  ListObjectsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const KEYS = ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/bla", "cquux/thud", "d%2Fe", "d,e,f"];
const UNREADABLE = ["u\n1", "u\u00011", "u\u007f1", "u\uFFFE1", "u&<>\"'1", "u\r1"];

type Page = {
  Contents?: { Key?: string | undefined }[] | undefined;
  CommonPrefixes?: { Prefix?: string | undefined }[] | undefined;
};

function namesOf(page: Page): unknown[] {
  const keys = (page.Contents ?? []).map((row) => row.Key);
  return [keys, (page.CommonPrefixes ?? []).map((row) => row.Prefix)];
}

describe.each(ENGINES)("corners of listings on %s", (engine) => {
  const server = useServer({ engine });
  let Bucket = "";
  let s3: S3Client;

  beforeAll(async () => {
    s3 = sdkFor(server());
    Bucket = await makeBucket(s3);
    for (const Key of KEYS) await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
  });

  const list = async (query: string, bucket = Bucket) =>
    sendSigned(server(), { method: "GET", path: `/${bucket}${query}` });

  test("pages fold, and v1 names what comes next", async () => {
    const first = await s3.send(new ListObjectsCommand({ Bucket, Delimiter: "/", MaxKeys: 1 }));
    expect(namesOf(first)).toEqual([["asdf"], []]);
    expect([first.IsTruncated, first.NextMarker]).toEqual([true, "asdf"]);
    const second = await s3.send(
      new ListObjectsCommand({ Bucket, Delimiter: "/", MaxKeys: 1, Marker: "asdf" }),
    );
    expect(namesOf(second)).toEqual([[], ["boo/"]]);
    expect(second.NextMarker).toBe("boo/");
    const third = await s3.send(
      new ListObjectsCommand({ Bucket, Delimiter: "/", MaxKeys: 1, Marker: "boo/" }),
    );
    expect(namesOf(third)).toEqual([[], ["cquux/"]]);
    const deep = await s3.send(
      new ListObjectsCommand({ Bucket, Delimiter: "/", Prefix: "boo/", MaxKeys: 1 }),
    );
    expect([namesOf(deep), deep.NextMarker]).toEqual([[["boo/bar"], []], "boo/bar"]);
  });

  test("without a delimiter v1 names no next marker, for the last key is it", async () => {
    const page = await s3.send(new ListObjectsCommand({ Bucket, MaxKeys: 2 }));
    expect([page.IsTruncated, page.NextMarker, page.Marker]).toEqual([true, undefined, ""]);
    const whole = await s3.send(new ListObjectsCommand({ Bucket, Delimiter: "/" }));
    expect([whole.IsTruncated, whole.NextMarker]).toEqual([false, undefined]);
  });

  test("a page that ends with the last key is not truncated", async () => {
    const exact = await s3.send(new ListObjectsV2Command({ Bucket, MaxKeys: KEYS.length }));
    expect([exact.IsTruncated, exact.NextContinuationToken]).toEqual([false, undefined]);
    const folded = await s3.send(
      new ListObjectsV2Command({ Bucket, MaxKeys: 1, Prefix: "boo/", Delimiter: "oo/" }),
    );
    expect(folded.IsTruncated).toBe(true);
    const tail = await s3.send(
      new ListObjectsV2Command({ Bucket, MaxKeys: 1, Prefix: "cqu", Delimiter: "/" }),
    );
    expect([namesOf(tail), tail.IsTruncated]).toEqual([[[], ["cquux/"]], false]);
  });

  test.each(["zzz", "d,e,f", "\u{10FFFF}"])("nothing comes after %j", async (Marker) => {
    const v1 = await s3.send(new ListObjectsCommand({ Bucket, Marker }));
    expect([namesOf(v1), v1.IsTruncated, v1.Marker]).toEqual([[[], []], false, Marker]);
    const behind = await s3.send(
      new ListObjectsV2Command({ Bucket, StartAfter: Marker, Prefix: "a" }),
    );
    expect([namesOf(behind), behind.KeyCount]).toEqual([[[], []], 0]);
  });

  test.each([
    [",", "", ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/bla", "cquux/thud", "d%2Fe"], ["d,"]],
    [",", "d,", ["d,"], ["d,e,"]],
    ["%", "", KEYS.filter((key) => key !== "d%2Fe"), ["d%"]],
    ["/b", "", KEYS.filter((key) => !/\/b/.test(key)), ["boo/b", "cquux/b"]],
    ["zz", "boo/", ["boo/bar"], ["boo/baz/xyzz"]],
  ])("delimiter %j below prefix %j", async (Delimiter, Prefix, keys, prefixes) => {
    const expected = Prefix === "d," ? [[], prefixes] : [[...keys].sort(), prefixes];
    for (const EncodingType of [undefined, "url"] as const) {
      const page = await s3.send(
        new ListObjectsV2Command({ Bucket, Delimiter, Prefix, EncodingType }),
      );
      const decode = (name: unknown): string =>
        EncodingType === undefined ? String(name) : decodeURIComponent(String(name));
      const [shown, folded] = namesOf(page) as unknown[][];
      expect([shown?.map(decode), folded?.map(decode)]).toEqual(expected);
      expect(decode(page.Delimiter)).toBe(Delimiter);
    }
  });

  test("prefix, start-after and delimiter work together", async () => {
    const input = { Bucket, Prefix: "boo/", Delimiter: "/", StartAfter: "boo/bar" };
    const page = await s3.send(new ListObjectsV2Command(input));
    expect([namesOf(page), page.StartAfter]).toEqual([[[], ["boo/baz/"]], "boo/bar"]);
    const before = await s3.send(new ListObjectsV2Command({ ...input, StartAfter: "a" }));
    expect(namesOf(before)).toEqual([["boo/bar"], ["boo/baz/"]]);
    const beyond = await s3.send(new ListObjectsV2Command({ ...input, StartAfter: "c" }));
    expect(namesOf(beyond)).toEqual([[], []]);
  });

  test("a token outweighs start-after, which is shown again", async () => {
    const first = await s3.send(
      new ListObjectsV2Command({ Bucket, MaxKeys: 1, StartAfter: "asdf" }),
    );
    const ContinuationToken = first.NextContinuationToken;
    const second = await s3.send(
      new ListObjectsV2Command({ Bucket, MaxKeys: 1, StartAfter: "asdf", ContinuationToken }),
    );
    expect(namesOf(second)).toEqual([["boo/baz/xyzzy"], []]);
    expect([second.ContinuationToken, second.StartAfter]).toEqual([ContinuationToken, "asdf"]);
  });

  test("a token that has been changed, cut or emptied is refused", async () => {
    const page = await s3.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 }));
    const token = page.NextContinuationToken ?? "";
    const flipped = (token[0] === "A" ? "B" : "A") + token.slice(1);
    for (const ContinuationToken of [flipped, token.slice(1), `${token}A`, "a b", "x".repeat(5)]) {
      const listed = s3.send(new ListObjectsV2Command({ Bucket, ContinuationToken }));
      expect(await refusalOf(listed)).toBe("400 InvalidArgument");
    }
    expect((await list("?list-type=2&continuation-token=")).code).toBe("InvalidArgument");
  });

  test("what MinIO's clients ask for beside is passed over", async () => {
    for (const query of ["?list-type=2", "?versions"]) {
      const asked = await list(`${query}&metadata=true`);
      expect([asked.status, asked.body]).toEqual([200, (await list(query)).body]);
    }
  });

  test("empty parameters mean the same as none", async () => {
    const query = "&prefix=&delimiter=&encoding-type=&max-keys=";
    const v2 = await list(`?list-type=2&start-after=${query}`);
    const v1 = await list(`?marker=${query}`);
    for (const answer of [v1, v2]) {
      expect(answer.status).toBe(200);
      expect(answer.body.match(/<Key>/g)).toHaveLength(KEYS.length);
      expect(answer.body).not.toContain("<Delimiter>");
      expect(answer.body).toContain("<MaxKeys>1000</MaxKeys>");
    }
    expect(v2.body).not.toContain("<StartAfter>");
  });

  test.each(["max-keys=0", "max-keys=0&delimiter=%2F"])("%s is an empty page", async (query) => {
    const v1 = await list(`?${query}`);
    expect(v1.body).toContain("<MaxKeys>0</MaxKeys>");
    expect(v1.body).toContain("<IsTruncated>false</IsTruncated>");
    expect(v1.body).not.toMatch(/<Contents>|<CommonPrefixes>|<NextMarker>/);
  });

  test.each(["?list-type=1", "?list-type=3", "?list-type="])("%s is no listing", async (query) => {
    expect((await list(query)).status).toBeGreaterThanOrEqual(400);
  });

  test("keys that XML cannot hold come back by encoding-type=url", async () => {
    const bucket = await makeBucket(s3);
    for (const Key of UNREADABLE) {
      await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "x" }));
    }
    const found: string[] = [];
    let after = "";
    for (let page = 0; page < UNREADABLE.length; page++) {
      const query = `?encoding-type=url&max-keys=1&delimiter=1&marker=${encodeURIComponent(after)}`;
      const answer = await list(query, bucket);
      const name = /<Prefix>([^<]+)<\/Prefix><\/CommonPrefixes>/.exec(answer.body)?.[1] ?? "";
      after = decodeURIComponent(name);
      found.push(after);
      const next = /<NextMarker>([^<]+)<\/NextMarker>/.exec(answer.body)?.[1];
      expect(next).toBe(page + 1 < UNREADABLE.length ? name : undefined);
    }
    expect(found).toEqual([...UNREADABLE].sort());
  });

  test("an object in a list has everything a client compares", async () => {
    const { body } = await list("?list-type=2&prefix=asdf&fetch-owner=true");
    expect(body).toMatch(/<LastModified>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z<\/LastModified>/);
    expect(body).toContain("<ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</ETag>");
    expect(body).toContain("<Size>1</Size>");
    expect(body).toContain("<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>");
    expect(body).toContain("<ChecksumType>FULL_OBJECT</ChecksumType>");
    expect(body).toContain("<StorageClass>STANDARD</StorageClass>");
    expect(body).toMatch(/<Owner><ID>[^<]+<\/ID>/);
    const without = await list("?list-type=2&prefix=asdf&fetch-owner=false");
    expect(without.body).not.toContain("<Owner>");
    const v1 = await list("?prefix=asdf");
    expect(v1.body).toContain("<Owner>");
  });
});

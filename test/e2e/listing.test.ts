import {
  ListObjectsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
} from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

/** In the order of their UTF-8 bytes, which JavaScript's own order is not for the last two. */
const KEYS = [
  ...["a", "a/", "a/1", "a/2", "a/b/1", "a/b/2", "a0", "b+c", "b c/1", "c/1", "c/2/3"].sort(),
  ...["z", "é", "\uFFFD", "🐟"],
];

async function fill(s3: S3Client, Bucket: string, keys: readonly string[]): Promise<void> {
  const waiting = [...keys];
  const worker = async (): Promise<void> => {
    for (let Key = waiting.pop(); Key !== undefined; Key = waiting.pop()) {
      await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

function keysOf(page: { Contents?: { Key?: string | undefined }[] | undefined }): unknown[] {
  return (page.Contents ?? []).map((row) => row.Key);
}

function prefixesOf(page: {
  CommonPrefixes?: { Prefix?: string | undefined }[] | undefined;
}): unknown[] {
  return (page.CommonPrefixes ?? []).map((row) => row.Prefix);
}

describe.each(ENGINES)("listing objects on %s", (engine) => {
  const server = useServer({ engine });
  let Bucket = "";
  let s3: S3Client;

  beforeAll(async () => {
    s3 = sdkFor(server());
    Bucket = await makeBucket(s3);
    await fill(s3, Bucket, KEYS);
  });

  test("keys come in the order of their bytes", async () => {
    const listed = await s3.send(new ListObjectsV2Command({ Bucket }));
    expect(keysOf(listed)).toEqual(KEYS);
    expect(listed.KeyCount).toBe(KEYS.length);
    expect(listed.IsTruncated).toBe(false);
    const first = listed.Contents?.[0];
    expect(first).toMatchObject({ Size: 1, StorageClass: "STANDARD" });
    expect(first?.ETag).toMatch(/^"[0-9a-f]{32}"$/);
    expect(first?.Owner).toBeUndefined();
  });

  test.each([
    ["a/", undefined, ["a/", "a/1", "a/2", "a/b/1", "a/b/2"], []],
    ["a/", "/", ["a/", "a/1", "a/2"], ["a/b/"]],
    ["", "/", ["a", "a0", "b+c", "z", "é", "\uFFFD", "🐟"], ["a/", "b c/", "c/"]],
    ["a", "/", ["a", "a0"], ["a/"]],
    ["c/", "/3", ["c/1"], ["c/2/3"]],
    ["nothing", "/", [], []],
    ["", " ", KEYS.filter((key) => key !== "b c/1"), ["b "]],
  ])("prefix %j with delimiter %j", async (Prefix, Delimiter, keys, prefixes) => {
    const input = { Bucket, Prefix, Delimiter };
    const v2 = await s3.send(new ListObjectsV2Command(input));
    expect([keysOf(v2), prefixesOf(v2)]).toEqual([keys, prefixes]);
    expect(v2.KeyCount).toBe(keys.length + prefixes.length);
    const v1 = await s3.send(new ListObjectsCommand(input));
    expect([keysOf(v1), prefixesOf(v1)]).toEqual([keys, prefixes]);
  });

  test.each([1, 2, 3, 5, 1000])("pages of %i hold everything once", async (pageSize) => {
    const found: unknown[] = [];
    const input = { Bucket, Delimiter: "/" };
    for await (const page of paginateListObjectsV2({ client: s3, pageSize }, input)) {
      const rows = [...keysOf(page), ...prefixesOf(page)];
      expect(rows.length).toBeLessThanOrEqual(pageSize);
      found.push(...rows);
    }
    const folded = KEYS.map((key) =>
      key.includes("/") ? key.slice(0, key.indexOf("/") + 1) : key,
    );
    expect([...found].sort()).toEqual([...new Set(folded)].sort());
  });

  test("v1 pages by marker, and names the next one when there is a delimiter", async () => {
    const found: unknown[] = [];
    const pageAfter = (Marker: string) =>
      s3.send(new ListObjectsCommand({ Bucket, Delimiter: "/", MaxKeys: 2, Marker }));
    let page = await pageAfter("");
    found.push(...keysOf(page), ...prefixesOf(page));
    while (page.IsTruncated) {
      page = await pageAfter(page.NextMarker ?? "no marker");
      found.push(...keysOf(page), ...prefixesOf(page));
    }
    expect(found).toHaveLength(10);
  });

  test("start-after skips up to and with the key it names", async () => {
    const listed = await s3.send(new ListObjectsV2Command({ Bucket, StartAfter: "a/b/1" }));
    expect(keysOf(listed)).toEqual(KEYS.slice(KEYS.indexOf("a/b/1") + 1));
    expect(listed.StartAfter).toBe("a/b/1");
    const between = await s3.send(
      new ListObjectsV2Command({ Bucket, StartAfter: "a/1", Prefix: "a/", Delimiter: "/" }),
    );
    expect([keysOf(between), prefixesOf(between)]).toEqual([["a/2"], ["a/b/"]]);
  });

  test("max-keys 0 lists nothing, and more than 1,000 means 1,000", async () => {
    const none = await s3.send(new ListObjectsV2Command({ Bucket, MaxKeys: 0 }));
    expect([none.KeyCount, none.IsTruncated]).toEqual([0, false]);
    const many = await s3.send(new ListObjectsV2Command({ Bucket, MaxKeys: 5000 }));
    expect(many.MaxKeys).toBe(1000);
  });

  test.each(["-1", "x", "2147483648"])("max-keys %s is refused", async (maxKeys) => {
    const path = `/${Bucket}?list-type=2&max-keys=${maxKeys}`;
    const answer = await sendSigned(server(), { method: "GET", path });
    expect([answer.status, answer.code]).toEqual([400, "InvalidArgument"]);
  });

  test("a token we did not give is refused", async () => {
    const listed = s3.send(new ListObjectsV2Command({ Bucket, ContinuationToken: "!!!" }));
    expect(await refusalOf(listed)).toBe("400 InvalidArgument");
  });

  test("the owner comes when asked for", async () => {
    const listed = await s3.send(
      new ListObjectsV2Command({ Bucket, MaxKeys: 1, FetchOwner: true }),
    );
    expect(listed.Contents?.[0]?.Owner?.ID).toBeTruthy();
  });

  test("encoding-type=url encodes keys and prefixes", async () => {
    const listed = await s3.send(
      new ListObjectsV2Command({ Bucket, Prefix: "b", Delimiter: "/", EncodingType: "url" }),
    );
    expect(listed.EncodingType).toBe("url");
    const decode = (text: unknown): string => decodeURIComponent(String(text).replace(/\+/g, " "));
    expect(keysOf(listed).map(decode)).toEqual(["b+c"]);
    expect(prefixesOf(listed).map(decode)).toEqual(["b c/"]);
  });

  test("an unknown encoding is refused", async () => {
    const path = `/${Bucket}?list-type=2&encoding-type=base64`;
    const answer = await sendSigned(server(), { method: "GET", path });
    expect([answer.status, answer.code]).toEqual([400, "InvalidArgument"]);
  });

  test("2,500 keys come in three pages, in order and without gaps", async () => {
    const large = await makeBucket(s3);
    const keys = Array.from({ length: 2500 }, (_, at) => `k/${String(at).padStart(5, "0")}`);
    await fill(s3, large, keys);
    const found: unknown[] = [];
    let pages = 0;
    for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: large })) {
      found.push(...keysOf(page));
      pages += 1;
    }
    expect(found).toEqual(keys);
    expect(pages).toBe(3);
  });
});

import {
  DeleteObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";
import { makeVersionedBucket, putVersion, setVersioning } from "../support/versions.ts";

/** Elements of a listing as they stand in the XML: "V key id" and "D key id", prefixes as "P". */
function rowsOf(xml: string): string[] {
  const rows = xml.matchAll(
    /<(Version|DeleteMarker)><Key>([^<]*)<\/Key><VersionId>([^<]*)<\/VersionId>|<CommonPrefixes><Prefix>([^<]*)</g,
  );
  return [...rows].map(([, kind, key, id, prefix]) =>
    prefix === undefined ? `${kind?.[0]} ${key} ${id}` : `P ${prefix}`,
  );
}

const textIn = (xml: string, element: string): string | undefined =>
  new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1];

/** Three versions of "a", a marker on "b" over one version, and one version of "c/1" and "c/2". */
async function fill(s3: S3Client, Bucket: string): Promise<string[]> {
  const put = (Key: string) => putVersion(s3, { Bucket, Key }, Key);
  const [a1, a2, a3] = [await put("a"), await put("a"), await put("a")];
  const b1 = await put("b");
  const { VersionId: marker } = await s3.send(new DeleteObjectCommand({ Bucket, Key: "b" }));
  const [c1, c2] = [await put("c/1"), await put("c/2")];
  return [
    ...[`V a ${a3}`, `V a ${a2}`, `V a ${a1}`],
    ...[`D b ${marker}`, `V b ${b1}`, `V c/1 ${c1}`, `V c/2 ${c2}`],
  ];
}

describe.each(ENGINES)("ListObjectVersions on %s", (engine) => {
  const server = useServer({ engine });
  const list = (Bucket: string, query: string) =>
    sendSigned(server(), { method: "GET", path: `/${Bucket}?versions${query}` });

  test("everything is there, by key and then from the newest on", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeVersionedBucket(s3);
    const rows = await fill(s3, Bucket);
    const { status, headers, body } = await list(Bucket, "");
    expect([status, headers["content-type"]]).toEqual([200, "application/xml"]);
    expect(body).toContain('<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">');
    expect(rowsOf(body)).toEqual(rows);
    expect(textIn(body, "Name")).toBe(Bucket);
    expect(textIn(body, "IsTruncated")).toBe("false");
    expect(textIn(body, "MaxKeys")).toBe("1000");
    expect(body).not.toContain("NextKeyMarker");

    const page = await s3.send(new ListObjectVersionsCommand({ Bucket }));
    const [first, second] = page.Versions ?? [];
    expect([first?.IsLatest, second?.IsLatest]).toEqual([true, false]);
    expect(first?.Size).toBe(1);
    expect(first?.ETag).toBe('"0cc175b9c0f1b6a831c399e269772661"');
    expect(first?.StorageClass).toBe("STANDARD");
    expect(first?.LastModified).toBeInstanceOf(Date);
    expect(first?.Owner?.ID).toMatch(/^[0-9a-f]{64}$/);
    const [marker] = page.DeleteMarkers ?? [];
    expect([marker?.Key, marker?.IsLatest]).toEqual(["b", true]);
    expect(marker?.LastModified).toBeInstanceOf(Date);
    expect(marker?.Owner?.ID).toBe(first?.Owner?.ID);
    const versionOfB = page.Versions?.find(({ Key }) => Key === "b");
    expect(versionOfB?.IsLatest).toBe(false);
    // The plain listing shows what is current.
    const plain = await s3.send(new ListObjectsV2Command({ Bucket }));
    expect(plain.Contents?.map(({ Key }) => Key)).toEqual(["a", "c/1", "c/2"]);
  });

  test("a bucket that was never versioned lists its objects as null versions", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "1" }));
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "2" }));
    const { body } = await list(Bucket, "");
    expect(rowsOf(body)).toEqual(["V k null"]);
    expect(textIn(body, "IsLatest")).toBe("true");
  });

  test.each([1, 2, 3, 5, 7])(
    "pages of %i, by the markers they give, are the whole",
    async (max) => {
      const s3 = sdkFor(server());
      const Bucket = await makeVersionedBucket(s3);
      const rows = await fill(s3, Bucket);
      const shown: string[] = [];
      let markers = "";
      for (let pages = 0; pages <= rows.length; pages++) {
        const { body } = await list(Bucket, `&max-keys=${max}${markers}`);
        const here = rowsOf(body);
        expect(here.length).toBeLessThanOrEqual(max);
        shown.push(...here);
        if (textIn(body, "IsTruncated") === "false") break;
        const [key, id] = [textIn(body, "NextKeyMarker"), textIn(body, "NextVersionIdMarker")];
        expect(here.at(-1)?.slice(2)).toBe(`${key} ${id}`);
        markers = `&key-marker=${encodeURIComponent(key ?? "")}&version-id-marker=${id}`;
      }
      expect(shown).toEqual(rows);
    },
  );

  test("the null version is a marker like any other, even after it has gone", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const target = { Bucket, Key: "k" };
    await putVersion(s3, target, "null");
    await setVersioning(s3, Bucket, "Enabled");
    const id = await putVersion(s3, target, "newer");
    await setVersioning(s3, Bucket, "Suspended");
    await putVersion(s3, target, "null again");
    const first = await list(Bucket, "&max-keys=1");
    expect(rowsOf(first.body)).toEqual(["V k null"]);
    expect(textIn(first.body, "NextVersionIdMarker")).toBe("null");
    const markers = "&key-marker=k&version-id-marker=null";
    expect(rowsOf((await list(Bucket, markers)).body)).toEqual([`V k ${id}`]);
    await s3.send(new DeleteObjectCommand({ ...target, VersionId: "null" }));
    // Nothing may be passed over that nobody has seen.
    expect(rowsOf((await list(Bucket, markers)).body)).toEqual([`V k ${id}`]);
  });

  test("the delimiter folds versions and markers, and a folded prefix is passed whole", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeVersionedBucket(s3);
    const rows = await fill(s3, Bucket);
    const folded = [...rows.slice(0, 5), "P c/"];
    expect(rowsOf((await list(Bucket, "&delimiter=%2F")).body)).toEqual(folded);
    const short = await list(Bucket, "&delimiter=%2F&max-keys=5");
    expect(rowsOf(short.body)).toEqual(rows.slice(0, 5));
    expect(textIn(short.body, "IsTruncated")).toBe("true");
    const all = await list(Bucket, "&delimiter=%2F&max-keys=6");
    expect(textIn(all.body, "IsTruncated")).toBe("false");
    // A common prefix has no version: its key alone is the marker.
    await putVersion(s3, { Bucket, Key: "d" }, "d");
    const before = await list(Bucket, "&delimiter=%2F&max-keys=6");
    expect(textIn(before.body, "NextKeyMarker")).toBe("c/");
    expect(before.body).not.toContain("<NextVersionIdMarker>");
    const after = await list(Bucket, "&delimiter=%2F&key-marker=c%2F");
    expect(rowsOf(after.body).map((row) => row.slice(0, 3))).toEqual(["V d"]);
    const inside = await list(Bucket, "&prefix=c%2F&delimiter=%2F");
    expect(rowsOf(inside.body)).toEqual(rows.slice(5));
    expect(textIn(inside.body, "Prefix")).toBe("c/");
    expect(textIn(inside.body, "Delimiter")).toBe("/");
  });

  test("markers need not exist, and may lie past the end", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeVersionedBucket(s3);
    const rows = await fill(s3, Bucket);
    const from = async (query: string) => rowsOf((await list(Bucket, query)).body);
    expect(await from("&key-marker=a")).toEqual(rows.slice(3));
    expect(await from("&key-marker=aa")).toEqual(rows.slice(3));
    expect(await from("&key-marker=")).toEqual(rows);
    expect(await from("&key-marker=zz")).toEqual([]);
    expect(await from("&prefix=c%2F&key-marker=a")).toEqual(rows.slice(5));
    expect(await from("&prefix=a&key-marker=b")).toEqual([]);
    // Ids sort by time, so that one older than all is behind them all, and one of the future first.
    expect(await from(`&key-marker=a&version-id-marker=${"0".repeat(32)}`)).toEqual(rows.slice(3));
    expect(await from(`&key-marker=a&version-id-marker=${"f".repeat(32)}`)).toEqual(rows);
    const future = await list(Bucket, `&key-marker=b&version-id-marker=${"f".repeat(32)}`);
    expect(rowsOf(future.body)).toEqual(rows.slice(3));
    expect(textIn(future.body, "IsLatest")).toBe("true");
    const echoed = await list(Bucket, `&key-marker=a&version-id-marker=${"f".repeat(32)}`);
    expect(textIn(echoed.body, "KeyMarker")).toBe("a");
    expect(textIn(echoed.body, "VersionIdMarker")).toBe("f".repeat(32));
  });

  test.each([
    ["&max-keys=0", "0"],
    ["&max-keys=5000", "1000"],
    ["&max-keys=", "1000"],
  ])("%s is taken as %s", async (query, shown) => {
    const s3 = sdkFor(server());
    const Bucket = await makeVersionedBucket(s3);
    await putVersion(s3, { Bucket, Key: "k" }, "1");
    const { status, body } = await list(Bucket, query);
    expect([status, textIn(body, "MaxKeys")]).toEqual([200, shown]);
    expect(textIn(body, "IsTruncated")).toBe("false");
    expect(rowsOf(body)).toHaveLength(shown === "0" ? 0 : 1);
  });

  const WITHOUT_KEY = "A version-id marker cannot be specified without a key marker.";
  test.each([
    ["&version-id-marker=bad", "version-id-marker", WITHOUT_KEY],
    ["&version-id-marker=null", "version-id-marker", WITHOUT_KEY],
    ["&version-id-marker=", "version-id-marker", WITHOUT_KEY],
    ["&key-marker=&version-id-marker=null", "version-id-marker", WITHOUT_KEY],
    [
      "&key-marker=k&version-id-marker=",
      "version-id-marker",
      "A version-id marker cannot be empty.",
    ],
    ["&key-marker=k&version-id-marker=bad", "version-id-marker", "Invalid version id specified"],
    ["&key-marker=k%00", "key-marker", "A key marker cannot include Null."],
    ["&encoding-type=base64", "encoding-type", "Invalid Encoding Method specified in Request"],
    [
      "&max-keys=-1&version-id-marker=bad&encoding-type=x",
      "max-keys",
      "Provided max-keys not an integer or within integer range",
    ],
    [
      "&key-marker=k&version-id-marker=bad&encoding-type=x",
      "version-id-marker",
      "Invalid version id specified",
    ],
  ])("%s is refused for its %s", async (query, argument, message) => {
    const Bucket = await makeVersionedBucket(sdkFor(server()));
    const { status, code, body } = await list(Bucket, query);
    expect([status, code]).toEqual([400, "InvalidArgument"]);
    expect(textIn(body, "ArgumentName")).toBe(argument);
    expect(textIn(body, "Message")).toBe(message);
  });

  test("with encoding-type=url names survive that XML cannot hold", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeVersionedBucket(s3);
    const keys = ["a b+c", "ctl\u0001", "ä/é", "𝄞&<>"];
    for (const Key of keys) await putVersion(s3, { Bucket, Key }, Key);
    const { body } = await list(Bucket, "&encoding-type=url&max-keys=1&delimiter=%2B&prefix=a%20");
    expect(textIn(body, "EncodingType")).toBe("url");
    expect(textIn(body, "Prefix")).toBe("a%20");
    expect(textIn(body, "Delimiter")).toBe("%2B");
    expect(rowsOf(body)).toEqual(["P a%20b%2B"]);
    const whole = await list(Bucket, "&encoding-type=url");
    expect(rowsOf(whole.body).map((row) => decodeURIComponent(row.split(" ")[1] ?? ""))).toEqual([
      ...["a b+c", "ctl\u0001", "ä/é", "𝄞&<>"],
    ]);
    const next = await list(Bucket, "&encoding-type=url&max-keys=1");
    expect(textIn(next.body, "NextKeyMarker")).toBe("a%20b%2Bc");
  });

  test("the SDK pages through more than a thousand versions of one key", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeVersionedBucket(s3);
    const put = () => s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }));
    for (let made = 0; made < 1050; made += 50) await Promise.all(Array.from({ length: 50 }, put));
    const seen = new Set<string>();
    const first = await s3.send(new ListObjectVersionsCommand({ Bucket }));
    const { NextKeyMarker: KeyMarker, NextVersionIdMarker: VersionIdMarker } = first;
    const second = await s3.send(
      new ListObjectVersionsCommand({ Bucket, KeyMarker, VersionIdMarker }),
    );
    for (const page of [first, second]) {
      for (const { VersionId = "" } of page.Versions ?? []) seen.add(VersionId);
    }
    expect([first.IsTruncated, second.IsTruncated, seen.size]).toEqual([true, false, 1050]);
    expect([...seen]).toEqual([...seen].sort().reverse());
  });

  test("there are none of a bucket that is not there", async () => {
    const s3 = sdkFor(server());
    const request = new ListObjectVersionsCommand({ Bucket: "not-there" });
    expect(await refusalOf(s3.send(request))).toBe("404 NoSuchBucket");
  });
});

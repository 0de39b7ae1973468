import { createHash, randomBytes } from "node:crypto";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type RawAnswer, sendSigned } from "../support/raw-http.ts";
import {
  joinTo,
  type RunningSite,
  startCluster,
  startSite,
  until,
  untilInSync,
} from "../support/sites.ts";

/** A moment to start servers, to wait for them, and to look until they agree. */
const TIMEOUT_MS = 240_000;
const Bucket = "media";
const LARGE = randomBytes(6_000_000);
const OTHER = randomBytes(5_000_000);

let sites: RunningSite[] = [];
let berlin: RunningSite;
let paris: RunningSite;

beforeEach(async () => {
  sites = await startCluster([{ name: "berlin" }, { name: "paris", engine: "node" }]);
  const [first, second] = sites;
  if (first === undefined || second === undefined) throw new Error("two sites");
  [berlin, paris] = [first, second];
  await berlin.s3().send(new CreateBucketCommand({ Bucket }));
  const set = await berlin.told("repl-mode", "set", Bucket, "metadata-first");
  expect(set).toMatchObject({ bucket: Bucket, mode: "metadata-first" });
  await untilInSync(sites);
}, TIMEOUT_MS);

afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
});

async function put(site: RunningSite, Key: string, Body: Buffer): Promise<void> {
  await site.s3().send(new PutObjectCommand({ Bucket, Key, Body }));
}

function head(site: RunningSite, key: string): Promise<RawAnswer> {
  // No body follows what the length promises: who reads raw bytes waits for the end.
  const headers = { Connection: "close" };
  return sendSigned(site.server(), { method: "HEAD", path: `/${Bucket}/${key}`, headers });
}

function get(site: RunningSite, key: string): Promise<RawAnswer> {
  return sendSigned(site.server(), { method: "GET", path: `/${Bucket}/${key}` });
}

async function bytesOf(s3: S3Client, Key: string, Range?: string): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, Range }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

/** What the site says of bytes that it shows and lacks. */
async function remoteAt(site: RunningSite): Promise<unknown[]> {
  const { remote_bodies: bodies, remote_bytes: bytes } = await site.told("repl-status");
  return [bodies, bytes];
}

/** What a comparison with the other site says at its end. */
async function verify(site: RunningSite, how: string): Promise<unknown> {
  const { status, stdout } = await site.atoll("repl-verify", "--peer", "berlin", how, "--json");
  expect(status).toBe(0);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

test(
  "a large object is shown elsewhere before its bytes, fetched when it is read, and refused while nobody has it",
  async () => {
    await put(berlin, "film", LARGE);
    await put(berlin, "other", OTHER);
    await put(berlin, "note", Buffer.from("small bodies come along"));
    await untilInSync(sites);

    const { Contents } = await paris.s3().send(new ListObjectsV2Command({ Bucket }));
    expect(Contents?.map(({ Key, Size }) => [Key, Size])).toEqual([
      ["film", LARGE.length],
      ["note", 23],
      ["other", OTHER.length],
    ]);
    expect(await remoteAt(paris)).toEqual([2, LARGE.length + OTHER.length]);
    expect(await remoteAt(berlin)).toEqual([0, 0]);
    const shown = await head(paris, "film");
    expect(shown.status).toBe(200);
    expect(shown.headers["x-atoll-bytes"]).toBe("remote");
    expect(shown.headers["content-length"]).toBe(String(LARGE.length));
    expect(shown.headers["etag"]).toBe(`"${createHash("md5").update(LARGE).digest("hex")}"`);
    expect((await head(berlin, "film")).headers["x-atoll-bytes"]).toBeUndefined();
    expect((await head(paris, "note")).headers["x-atoll-bytes"]).toBeUndefined();
    expect((await get(paris, "note")).body).toBe("small bodies come along");

    berlin.wire.set("refuses");
    const refused = await get(paris, "film");
    expect([refused.status, refused.code]).toEqual([503, "ServiceUnavailable"]);
    expect(refused.body).toContain("stand at another site");
    expect(refused.headers["retry-after"]).toBe("5");
    expect((await head(paris, "film")).headers["x-atoll-bytes"]).toBe("remote");
    const copy = { Bucket, Key: "copy", CopySource: `${Bucket}/film` };
    await expect(paris.s3().send(new CopyObjectCommand(copy))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 503 },
    });
    berlin.wire.set("whole");

    const part = await until("a part is fetched", async () => {
      return await bytesOf(paris.s3(), "film", "bytes=5000000-5000099").catch(() => undefined);
    });
    expect(part.equals(LARGE.subarray(5_000_000, 5_000_100))).toBe(true);
    expect((await head(paris, "film")).headers["x-atoll-bytes"]).toBeUndefined();
    expect(await remoteAt(paris)).toEqual([1, OTHER.length]);
    await paris.s3().send(new CopyObjectCommand(copy));

    berlin.wire.set("refuses");
    await paris.kill();
    await paris.start();
    expect((await bytesOf(paris.s3(), "film")).equals(LARGE)).toBe(true);
    expect((await bytesOf(paris.s3(), "copy")).equals(LARGE)).toBe(true);
    expect((await head(paris, "other")).headers["x-atoll-bytes"]).toBe("remote");
    expect((await get(paris, "other")).status).toBe(503);
    expect(await remoteAt(paris)).toEqual([1, OTHER.length]);
    berlin.wire.set("whole");
    await untilInSync(sites);
    expect((await bytesOf(berlin.s3(), "copy")).equals(LARGE)).toBe(true);
  },
  TIMEOUT_MS,
);

test(
  "all bytes come by themselves once a bucket is bytes-first again, and a comparison says what lacks till then",
  async () => {
    for (const key of ["a", "b", "c"]) await put(berlin, key, randomBytes(3_000_000));
    await put(berlin, "gone", OTHER);
    await untilInSync(sites);
    expect(await remoteAt(paris)).toEqual([4, 9_000_000 + OTHER.length]);
    await berlin.s3().send(new DeleteObjectCommand({ Bucket, Key: "gone" }));
    await untilInSync(sites);
    expect(await remoteAt(paris)).toEqual([3, 9_000_000]);

    const plain = await paris.atoll("repl-verify", "--peer", "berlin", "--json");
    expect([plain.status, plain.stderr]).toEqual([0, ""]);
    expect(await verify(paris, "--deep")).toMatchObject({ differences: 0, left: 0, remote: 3 });
    expect(await remoteAt(paris)).toEqual([3, 9_000_000]);

    await paris.told("repl-mode", "set", Bucket, "bytes-first");
    await until("all bytes have come", async () => {
      const [bodies] = await remoteAt(paris);
      return bodies === 0 ? true : undefined;
    });
    await untilInSync(sites);
    berlin.wire.set("refuses");
    for (const key of ["a", "b", "c"]) {
      const answer = await head(paris, key);
      expect(answer.headers["x-atoll-bytes"]).toBeUndefined();
      expect((await bytesOf(paris.s3(), key)).length).toBe(3_000_000);
    }
    berlin.wire.set("whole");
    await put(berlin, "later", OTHER);
    await untilInSync(sites);
    expect(await remoteAt(paris)).toEqual([0, 0]);
  },
  TIMEOUT_MS,
);

test(
  "a comparison that repairs fetches what lacks, and a site that joins is shown rows first too",
  async () => {
    await put(berlin, "film", LARGE);
    await untilInSync(sites);
    expect(await remoteAt(paris)).toEqual([1, LARGE.length]);
    expect(await verify(paris, "--repair")).toMatchObject({ left: 0, remote: 0 });
    expect(await remoteAt(paris)).toEqual([0, 0]);

    const oslo = await startSite({ name: "oslo" });
    sites.push(oslo);
    await joinTo(berlin, oslo);
    await untilInSync(sites);
    expect(await remoteAt(oslo)).toEqual([1, LARGE.length]);
    berlin.wire.set("refuses");
    expect((await bytesOf(paris.s3(), "film")).equals(LARGE)).toBe(true);
    // Who has read it gives it on.
    expect((await bytesOf(oslo.s3(), "film")).equals(LARGE)).toBe(true);
    expect(await remoteAt(oslo)).toEqual([0, 0]);
  },
  TIMEOUT_MS,
);

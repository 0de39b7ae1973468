import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { must, statusOf } from "../../../test/support/home-pair.ts";
import { openS3Site, type S3Site } from "../../../test/support/s3-site.ts";
import { StorageFault } from "../../core/faults.ts";
import { METADATA_FIRST, REPLICATE_SETTING } from "../../core/metadata-first.ts";
import { type OriginId, parseBucketName, type Seq } from "../../core/names.ts";
import type { ManifestRef } from "../../core/records.ts";
import type { IncomingManifest } from "../../storage/replica.ts";

const MEDIA = must(parseBucketName("media"));
const MIB = 1024 * 1024;
const PATH = "/media/film";

let writer: S3Site;
let reader: S3Site;
/** What happens at the reader while bytes are on their way to it, once. */
let meanwhile: () => Promise<unknown>;
let isLost: boolean;
let seed = 0;

beforeAll(async () => {
  writer = await openS3Site();
  reader = await openS3Site();
  await writer.ask({ method: "PUT", path: "/media" });
  const name = REPLICATE_SETTING;
  await writer.store.putBucketSetting({ bucket: MEDIA, name, value: METADATA_FIRST });
  await handOver();
  reader.store.remote.bringFrom(async (manifest) => {
    const staged = await stage(manifest);
    const change = meanwhile;
    meanwhile = async () => undefined;
    await change();
    if (isLost) {
      staged.staged?.discard();
      throw new StorageFault("unreachable", "the writer has them no more");
    }
    await reader.store.remote.take([staged]);
  });
});
afterAll(async () => {
  await writer.close();
  await reader.close();
});
beforeEach(() => {
  isLost = false;
  meanwhile = async () => undefined;
});

/** Brings what the writer has beyond the reader, without bytes of large bodies. */
async function handOver(): Promise<void> {
  const heads = reader.store.replica.received();
  const known = new Map<OriginId, Seq>([...heads].map(([origin, { seq }]) => [origin, seq]));
  const page = await writer.store.replica.readLog(known, 64 * MIB);
  if (page.outcome !== "page") throw new Error("the log is all there");
  const incoming = page.entries.map((entry) => {
    const state = entry.inline === undefined ? ({ kind: "remote" } as const) : WHOLE;
    return { ...entry, state };
  });
  for (const { outcome } of await reader.store.replica.ingest(incoming, [])) {
    expect(outcome).toBe("applied");
  }
}

const WHOLE = { kind: "whole", manifests: [] } as const;

async function stage({ hash }: ManifestRef): Promise<IncomingManifest> {
  const chunks = must(writer.store.replica.manifest(hash));
  const body = await reader.store.replica.stageBody();
  for (const chunk of chunks) {
    await body.write(must(await writer.store.replica.readChunk(chunk.hash, 0, chunk.bytes)));
  }
  return { hash, chunks, staged: await body.finish() };
}

/** A large object in two parts, of which the reader has the row alone. */
async function writeLarge(path = PATH): Promise<Buffer> {
  const parts = [0, 1].map(() => Buffer.alloc(5 * MIB, `part ${seed++}`));
  const begun = await writer.ask({ method: "POST", path: `${path}?uploads` });
  const id = must(/<UploadId>([^<]*)</.exec(String(begun.body))?.[1]);
  let list = "";
  for (const [at, body] of parts.entries()) {
    const put = { method: "PUT", path: `${path}?partNumber=${at + 1}&uploadId=${id}`, body };
    const { headers } = await writer.ask(put);
    list += `<Part><PartNumber>${at + 1}</PartNumber><ETag>${headers["etag"]}</ETag></Part>`;
  }
  const body = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`;
  await writer.ask({ method: "POST", path: `${path}?uploadId=${id}`, body });
  await handOver();
  return Buffer.concat(parts);
}

const drop = (path = PATH) => reader.ask({ method: "DELETE", path });
const GET = { method: "GET", path: PATH };
const SECOND = { ...GET, headers: { Range: `bytes=${6 * MIB}-${6 * MIB + 9}` } };

describe("a read of bytes that stand elsewhere", () => {
  test("is answered when nothing happens meanwhile, and 503 when they cannot be had", async () => {
    const body = await writeLarge();
    isLost = true;
    expect(await statusOf(reader, GET)).toBe("503 ServiceUnavailable");
    expect(await statusOf(reader, { ...GET, method: "HEAD" })).toBe("200");
    isLost = false;
    const second = await reader.ask(SECOND);
    expect([second.status, second.body.equals(body.subarray(6 * MIB, 6 * MIB + 10))]).toEqual([
      206,
      true,
    ]);
    expect((await reader.ask(GET)).body.equals(body)).toBe(true);
  });

  test.each([
    ["whole", GET],
    ["of a range in a later part", SECOND],
  ])("%s finds nothing when the object is deleted meanwhile", async (_name, request) => {
    for (const lost of [false, true]) {
      await writeLarge();
      isLost = lost;
      meanwhile = drop;
      expect(await statusOf(reader, request)).toBe("404 NoSuchKey");
      expect(await statusOf(reader, { ...GET, method: "HEAD" })).toBe("404");
    }
  });

  test("finds what has taken its place meanwhile", async () => {
    await writeLarge();
    meanwhile = () => reader.ask({ method: "PUT", path: PATH, body: "newer" });
    const now = await reader.ask(GET);
    expect([now.status, String(now.body)]).toEqual([200, "newer"]);
    const next = await writeLarge("/media/other");
    let body = next;
    meanwhile = async () => {
      await drop("/media/other");
      body = await writeLarge("/media/other");
    };
    const last = await reader.ask({ ...GET, path: "/media/other" });
    expect([last.status, last.body.equals(body), body.equals(next)]).toEqual([200, true, false]);
  });
});

describe("a copy of bytes that stand elsewhere", () => {
  const source = { "x-amz-copy-source": "/media/source" };
  const dropSource = () => drop("/media/source");

  test.each([
    ["as it is", source],
    ["with a checksum", { ...source, "x-amz-checksum-algorithm": "SHA256" }],
    ["encrypted", { ...source, "x-amz-server-side-encryption": "AES256" }],
  ])("%s finds nothing when its source is deleted meanwhile", async (_name, headers) => {
    await writeLarge("/media/source");
    meanwhile = dropSource;
    expect(await statusOf(reader, { method: "PUT", path: "/media/copy", headers })).toBe(
      "404 NoSuchKey",
    );
  });

  test("into a part finds nothing either", async () => {
    const begun = await reader.ask({ method: "POST", path: "/media/parts?uploads" });
    const id = must(/<UploadId>([^<]*)</.exec(String(begun.body))?.[1]);
    await writeLarge("/media/source");
    meanwhile = dropSource;
    const path = `/media/parts?partNumber=1&uploadId=${id}`;
    expect(await statusOf(reader, { method: "PUT", path, headers: source })).toBe("404 NoSuchKey");
    await expect.poll(() => reader.store.stats().segments.pinnedBytes).toBe(0);
  });
});

test("a version that is read to its end as its delete comes is gone for the next", async () => {
  const on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
  await writer.ask({ method: "PUT", path: "/media?versioning", body: on });
  await handOver();
  const old = await writeLarge("/media/kept");
  const { headers } = await reader.ask({ method: "HEAD", path: "/media/kept" });
  const path = `/media/kept?versionId=${headers["x-amz-version-id"]}`;
  meanwhile = () => drop(path);
  // What a delete takes away is kept behind it, until no site can have locked it.
  const first = await reader.ask({ ...GET, path });
  expect([first.status, first.body.equals(old)]).toEqual([200, true]);
  expect(await statusOf(reader, { ...GET, path })).toBe("404 NoSuchVersion");
  // A marker in front of it takes nothing away from who reads it.
  const body = await writeLarge("/media/kept");
  meanwhile = () => drop("/media/kept");
  const got = await reader.ask({ ...GET, path: "/media/kept" });
  expect([got.status, got.body.equals(body)]).toEqual([200, true]);
  expect(await statusOf(reader, { ...GET, path: "/media/kept" })).toBe("404 NoSuchKey");
});

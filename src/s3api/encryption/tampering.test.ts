import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openS3Site, type S3Site } from "../../../test/support/s3-site.ts";
import { parseBucketName, parseObjectKey } from "../../core/names.ts";
import type { ObjectRecord } from "../../core/records.ts";
import type { PutObjectRequest, StoredObject } from "../../storage/store.ts";
import { readWholeBody } from "../handlers/stored-body.ts";

const SSE = { "x-amz-server-side-encryption": "AES256" };
const TEXT = "nothing of this text may be seen by whoever has changed what belongs to it. ";

let site: S3Site;

beforeAll(async () => {
  site = await openS3Site();
  for (const path of ["/photos", "/films"]) {
    expect((await site.ask({ method: "PUT", path })).status).toBe(200);
  }
});
afterAll(() => site.close());

function nameOf(path: string) {
  const [bucketText = "", keyText = ""] = path.slice(1).split("/");
  const bucket = parseBucketName(bucketText);
  const key = parseObjectKey(keyText);
  if (bucket === undefined || key === undefined) throw new Error(`${path} is no object`);
  return { bucket, key };
}

async function put(path: string, body: Buffer): Promise<StoredObject> {
  expect((await site.ask({ method: "PUT", path, headers: SSE, body })).status).toBe(200);
  const { bucket, key } = nameOf(path);
  const stored = site.store.object(bucket, key);
  if (stored === undefined) throw new Error(`${path} was not stored`);
  return stored;
}

/** Stores the bytes of an object under another record, as one who can write the disk could. */
async function forge(
  path: string,
  bytesOf: StoredObject,
  change: Partial<ObjectRecord>,
  changeBytes: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes,
): Promise<void> {
  const { lastModifiedMs: _when, body: _where, ...object } = { ...bytesOf.record, ...change };
  const body: PutObjectRequest["body"] =
    bytesOf.record.body.kind === "inline"
      ? { kind: "inline", bytes: changeBytes(await readWholeBody(site.store, bytesOf)) }
      : { kind: "shared", source: bytesOf };
  const outcome = await site.store.putObject({ ...nameOf(path), object, body });
  expect(outcome.outcome).toBe("stored");
}

/** What a GET gives; undefined when the connection would have been cut. */
async function get(path: string, headers: Record<string, string> = {}) {
  return site.ask({ method: "GET", path, headers }).catch(() => undefined);
}

async function expectNothing(path: string): Promise<void> {
  for (const range of [undefined, "bytes=0-9", "bytes=-5"]) {
    const answer = await get(path, range === undefined ? {} : { range });
    expect(answer?.status ?? 500).toBe(500);
    expect(String(answer?.body ?? "")).not.toContain("nothing of");
    expect(String(answer?.body ?? "")).not.toContain("belongs");
  }
}

function flipped(bytes: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

describe.each([
  ["small", Buffer.from(TEXT.repeat(20))],
  ["large", Buffer.from(TEXT.repeat(20_000))],
])("a %s encrypted object", (name, body) => {
  test("is readable when nothing of it was changed", async () => {
    const stored = await put(`/photos/${name}`, body);
    await forge(`/photos/${name}-copy`, stored, {});
    expect((await get(`/photos/${name}-copy`))?.body.equals(body)).toBe(true);
  });

  test("gives nothing with a bit of its envelope changed", async () => {
    const stored = await put(`/photos/${name}`, body);
    const { encryption } = stored.record;
    if (encryption === undefined) throw new Error("it has an envelope");
    for (const at of [0, 1, 2, 3, 4, 17, encryption.length - 20, encryption.length - 1]) {
      await forge(`/photos/${name}-forged`, stored, { encryption: flipped(encryption, at) });
      await expectNothing(`/photos/${name}-forged`);
    }
  });

  test("gives nothing with the envelope of another object, even of the same size", async () => {
    const stored = await put(`/photos/${name}`, body);
    const other = await put(`/photos/${name}-other`, body);
    const { encryption } = other.record;
    await forge(`/photos/${name}-forged`, stored, { encryption });
    await expectNothing(`/photos/${name}-forged`);
  });

  test("gives nothing in another bucket, where its envelope does not belong", async () => {
    const stored = await put(`/photos/${name}`, body);
    await forge(`/films/${name}`, stored, {});
    await expectNothing(`/films/${name}`);
  });

  test.each([-1, 1, -65_508])("gives nothing when its size is changed by %i", async (by) => {
    const stored = await put(`/photos/${name}`, body);
    const size = Math.max(0, stored.record.size + by);
    await forge(`/photos/${name}-forged`, stored, { size });
    const answer = await get(`/photos/${name}-forged`);
    expect(answer?.status ?? 500).toBe(500);
  });
});

test("a bit of a small ciphertext that was changed leaves nothing of it", async () => {
  const body = Buffer.from(TEXT);
  const stored = await put("/photos/bits", body);
  const { body: where } = stored.record;
  const bytes = where.kind === "inline" ? where.bytes : 0;
  expect(bytes).toBe(body.length + 28);
  for (let at = 0; at < bytes; at += 3) {
    await forge("/photos/bits-forged", stored, {}, (whole) => flipped(whole, at));
    await expectNothing("/photos/bits-forged");
  }
});

import { describe, expect, test } from "vitest";
import type { BucketQuota } from "../../src/core/bucket-quota.ts";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import { type AccessKeyId, parseAccessKeyId } from "../../src/core/names.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { createSynced } from "../../src/storage/json-file.ts";
import type { PutObjectRequest } from "../../src/storage/store.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { simulatedSite } from "../support/site-fixture.ts";
import { SITES, useSite } from "../support/site-suite.ts";

const alpha = bucketOf("alpha");

function keyIdOf(text: string): AccessKeyId {
  return required(parseAccessKeyId(text), "access key");
}

function objectOf(size: number): PutObjectRequest["object"] {
  return {
    size,
    etag: "0".repeat(32),
    attributes: { system: [], user: [], storageClass: undefined, tags: [] },
    checksums: [],
    parts: [],
    lock: undefined,
    encryption: undefined,
  };
}

describe.each(SITES)("quotas in %s", (_name, make) => {
  const { store, restart } = useSite(make);

  async function bound(quota: BucketQuota | undefined): Promise<void> {
    await store().quotas.putBucket(alpha, quota);
    expect(store().quotas.ofBucket(alpha)).toEqual(quota);
  }

  /** A quota as programs before kept it, and as older sites still send it. */
  async function boundInLog(value: Uint8Array | undefined): Promise<void> {
    const done = await store().putBucketSetting({ bucket: alpha, name: "quota", value });
    expect(done.outcome).toBe("stored");
  }

  async function put(key: string, size: number): Promise<string> {
    const body = { kind: "inline", bytes: Buffer.alloc(size, key) } as const;
    const place = { bucket: alpha, key: keyOf(key) };
    return (await store().putObject({ ...place, object: objectOf(size), body })).outcome;
  }

  async function makeBucket(name: string, creator: string): Promise<void> {
    const settings = new Map([["creator", Buffer.from(creator)]]);
    const request = { name: bucketOf(name), owner: "o", settings };
    expect((await store().createBucket(request)).outcome).toBe("created");
  }

  async function putIn(bucket: string, key: string, size: number): Promise<string> {
    const body = { kind: "inline", bytes: Buffer.alloc(size, key) } as const;
    const place = { bucket: bucketOf(bucket), key: keyOf(key) };
    return (await store().putObject({ ...place, object: objectOf(size), body })).outcome;
  }

  async function append(key: string, offset: number, size: number): Promise<string> {
    const body = { kind: "inline", bytes: Buffer.alloc(size, key) } as const;
    const describe = () => objectOf(offset + size);
    const place = { bucket: alpha, key: keyOf(key) };
    return (await store().appendObject({ ...place, offset, body, describe })).outcome;
  }

  test("hold for a rename that leaves a version behind while versions are suspended", async () => {
    for (const state of ["enabled", "suspended"] as const) {
      const value = versioningSetting(state);
      await store().putBucketSetting({ bucket: alpha, name: "versioning", value });
      if (state === "enabled") expect(await put("old", 600)).toBe("stored");
    }
    const rename = async (from: string, to: string): Promise<string> => {
      const names = { bucket: alpha, source: keyOf(from), key: keyOf(to) };
      return (await store().renameObject({ ...names, token: undefined })).outcome;
    };
    await bound({ bytesMax: 1000, objectsMax: undefined });
    expect(await rename("old", "new")).toBe("over-quota");
    await bound({ bytesMax: 1200, objectsMax: undefined });
    expect(await rename("old", "new")).toBe("renamed");
    // What moves from null version to null version makes nothing grow.
    expect(await rename("new", "newer")).toBe("renamed");
    expect(store().bucketUsage(alpha)).toMatchObject({ bytes: 1200, versions: 2 });
  });

  test("bound the bytes of a bucket to the byte, whatever comes at once", async () => {
    await bound({ bytesMax: 1000, objectsMax: undefined });
    const keys = Array.from({ length: 30 }, (_, at) => `k${at}`);
    const outcomes = await Promise.all(keys.map((key) => put(key, 100)));
    expect(outcomes.filter((outcome) => outcome === "stored")).toHaveLength(10);
    expect(outcomes.filter((outcome) => outcome === "over-quota")).toHaveLength(20);
    expect(store().bucketUsage(alpha)).toMatchObject({ bytes: 1000, objects: 10 });
    expect(await put("one-more", 1)).toBe("over-quota");
    expect(await put("empty", 0)).toBe("stored");
  });

  test("count what an overwrite gives back, and appends by what they add", async () => {
    await bound({ bytesMax: 1000, objectsMax: undefined });
    expect(await put("a", 900)).toBe("stored");
    expect(await put("a", 1000)).toBe("stored");
    expect(await put("a", 1001)).toBe("over-quota");
    expect(await append("a", 1000, 1)).toBe("over-quota");
    expect(await put("a", 10)).toBe("stored");
    expect(await append("a", 10, 990)).toBe("stored");
    const name = { bucket: alpha, key: keyOf("a") };
    expect(store().overQuota(name, 1000)).toBeUndefined();
    expect(store().overQuota(name, 1001)).toMatchObject({ what: "bytes", most: 1000 });
    expect(store().overQuota({ ...name, key: keyOf("b") }, 1)).toMatchObject({ what: "bytes" });
  });

  test("let a bucket shrink that holds more than was bounded later", async () => {
    await put("a", 500);
    await put("b", 500);
    await bound({ bytesMax: 100, objectsMax: 1 });
    expect(await put("a", 400)).toBe("stored");
    expect(await put("a", 401)).toBe("over-quota");
    expect(await put("c", 0)).toBe("over-quota");
    await bound(undefined);
    expect(await put("c", 500)).toBe("stored");
  });

  test("count versions, and renames that keep one", async () => {
    const value = versioningSetting("enabled");
    await store().putBucketSetting({ bucket: alpha, name: "versioning", value });
    await bound({ bytesMax: 100, objectsMax: 2 });
    expect(await put("a", 60)).toBe("stored");
    expect(await put("a", 60)).toBe("over-quota");
    const rename = { bucket: alpha, source: keyOf("a"), key: keyOf("b"), token: undefined };
    expect(await store().renameObject(rename)).toMatchObject({ outcome: "over-quota" });
    expect(await put("a", 40)).toBe("stored");
    expect(await put("a", 0)).toBe("over-quota");
    await store().deleteObject({ bucket: alpha, key: keyOf("a") });
    expect(await put("a", 0)).toBe("over-quota");
  });

  test("are there again after a start", async () => {
    await bound({ bytesMax: 10, objectsMax: undefined });
    await restart();
    expect(await put("a", 11)).toBe("over-quota");
  });

  test("in the log that cannot be read let nothing be written", async () => {
    await boundInLog(Buffer.from([0xff]));
    await expect(put("a", 1)).rejects.toThrow();
    expect(() => store().quotas.ofBucket(alpha)).toThrow();
    expect(store().object(alpha, keyOf("a"))).toBeUndefined();
    await bound(undefined);
    expect(await put("a", 1)).toBe("stored");
  });

  test("in the log hold until this site has its own, and may be lifted here alone", async () => {
    const before: BucketQuota = { bytesMax: 10, objectsMax: undefined };
    await boundInLog(Buffer.from("01010a", "hex"));
    expect(store().quotas.ofBucket(alpha)).toEqual(before);
    expect(await put("a", 11)).toBe("over-quota");
    await bound({ bytesMax: 20, objectsMax: undefined });
    expect([await put("a", 20), await put("a", 21)]).toEqual(["stored", "over-quota"]);
    await bound(undefined);
    await restart();
    expect(await put("a", 1000)).toBe("stored");
    expect(store().quotas.ofBucket(alpha)).toBeUndefined();
    expect(store().bucket(alpha)?.settings.has("quota")).toBe(true);
  });

  test("are no operations: nothing of them travels, and they outlive their bucket", async () => {
    const { replica } = store();
    const received = [...replica.received()];
    await bound({ bytesMax: 10, objectsMax: undefined });
    expect([...replica.received()]).toEqual(received);
    expect(store().bucket(alpha)?.settings.has("quota")).toBe(false);
    await store().deleteBucket(alpha);
    await makeBucket("alpha", "MAKER");
    expect(await put("a", 11)).toBe("over-quota");
  });

  test("of a key bound all its buckets together to the byte, and no other key's", async () => {
    const maker = keyIdOf("MAKER");
    for (const name of ["one", "two"]) await makeBucket(name, "MAKER");
    await makeBucket("other", "OTHER");
    await store().quotas.putKey(maker, { bytesMax: 1000, objectsMax: undefined });
    const outcomes = await Promise.all(
      Array.from({ length: 30 }, (_, at) => putIn(at % 2 === 0 ? "one" : "two", `k${at}`, 100)),
    );
    expect(outcomes.filter((outcome) => outcome === "stored")).toHaveLength(10);
    expect(outcomes.filter((outcome) => outcome === "over-quota")).toHaveLength(20);
    expect(store().keyUsage(maker)).toEqual({ buckets: 2, bytes: 1000, objects: 10 });
    expect(store().overQuota({ bucket: bucketOf("two"), key: keyOf("x") }, 1)).toEqual({
      ...{ outcome: "over-quota", whose: "creator", what: "bytes", most: 1000 },
    });
    expect(await putIn("other", "a", 5000)).toBe("stored");
    expect(await put("of-root", 5000)).toBe("stored");
    await store().quotas.putKey(maker, undefined);
    expect(await putIn("one", "a", 5000)).toBe("stored");
  });

  test("of a key count a bucket from its first moment to its last", async () => {
    await store().quotas.putKey(keyIdOf("MAKER"), { bytesMax: undefined, objectsMax: 1 });
    const made = makeBucket("one", "MAKER");
    const written = [putIn("one", "a", 1), putIn("one", "b", 1)];
    await made;
    expect((await Promise.all(written)).sort()).toEqual(["over-quota", "stored"]);
    await makeBucket("two", "MAKER");
    expect(await putIn("two", "a", 0)).toBe("over-quota");
    for (const key of ["a", "b"]) {
      await store().deleteObject({ bucket: bucketOf("one"), key: keyOf(key) });
    }
    expect(await putIn("two", "a", 0)).toBe("stored");
    await store().deleteObject({ bucket: bucketOf("two"), key: keyOf("a") });
    await store().deleteBucket(bucketOf("two"));
    expect(store().keyUsage(keyIdOf("MAKER"))).toEqual({ buckets: 1, bytes: 0, objects: 0 });
    expect(await putIn("one", "c", 0)).toBe("stored");
  });

  test("of keys are there again after a start, in the order of changes", async () => {
    const maker = keyIdOf("MAKER");
    await makeBucket("one", "MAKER");
    await Promise.all([
      store().quotas.putKey(keyIdOf("GONE"), { bytesMax: 5, objectsMax: 5 }),
      store().quotas.putKey(maker, { bytesMax: 1, objectsMax: undefined }),
      store().quotas.putKey(keyIdOf("GONE"), undefined),
      store().quotas.putKey(maker, { bytesMax: 10, objectsMax: undefined }),
    ]);
    await restart();
    expect([...store().quotas.ofKeys()]).toEqual([
      [maker, { bytesMax: 10, objectsMax: undefined }],
    ]);
    expect(await putIn("one", "a", 11)).toBe("over-quota");
    expect(await putIn("one", "a", 10)).toBe("stored");
  });
});

describe.each(["key-quotas.json", "bucket-quotas.json"])("a file %s", (file) => {
  async function opened(text: string) {
    const fixture = await simulatedSite("off");
    const running = await fixture.open();
    await running.site.close();
    await createSynced(fixture.disk(), `${fixture.directory}/${file}`, text);
    return fixture.open();
  }

  test.each([
    ["no JSON", "{"],
    ["no list", JSON.stringify({ format: 1 })],
    ["no name", JSON.stringify({ format: 1, quotas: [{ bytesMax: 1 }] })],
    ["a limit below nothing", JSON.stringify({ format: 1, quotas: [{ id: "m4k", bytesMax: -1 }] })],
    ["a limit of text", JSON.stringify({ format: 1, quotas: [{ id: "m4k", bytesMax: "1" }] })],
    ["a newer format", JSON.stringify({ format: 2, quotas: [] })],
  ])("that has %s lets no site open: a quota is never passed over", async (_what, text) => {
    await expect(opened(text)).rejects.toThrow(file);
  });

  test("that is whole is in force", async () => {
    const text = JSON.stringify({ format: 1, quotas: [{ id: "maker", objectsMax: 3 }] });
    const { site } = await opened(text);
    const quota = { bytesMax: undefined, objectsMax: 3 };
    const { quotas } = site.store;
    const isOfKeys = file.startsWith("key");
    expect([...quotas.ofKeys()]).toEqual(isOfKeys ? [["maker", quota]] : []);
    expect(quotas.ofBucket(bucketOf("maker"))).toEqual(isOfKeys ? undefined : quota);
    await site.close();
  });
});

test("a key without a limit in the file of keys lets no site open", async () => {
  const fixture = await simulatedSite("off");
  await (await fixture.open()).site.close();
  const text = JSON.stringify({ format: 1, quotas: [{ id: "MAKER" }] });
  await createSynced(fixture.disk(), `${fixture.directory}/key-quotas.json`, text);
  await expect(fixture.open()).rejects.toThrow("key-quotas.json");
});

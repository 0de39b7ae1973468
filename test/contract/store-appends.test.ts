import { describe, expect, test } from "vitest";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import type {
  AppendObjectRequest,
  AppendOutcome,
  PutObjectRequest,
  RenameObjectRequest,
} from "../../src/storage/store.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { SITES, useSite } from "../support/site-suite.ts";

const alpha = bucketOf("alpha");
const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };
const INLINE_BYTES_MAX = 128 * 1024;

function recordOf(size: number): PutObjectRequest["object"] {
  const etag = size.toString(16).padStart(32, "0");
  return { size, etag, attributes: PLAIN, checksums: [], parts: [], encryption: undefined };
}

describe.each(SITES)("in %s", (_name, make) => {
  const { store, fixture, expectSameRowsAfterRebuild } = useSite(make);

  async function stage(bytes: Buffer): Promise<PutObjectRequest["body"]> {
    const writer = await store().stageBody();
    await writer.write(bytes);
    return { kind: "staged", staged: await writer.finish() };
  }

  async function put(key: string, bytes: Buffer): Promise<void> {
    const large = bytes.length > INLINE_BYTES_MAX;
    const body = large ? await stage(bytes) : ({ kind: "inline", bytes } as const);
    const name = { bucket: alpha, key: keyOf(key) };
    const done = await store().putObject({ ...name, object: recordOf(bytes.length), body });
    expect(done.outcome).toBe("stored");
  }

  async function append(
    key: string,
    offset: number,
    bytes: Buffer,
    more: Partial<AppendObjectRequest> = {},
  ): Promise<AppendOutcome> {
    const large = bytes.length > INLINE_BYTES_MAX;
    const body = large ? await stage(bytes) : ({ kind: "inline", bytes } as const);
    return await store().appendObject({
      ...{ bucket: alpha, key: keyOf(key), offset },
      body: body as AppendObjectRequest["body"],
      describe: (current) => recordOf((current?.size ?? 0) + bytes.length),
      ...more,
    });
  }

  async function read(key: string): Promise<Buffer | undefined> {
    const object = store().object(alpha, keyOf(key));
    if (object === undefined) return undefined;
    return await readBody(store(), object, 0, object.record.size);
  }

  function rename(
    source: string,
    key: string,
    more: Partial<RenameObjectRequest> = {},
  ): Promise<{ outcome: string }> {
    const names = { bucket: alpha, source: keyOf(source), key: keyOf(key) };
    return store().renameObject({ ...names, token: undefined, ...more });
  }

  test.each([
    ["small behind small", [100, 50, 7]],
    ["small behind small, until both are too large together", [100_000, 20_000, 90_000, 3]],
    ["large behind nothing, small and large", [0, 200_000, 10, 5_000_000]],
    ["small behind large", [150_000, 1, 1, 1]],
  ])("an object grows by what is appended: %s", async (_what, sizes) => {
    let whole: Buffer = Buffer.alloc(0);
    for (const [index, size] of sizes.entries()) {
      const piece = Buffer.alloc(size, index + 1);
      const done = await append("log", whole.length, piece);
      expect(done.outcome).toBe("stored");
      whole = Buffer.concat([whole, piece]);
      expect((await read("log"))?.equals(whole)).toBe(true);
    }
    await expectSameRowsAfterRebuild();
    expect((await read("log"))?.equals(whole)).toBe(true);
    expect(store().bucketUsage(alpha)).toMatchObject({ objects: 1, bytes: whole.length });
    await store().deleteObject({ bucket: alpha, key: keyOf("log") });
    expect(store().stats().segments.liveBytes).toBe(0);
  });

  test("bytes of a large object are named again, not written again", async () => {
    await put("log", Buffer.alloc(5_000_000, 1));
    const before = store().stats().segments.liveBytes;
    expect((await append("log", 5_000_000, Buffer.alloc(10, 2))).outcome).toBe("stored");
    expect(store().stats().segments.liveBytes).toBe(before + 10);
  });

  test("an append anywhere but at the end is refused, and changes nothing", async () => {
    expect(await append("none", 1, Buffer.from("x"))).toEqual({
      ...{ outcome: "invalid-offset", size: 0 },
    });
    await put("log", Buffer.from("text"));
    for (const offset of [0, 3, 5]) {
      const done = await append("log", offset, Buffer.from("x"));
      expect(done).toEqual({ outcome: "invalid-offset", size: 4 });
    }
    const refused = await append("log", 4, Buffer.from("x"), { conditions: { ifMatch: ["no"] } });
    expect(refused.outcome).toBe("precondition-failed");
    const describe = (): never => {
      throw new Error("another kind");
    };
    await expect(append("log", 4, Buffer.from("x"), { describe })).rejects.toThrow("another kind");
    expect((await read("log"))?.toString()).toBe("text");
  });

  test("of appends to one end at the same time, one is taken", async () => {
    await put("log", Buffer.from("0"));
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, index) => append("log", 1, Buffer.from(`${index}`))),
    );
    const taken = all.filter(({ outcome }) => outcome === "stored");
    expect(taken).toHaveLength(1);
    expect(all.filter(({ outcome }) => outcome === "invalid-offset")).toHaveLength(7);
    expect((await read("log"))?.length).toBe(2);
  });

  test("an append makes a version, where there are versions", async () => {
    const value = versioningSetting("enabled");
    await store().putBucketSetting({ bucket: alpha, name: "versioning", value });
    await append("log", 0, Buffer.alloc(150_000, 1));
    await append("log", 150_000, Buffer.from("end"));
    const cursor = store().versions(alpha);
    const sizes = [cursor.next(), cursor.next(), cursor.next()].map((one) =>
      one?.kind === "object" ? one.object.record.size : undefined,
    );
    cursor.close();
    expect(sizes).toEqual([150_003, 150_000, undefined]);
    await expectSameRowsAfterRebuild();
  });

  test.each([
    ["small", 10],
    ["empty", 0],
    ["large", 300_000],
  ])("a %s object is renamed as one change", async (_what, size) => {
    const bytes = Buffer.alloc(size, 7);
    await put("dir/old", bytes);
    await put("new", Buffer.from("overwritten"));
    const { lastModifiedMs } = store().object(alpha, keyOf("dir/old"))?.record ?? {};
    fixture().clock.leap(5_000);
    expect(await rename("dir/old", "new")).toEqual({ outcome: "renamed" });
    expect(await read("dir/old")).toBeUndefined();
    expect((await read("new"))?.equals(bytes)).toBe(true);
    expect(store().object(alpha, keyOf("new"))?.record.lastModifiedMs).toBe(lastModifiedMs);
    expect(store().bucketUsage(alpha)).toMatchObject({ objects: 1, bytes: size });
    await expectSameRowsAfterRebuild();
    expect((await read("new"))?.equals(bytes)).toBe(true);
  });

  test("a rename is refused whole", async () => {
    await put("a", Buffer.from("a"));
    await put("b", Buffer.from("b"));
    expect(await rename("none", "b")).toEqual({ outcome: "no-such-key" });
    const taken = await rename("a", "b", { conditions: { ifNoneMatch: ["*"] } });
    expect(taken.outcome).toBe("precondition-failed");
    const sourceConditions = () => "x-amz-rename-source-if-match";
    const source = await rename("a", "c", { sourceConditions });
    expect(source).toEqual({
      ...{ outcome: "precondition-failed", condition: "x-amz-rename-source-if-match" },
    });
    expect((await read("a"))?.toString()).toBe("a");
    expect((await read("b"))?.toString()).toBe("b");
    expect(await read("c")).toBeUndefined();
    expect(await rename("a", "a")).toEqual({ outcome: "renamed" });
    expect((await read("a"))?.toString()).toBe("a");
  });

  test("a rename that is tried again under its token is done once", async () => {
    await put("a", Buffer.from("a"));
    expect(await rename("a", "b", { token: "t" })).toEqual({ outcome: "renamed" });
    expect(await rename("a", "b", { token: "t" })).toEqual({ outcome: "renamed" });
    expect(await rename("a", "c", { token: "t" })).toEqual({ outcome: "token-mismatch" });
    expect(await rename("a", "b")).toEqual({ outcome: "no-such-key" });
    expect((await read("b"))?.toString()).toBe("a");
  });

  test("a new name begins with the default retention, unless one comes along that lasts", async () => {
    const nowMs = fixture().clock.nowMs();
    const byDefault = { mode: "GOVERNANCE", untilMs: nowMs + 1000 } as const;
    const lock = { retention: byDefault, legalHold: false };
    const lockOf = (key: string) => store().object(alpha, keyOf(key))?.record.lock;
    await put("a", Buffer.from("a"));
    await rename("a", "b", { lock });
    expect(lockOf("b")).toEqual(lock);
    const own = { mode: "COMPLIANCE", untilMs: nowMs + 10 } as const;
    for (const [key, untilMs] of [
      ["lasts", own.untilMs],
      ["ended", nowMs],
    ] as const) {
      const kept = { retention: { ...own, untilMs }, legalHold: true };
      const body = { kind: "inline", bytes: Buffer.from(key) } as const;
      const object = { ...recordOf(5), lock: kept };
      await store().putBucketSetting({
        ...{ bucket: alpha, name: "versioning", value: versioningSetting("enabled") },
      });
      await store().putObject({ bucket: alpha, key: keyOf(key), object, body });
      await rename(key, `new ${key}`, { lock });
    }
    expect(lockOf("new lasts")).toEqual({ retention: own, legalHold: true });
    expect(lockOf("new ended")).toEqual({ retention: byDefault, legalHold: true });
  });

  test("a rename leaves a delete marker, where there are versions", async () => {
    await put("a", Buffer.from("plain"));
    const value = versioningSetting("enabled");
    await store().putBucketSetting({ bucket: alpha, name: "versioning", value });
    expect(await rename("a", "b")).toEqual({ outcome: "renamed" });
    expect(store().currentVersion(alpha, keyOf("a"))?.kind).toBe("delete-marker");
    expect(store().version(alpha, keyOf("a"), "null")?.kind).toBe("object");
    expect((await read("b"))?.toString()).toBe("plain");
    await expectSameRowsAfterRebuild();
  });
});

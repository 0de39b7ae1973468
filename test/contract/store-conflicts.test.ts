import { describe, expect, test } from "vitest";
import { ByteWriter } from "../../src/core/bytes.ts";
import { hlcFromMs } from "../../src/core/hlc.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { parseOriginId, parseSeq, type VersionId } from "../../src/core/names.ts";
import { encodeOperation } from "../../src/core/operation-codec.ts";
import { required } from "../../src/core/tagged-fields.ts";
import type { PutObjectRequest } from "../../src/storage/store.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { SITES, useSite } from "../support/site-suite.ts";

const alpha = bucketOf("alpha");
const OTHER = required(parseOriginId("bb".repeat(8)), "origin");
const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };

function recordOf(bytes: number): PutObjectRequest["object"] {
  const etag = bytes.toString(16).padStart(32, "0");
  const rest = { checksums: [], parts: [], encryption: undefined };
  return { size: bytes, etag, attributes: PLAIN, ...rest };
}

describe.each(SITES)("conflicts in %s", (_name, make) => {
  const { store, fixture, restart, expectSameRowsAfterRebuild } = useSite(make);

  async function put(key: string, text: string): Promise<void> {
    const bytes = Buffer.from(text);
    const body = { kind: "inline", bytes } as const;
    const name = { bucket: alpha, key: keyOf(key) };
    const done = await store().putObject({ ...name, object: recordOf(bytes.length), body });
    expect(done.outcome).toBe("stored");
  }

  /** A write of another site that lost, as a bootstrap brings it; gives its version. */
  async function lose(key: string, text: string, seq: number): Promise<VersionId> {
    const inline = Buffer.from(text);
    const writer = new ByteWriter();
    const object = { ...recordOf(inline.length), lastModifiedMs: 1 };
    encodeOperation(writer, {
      dot: { origin: OTHER, seq: required(parseSeq(seq), "sequence") },
      hlc: hlcFromMs(fixture().clock.nowMs() - 1000 + seq),
      chainBefore: Buffer.alloc(32),
      vector: { full: false, entries: new Map() },
      group: undefined,
      body: {
        ...{ kind: "object-put", bucket: alpha, key: keyOf(key), nullSlot: true, conflict: true },
        object: { ...object, body: { kind: "inline", bytes: inline.length } },
      },
      unknownFields: [],
    });
    const rows = [{ encoded: writer.finish(), inline, manifests: [] }];
    const step = { rows, removed: [], progress: undefined, rewrite: false };
    expect(await store().rows.import(step)).toMatchObject({ imported: 1, refused: [] });
    return required(list().at(-1)?.version, "conflict");
  }

  function list(max = 10, after?: string): readonly { key: string; version: VersionId }[] {
    return store().conflicts.list(alpha, after, max).conflicts;
  }

  async function read(key: string): Promise<string> {
    const object = required(store().object(alpha, keyOf(key)), "object");
    return (await readBody(store(), object, 0, object.record.size)).toString();
  }

  test("are listed page by page, read by their id, and counted apart", async () => {
    await put("a", "current");
    await put("b", "current");
    const first = await lose("a", "lost at a", 1);
    const second = await lose("b", "lost at b", 2);
    const page = store().conflicts.list(alpha, undefined, 1);
    expect(page.conflicts.map(({ version }) => version)).toEqual([first]);
    expect(list(10, page.next).map(({ version }) => version)).toEqual([second]);
    expect(store().conflicts.list(bucketOf("beta"), undefined, 10).conflicts).toEqual([]);
    expect(store().conflicts.list(undefined, undefined, 10).conflicts).toHaveLength(2);
    const found = required(store().conflicts.find(alpha, keyOf("a"), first), "conflict");
    expect(found).toMatchObject({ conflict: true, isNull: false, version: first });
    const bytes = await readBody(store(), found, 0, found.record.size);
    expect(bytes.toString()).toBe("lost at a");
    expect(store().conflicts.find(alpha, keyOf("b"), first)).toBeUndefined();
    expect(store().version(alpha, keyOf("a"), first)).toBeUndefined();
    expect(store().bucketUsage(alpha)).toMatchObject({ objects: 2, bytes: 14, conflicts: 2 });
    expect(store().stats()).toMatchObject({ objects: 2, versions: 2, conflicts: 2 });
    expect(await read("a")).toBe("current");
    await expectSameRowsAfterRebuild();
    expect(list()).toHaveLength(2);
  });

  test("are settled for one write, for all of a key, or by taking one back", async () => {
    await put("a", "current");
    const [first, second] = [await lose("a", "one", 1), await lose("a", "two", 2)];
    const name = { bucket: alpha, key: keyOf("a") };
    const settle = (version: VersionId | undefined, wish: "discard" | "restore") =>
      store().conflicts.resolve({ ...name, version }, wish);
    expect(await settle(first, "restore")).toEqual({ outcome: "resolved", count: 1 });
    expect(await read("a")).toBe("one");
    expect(await settle(first, "discard")).toEqual({ outcome: "no-such-conflict" });
    expect(await settle(first, "restore")).toEqual({ outcome: "no-such-conflict" });
    expect(list()).toHaveLength(1);
    await lose("a", "three", 3);
    expect(await settle(undefined, "discard")).toEqual({ outcome: "resolved", count: 2 });
    expect(await settle(undefined, "restore")).toEqual({ outcome: "no-such-conflict" });
    expect(store().conflicts.find(alpha, keyOf("a"), second)).toBeUndefined();
    expect(store().stats()).toMatchObject({ objects: 1, bytes: 3, conflicts: 0 });
    await restart();
    expect(list()).toEqual([]);
    await expectSameRowsAfterRebuild();
    expect(await read("a")).toBe("one");
  });

  test("are listed of one bucket alone, wherever the page is said to begin", async () => {
    await put("a", "current");
    await lose("a", "lost", 1);
    const other = bucketOf("beta");
    await store().createBucket({ name: other, owner: "o" });
    expect(store().conflicts.list(other, "alpha\0", 10)).toEqual({
      ...{ conflicts: [], next: undefined },
    });
    for (const text of ["", "~", "\0", "\u{10ffff}"]) {
      const after = `alpha${text.repeat(1000)}`;
      const found = store().conflicts.list(undefined, after, 10).conflicts.length;
      expect(found).toBe(text === "" || text === "\0" ? 1 : 0);
    }
  });

  test("do not keep a bucket from being deleted, and are forgotten after their time", async () => {
    await put("a", "current");
    await lose("a", "lost", 1);
    await store().deleteObject({ bucket: alpha, key: keyOf("a") });
    expect(await store().deleteBucket(alpha)).toEqual({ outcome: "deleted" });
    fixture().clock.leap(LIMITS.conflictRetentionMs - 60_000);
    await store().keepHouse();
    expect(list()).toHaveLength(1);
    fixture().clock.leap(120_000);
    await store().keepHouse();
    expect(list()).toEqual([]);
    expect(store().stats().conflicts).toBe(0);
    await expectSameRowsAfterRebuild();
  });
});

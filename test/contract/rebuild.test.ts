import { describe, expect, test } from "vitest";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import { LIMITS } from "../../src/core/limits.ts";
import type { BucketName } from "../../src/core/names.ts";
import { TABLES } from "../../src/storage/metadata/rows.ts";
import { indexKey } from "../../src/storage/metadata/stored-rows.ts";
import type { PutObjectRequest } from "../../src/storage/store.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { realSite } from "../support/site-fixture.ts";
import { SITES, useSite } from "../support/site-suite.ts";

const BUCKETS = { plain: bucketOf("alpha"), versioned: bucketOf("beta") };
const UNUSUAL = [
  "\u00e9/\u00e8",
  "a",
  "a/",
  "/",
  "\uffff",
  "x".repeat(1024),
  "\u{1f600}/".repeat(40),
];

function putRequest(bucket: BucketName, key: string, number: number): PutObjectRequest {
  const bytes = Buffer.alloc(number % 50, number);
  const user = number % 7 === 0 ? [["name", number % 2 === 0 ? "value" : "\u00e9"] as const] : [];
  const system = number % 3 === 0 ? [["content-type", "text/plain"] as const] : [];
  return {
    ...{ bucket, key: keyOf(key) },
    object: {
      ...{ size: bytes.length, etag: number.toString(16).padStart(32, "0"), parts: [] },
      attributes: { system, user, storageClass: undefined, tags: [] },
      checksums: [],
      encryption: number % 11 === 0 ? Buffer.from("an envelope") : undefined,
    },
    body: { kind: "inline", bytes },
  };
}

describe.each(SITES)("an index made anew in %s", (name, make) => {
  const { store, restart, expectSameRowsAfterRebuild } = useSite(make);
  const count = name.includes("simulated") ? 300 : 6000;

  async function putAll(bucket: BucketName, keys: readonly string[], salt: number): Promise<void> {
    for (let from = 0; from < keys.length; from += 100) {
      const part = keys.slice(from, from + 100);
      const puts = part.map((key, at) =>
        store().putObject(putRequest(bucket, key, salt + from + at)),
      );
      for (const { outcome } of await Promise.all(puts)) expect(outcome).toBe("stored");
    }
  }

  async function remove(bucket: BucketName, keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      await store().deleteObject({ bucket, key: keyOf(key), bypassGovernance: false });
    }
  }

  async function enableVersions(): Promise<void> {
    const value = versioningSetting("enabled");
    await store().createBucket({ name: BUCKETS.versioned, owner: "o" });
    await store().putBucketSetting({ bucket: BUCKETS.versioned, name: "versioning", value });
  }

  test("has the same rows when every object was put once, in more folders than are listed", async () => {
    const keys = Array.from(
      { length: count },
      (_, index) => `${(index * 7919) % count}/${index % 9}`,
    );
    await putAll(BUCKETS.plain, [...UNUSUAL, ...keys], 0);
    await expectSameRowsAfterRebuild();
  });

  test("has the same rows when objects were overwritten, deleted and put again", async () => {
    await enableVersions();
    const keys = Array.from({ length: count / 10 }, (_, index) => `dir-${index % 13}/${index}`);
    const some = keys.filter((_, index) => index % 5 === 0);
    for (const bucket of Object.values(BUCKETS)) {
      await putAll(bucket, keys, 1);
      await putAll(bucket, some, 5000);
      await remove(bucket, some.slice(0, 20));
      await putAll(bucket, some.slice(10, 30), 9000);
      await remove(bucket, ["never/there"]);
      await putAll(bucket, ["never/there", ...UNUSUAL], 7);
    }
    await restart();
    await putAll(BUCKETS.plain, ["after/restart", ...some.slice(0, 3)], 8);
    await expectSameRowsAfterRebuild();
    await putAll(BUCKETS.plain, ["after/rebuild", ...some.slice(0, 3)], 9);
    await expectSameRowsAfterRebuild();
  });

  test("has the same rows when few keys were put and deleted in any order, and some changed", async () => {
    await enableVersions();
    const random = new Seed(1);
    const keys = Array.from({ length: 40 }, (_, index) => `dir-${index % 7}/${index}`);
    for (let turn = 0; turn < count / 20; turn++) {
      // Writes of one turn share batches, in which one key may be written more than once.
      const writes = Array.from({ length: 40 }, async () => {
        const bucket = random.int(5) === 0 ? BUCKETS.versioned : BUCKETS.plain;
        const key = keyOf(`${keys[random.int(keys.length)]}`);
        const what = random.int(100);
        if (what < 40) {
          await store().deleteObject({ bucket, key, bypassGovernance: false });
        } else if (what < 41 && turn > count / 40) {
          const tags = [["name", String(turn)]] as const;
          await store().changeObject({ bucket, key, change: { kind: "tags", tags } });
        } else await store().putObject(putRequest(bucket, key, random.int(1000)));
      });
      await Promise.all(writes);
    }
    await expectSameRowsAfterRebuild();
  });

  test("has the same rows when few keys got many versions, some of them over null versions", async () => {
    const bucket = BUCKETS.versioned;
    await store().createBucket({ name: bucket, owner: "o" });
    const keys = Array.from({ length: 12 }, (_, index) => `dir-${index % 3}/${index}`);
    await putAll(bucket, keys.slice(0, 3), 1);
    await remove(bucket, keys.slice(1, 4));
    await enableVersions();
    const half = count / 40;
    for (let turn = 0; turn < half * 2; turn++) {
      // In the first half nothing needs to be decoded.
      if (turn < half) {
        await putAll(bucket, keys.slice(4), 8);
        continue;
      }
      const last = keyOf(`${keys[11]}`);
      const version = store().object(bucket, last)?.version;
      if (turn % 10 === half % 10 && version !== undefined) {
        // What becomes current again has just become an older version.
        await store().deleteObject({ bucket, key: last, version, bypassGovernance: false });
      }
      if (turn % 10 === 9) await remove(bucket, [`${keys[turn % 5]}`, "never/there"]);
      await putAll(bucket, keys.slice(0, 11), turn * 5);
    }
    await expectSameRowsAfterRebuild();
  });

  test("lists the same folders when some went and others came while the list was full", async () => {
    const listed = Array.from({ length: LIMITS.usagePrefixesMax }, (_, index) => `${index}/only`);
    const random = new Seed(2);
    await putAll(BUCKETS.plain, listed, 0);
    for (let turn = 0; turn < 30; turn++) {
      const folders = Array.from({ length: 8 }, () => 985 + random.int(30));
      await putAll(
        BUCKETS.plain,
        folders.slice(0, 4).map((folder) => `${folder}/only`),
        turn,
      );
      await putAll(
        BUCKETS.plain,
        folders.slice(2, 6).map((folder) => `${folder}/other`),
        turn,
      );
      await remove(
        BUCKETS.plain,
        folders.map((folder) => `${folder}/${random.int(2) === 0 ? "only" : "other"}`),
      );
    }
    await expectSameRowsAfterRebuild();
  });

  test.each([
    ["was listed", { again: "0/only", more: [], gone: [], between: true, other: 1 }],
    ["was not", { again: "x/only", more: ["x/only"], gone: ["1/only"], between: true, other: 1 }],
    [
      "was listed, as others were not",
      { again: "0/only", more: ["x/1", "x/2"], gone: [], between: false, other: 4 },
    ],
  ])("lists the same folders when the only object of one came again that %s", async (_, life) => {
    const bucket = BUCKETS.plain;
    const listed = Array.from({ length: LIMITS.usagePrefixesMax }, (_, index) => `${index}/only`);
    await putAll(bucket, listed, 1);
    await putAll(bucket, life.more, 1);
    await remove(bucket, life.gone);
    // Until here counts have been summed up, and from here on again.
    await store().createBucket({ name: BUCKETS.versioned, owner: "o" });
    await remove(bucket, [life.again]);
    // It may take the place in the list that is free for a moment.
    await putAll(bucket, ["between/only"], 1);
    await putAll(bucket, [life.again], 1);
    const prefixes = store().bucketUsage(bucket)?.prefixes;
    const seen = [prefixes?.has("between/"), prefixes?.get("other")?.objects];
    expect(seen).toEqual([life.between, life.other]);
    await expectSameRowsAfterRebuild();
  });

  test("lists the same folders when the only object of one was empty and got versions", async () => {
    await enableVersions();
    const bucket = BUCKETS.versioned;
    const listed = Array.from({ length: LIMITS.usagePrefixesMax }, (_, index) => `${index}/only`);
    // The list is full, and the first object is empty: for a moment nothing is in its folder.
    await putAll(bucket, [...listed, "beyond/only"], 0);
    expect(store().object(bucket, keyOf("0/only"))?.record.size).toBe(0);
    await putAll(bucket, ["0/only", "0/only", "7/only"], 0);
    await expectSameRowsAfterRebuild();
  });

  test("has the same rows when keys were removed by hand before they were put, and put once more", async () => {
    await putAll(BUCKETS.plain, ["a/first"], 1);
    const stamp = store().object(BUCKETS.plain, keyOf("a/first"))?.version;
    if (stamp === undefined) throw new Error("an object has no version");
    const keys = ["a/first", "b/later", "later"];
    const removed = keys.map((key) => {
      return { what: "null", bucket: BUCKETS.plain, key: keyOf(key), stamp } as const;
    });
    await store().rows.import({ rows: [], removed, progress: undefined, rewrite: false });
    await putAll(BUCKETS.plain, ["c/other", ...keys], 2);
    await putAll(BUCKETS.plain, keys, 13);
    await remove(BUCKETS.plain, ["later"]);
    await expectSameRowsAfterRebuild();
  });
});

test("an index whose making was cut off is made anew at the next start", async () => {
  const fixture = await realSite("off");
  try {
    const before = await fixture.open();
    await before.site.store.createBucket({ name: BUCKETS.plain, owner: "o" });
    for (let number = 0; number < 20; number++) {
      await before.site.store.putObject(putRequest(BUCKETS.plain, `k/${number}`, number));
    }
    const rows = dumpRows(before.kv, fixture.hash);
    await before.kv.write([
      { key: indexKey(TABLES.replaying.prefix, ""), value: Buffer.from([1, 0, 0, 0, 0]) },
      { key: indexKey(TABLES.object.prefix, "alpha\0k/7"), value: undefined },
    ]);
    await before.site.close();
    const after = await fixture.open();
    expect(dumpRows(after.kv, fixture.hash)).toEqual(rows);
    await after.site.close();
  } finally {
    fixture.remove();
  }
});

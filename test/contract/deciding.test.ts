import { afterEach, describe, expect, test } from "vitest";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import { LIFECYCLE_SETTING } from "../../src/core/lifecycle-codec.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { TABLES } from "../../src/storage/metadata/rows.ts";
import { indexKey } from "../../src/storage/metadata/stored-rows.ts";
import type { PutObjectRequest } from "../../src/storage/store.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { handOverAll } from "../support/hand-over.ts";
import { lifecycleRule, lifecycleValue } from "../support/lifecycle-rules.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

/*
 * What sites decide about each other's writes, with the whole store below and logs handed over.
 */

const BUCKET = bucketOf("photos");
const KEY = keyOf("cat");
const NAME = { bucket: BUCKET, key: KEY };
const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };

afterEach(closeSimSites);

async function open(): Promise<[SimSite, SimSite, SimSite]> {
  const a = await SimSite.open("deciding a");
  const b = await SimSite.open("deciding b");
  const c = await SimSite.open("deciding c");
  await a.store.createBucket({ name: BUCKET, owner: "o" });
  // Every site has said something: so all know that there are others.
  for (const [at, { store }] of [b, c].entries()) {
    await store.createBucket({ name: bucketOf(`other-${at}`), owner: "o" });
  }
  await meet(a, b, c);
  return [a, b, c];
}

async function meet(...sites: readonly SimSite[]): Promise<void> {
  for (let round = 0; round < 2; round++) {
    for (const [at, site] of sites.entries()) {
      await handOverAll(site, sites[(at + 1) % sites.length] ?? site);
    }
  }
}

async function put(site: SimSite, text: string, large = false): Promise<void> {
  const bytes = large ? Buffer.alloc(200_000, text) : Buffer.from(text);
  const etag = bytes.length.toString(16).padStart(32, "0");
  const object = { size: bytes.length, etag, attributes: PLAIN, checksums: [], parts: [] };
  let body: PutObjectRequest["body"] = { kind: "inline", bytes };
  if (large) {
    const writer = await site.store.stageBody();
    await writer.write(bytes);
    body = { kind: "staged", staged: await writer.finish() };
  }
  const done = await site.store.putObject({
    ...NAME,
    object: { ...object, encryption: undefined },
    body,
  });
  expect(done.outcome).toBe("stored");
}

async function current({ store }: SimSite): Promise<string | undefined> {
  const object = store.object(BUCKET, KEY);
  if (object === undefined) return undefined;
  return (await readBody(store, object, 0, object.record.size)).toString().slice(0, 20);
}

/** What the conflicts of a site hold, newest first. */
async function lost({ store }: SimSite): Promise<string[]> {
  const texts: string[] = [];
  for (const object of store.conflicts.list(BUCKET, undefined, 100).conflicts) {
    const bytes = await readBody(store, object, 0, object.record.size);
    texts.push(bytes.toString().slice(0, 20));
  }
  return texts;
}

async function expectEverywhere(
  sites: readonly SimSite[],
  text: string | undefined,
  conflicts: readonly string[],
): Promise<void> {
  for (const site of sites) {
    expect(await current(site)).toBe(text);
    expect(await lost(site)).toEqual(conflicts);
    const kept = dumpRows(site.kv, site.hash);
    await site.restart(true);
    expect(dumpRows(site.kv, site.hash)).toEqual(kept);
  }
}

describe("writes of one key at several sites", () => {
  test.each([false, true])("leave those that lost as conflicts (large: %s)", async (large) => {
    const [a, b, c] = await open();
    await put(a, "before", large);
    await meet(a, b, c);
    await put(a, "first at a", large);
    a.machine.clock.leap(10);
    await put(a, "then at a", large);
    b.machine.clock.leap(20);
    await put(b, "at b", large);
    c.machine.clock.leap(30);
    await put(c, "at c", large);
    await meet(a, b, c);
    const text = large ? "at cat cat cat cat c" : "at c";
    const others = large ? ["at bat bat bat bat b", "then at athen at ath"] : ["at b", "then at a"];
    await expectEverywhere([a, b, c], text, others);
    await put(b, "who knew", large);
    await meet(a, b, c);
    expect(await lost(a)).toEqual(others);
  });

  test("are settled at one site for all of them", async () => {
    const [a, b, c] = await open();
    await put(a, "at a");
    b.machine.clock.leap(20);
    await put(b, "at b");
    c.machine.clock.leap(30);
    await c.store.putBucketSetting({ bucket: BUCKET, name: "tagging", value: Buffer.from("x") });
    await meet(a, b, c);
    expect(
      b.machine.log.lines.filter(({ message }) => message.includes("lost to one")),
    ).toHaveLength(1);
    await expectEverywhere([a, b, c], "at b", ["at a"]);
    const [version] = c.store.conflicts.list(BUCKET, undefined, 1).conflicts;
    const name = { ...NAME, version: version?.version };
    const done = await c.store.conflicts.resolve(name, "restore");
    expect(done).toEqual({ outcome: "resolved", count: 1 });
    await meet(a, b, c);
    await expectEverywhere([a, b, c], "at a", []);
  });

  test("are overwritten quietly by who knew of them, and a delete that won leaves a conflict", async () => {
    const [a, b, c] = await open();
    await put(a, "one");
    await meet(a, b, c);
    await put(b, "two");
    await meet(a, b, c);
    await expectEverywhere([a, b, c], "two", []);
    await put(a, "three");
    b.machine.clock.leap(50);
    await b.store.deleteObject(NAME);
    await meet(a, b, c);
    await expectEverywhere([a, b, c], undefined, ["three"]);
    for (const { store } of [a, b, c]) {
      expect(store.bucketUsage(BUCKET)).toMatchObject({ objects: 0, bytes: 0, conflicts: 1 });
    }
    // They do not keep their bucket, and go with time.
    expect(await c.store.deleteBucket(BUCKET)).toEqual({ outcome: "deleted" });
    for (const { machine, store } of [a, b, c]) {
      machine.clock.leap(LIMITS.conflictRetentionMs + 1000);
      await store.keepHouse();
      expect(store.stats().conflicts).toBe(0);
    }
  });
});

describe("a bucket and a version that are deleted at one site", () => {
  test("stay where they were written to, or locked, beside it", async () => {
    const [a, b, c] = await open();
    const value = versioningSetting("enabled");
    await a.store.putBucketSetting({ bucket: BUCKET, name: "versioning", value });
    await meet(a, b, c);
    await put(a, "kept");
    await meet(a, b, c);
    const version = a.store.object(BUCKET, KEY)?.version;
    if (version === undefined) throw new Error("a version is missing");
    expect(await a.store.deleteObject({ ...NAME, version })).toMatchObject({ outcome: "deleted" });
    expect(await a.store.deleteBucket(BUCKET)).toEqual({ outcome: "deleted" });
    const change = { kind: "legal-hold", on: true } as const;
    expect(await b.store.changeObject({ ...NAME, change })).toMatchObject({ outcome: "changed" });
    await meet(a, b, c);
    await expectEverywhere([a, b, c], "kept", []);
    for (const { store } of [a, b, c]) {
      expect(store.bucket(BUCKET)?.settings.get("versioning")).toEqual(value);
      expect(store.object(BUCKET, KEY)?.record.lock?.legalHold).toBe(true);
      expect([...store.buckets()].map(({ name }) => name)).toContain(BUCKET);
    }
  });

  test("expire once, and hide nothing that was written beside", async () => {
    const [a, b, c] = await open();
    const rule = lifecycleRule({ expiration: { kind: "days", days: 1 } });
    const settings = [
      ["versioning", versioningSetting("enabled")],
      [LIFECYCLE_SETTING, lifecycleValue(rule)],
    ] as const;
    for (const [name, value] of settings) {
      await a.store.putBucketSetting({ bucket: BUCKET, name, value });
    }
    await put(a, "due");
    await meet(a, b, c);
    for (const { machine } of [a, b, c]) machine.clock.leap(3 * 86_400_000);
    await put(c, "beside");
    for (const { machine } of [a, b]) machine.clock.leap(60_000);
    for (const { running } of [a, b]) {
      expect(await running.site.lifecycle.runNow(undefined)).toMatchObject({ expired: 1 });
    }
    c.machine.clock.leap(60_000);
    await meet(a, b, c);
    for (const { store } of [a, b, c]) {
      const versions = store.versions(BUCKET);
      const kinds: string[] = [];
      for (let one = versions.next(); one !== undefined; one = versions.next()) {
        kinds.push(one.kind);
      }
      versions.close();
      expect(kinds).toEqual(["object", "delete-marker", "object"]);
    }
    await expectEverywhere([a, b, c], "beside", []);
  });

  test("is kept until all others have applied the delete, and no longer", async () => {
    const [a, b, c] = await open();
    for (const { running } of [a, b, c]) {
      const { siteId: id, name, origin, keyPair } = running.site.identity;
      await a.store.putSite({
        ...{ id, name, publicKey: keyPair.publicKey, addresses: [], certificates: [] },
        ...{ origins: [origin], state: "active", featureLevel: 1, insecure: false },
      });
    }
    const value = versioningSetting("enabled");
    await a.store.putBucketSetting({ bucket: BUCKET, name: "versioning", value });
    await put(a, "removed");
    await meet(a, b, c);
    const version = a.store.object(BUCKET, KEY)?.version;
    if (version === undefined) throw new Error("a version is missing");
    await a.store.deleteObject({ ...NAME, version });
    const kept = (): number => {
      const { prefix } = TABLES.kept;
      return [...a.kv.range({ gte: indexKey(prefix, ""), lt: indexKey(prefix, "~") })].length;
    };
    const tell = ({ running, store }: SimSite): void =>
      a.store.replica.acknowledge(running.site.identity.siteId, store.replica.applied());
    for (const step of [() => undefined, () => tell(b), () => tell(c)]) {
      step();
      await a.store.keepHouse();
      expect(kept()).toBe(1);
    }
    await b.store.createBucket({ name: bucketOf("said-later"), owner: "o" });
    await handOverAll(a, b);
    await handOverAll(b, c);
    for (const site of [b, c]) tell(site);
    await a.store.keepHouse();
    expect(kept(), "something b wrote before it knew may be a lock").toBe(1);
    await handOverAll(b, a);
    await a.store.keepHouse();
    expect(kept()).toBe(0);
    await meet(a, b, c);
    await expectEverywhere([a, b, c], undefined, []);
  });

  test("end the uploads that others had begun in it", async () => {
    const [a, b, c] = await open();
    const request = { ...NAME, initiator: "o", attributes: PLAIN, encryption: undefined };
    const begun = await b.store.createUpload({ ...request, checksum: undefined });
    if (begun.outcome !== "created") throw new Error(begun.outcome);
    await a.store.deleteBucket(BUCKET);
    await meet(a, b, c);
    expect(b.store.bucket(BUCKET)).toBeUndefined();
    expect(b.store.upload(BUCKET, KEY, begun.upload.uploadId)).toBeUndefined();
    expect(b.store.stats().multipartUploads).toBe(0);
  });
});

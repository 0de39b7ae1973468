import { createHash } from "node:crypto";
import { expect } from "vitest";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import { parseAccessKeyId } from "../../src/core/names.ts";
import type { ChangeObjectRequest, PutObjectRequest, Store } from "../../src/storage/store.ts";
import type { Seed } from "../sim/seed.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import type { SimSite } from "./sim-site.ts";

const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };
export const BUCKETS = ["plain", "versioned", "suspended"].map(bucketOf);
const KEYS = ["a", "a/b", "a b", "é\u{1f600}", "\uffee"].map(keyOf);

/** The record of a whole object. */
export function recordOf(bytes: Uint8Array): PutObjectRequest["object"] {
  const size = bytes.length;
  const etag = createHash("md5").update(bytes).digest("hex");
  return { size, etag, attributes: PLAIN, checksums: [], parts: [], encryption: undefined };
}

/** Puts an object; one under a legal hold stays as it is. */
export async function put(store: Store, at: number, key: number, bytes: Buffer): Promise<void> {
  const name = { bucket: BUCKETS[at] ?? bucketOf("plain"), key: KEYS[key] ?? keyOf("a") };
  let body: PutObjectRequest["body"] = { kind: "inline", bytes };
  if (bytes.length > 128 * 1024) {
    const writer = await store.stageBody();
    await writer.write(bytes);
    body = { kind: "staged", staged: await writer.finish() };
  }
  const done = await store.putObject({ ...name, object: recordOf(bytes), body });
  // A legal hold that an earlier step has put on the null version forbids the write.
  expect(["stored", "locked"]).toContain(done.outcome);
}

/** A bucket without versions, one with, and one where they are suspended. */
export async function setUp({ store }: Pick<SimSite, "store">): Promise<void> {
  for (const name of BUCKETS) await store.createBucket({ name, owner: "o" });
  for (const [at, state] of [
    [1, "enabled"],
    [2, "suspended"],
  ] as const) {
    const bucket = BUCKETS[at] ?? bucketOf("plain");
    await store.putBucketSetting({ bucket, name: "versioning", value: versioningSetting(state) });
  }
}

function changeOf(seed: Seed): ChangeObjectRequest["change"] {
  if (seed.chance(0.3)) return { kind: "legal-hold", on: seed.chance(0.5) };
  if (seed.chance(0.3)) {
    const retention = { mode: "GOVERNANCE" as const, untilMs: seed.int(1000) };
    return { kind: "retention", retention, bypassGovernance: true };
  }
  return { kind: "tags", tags: [["t", String(seed.int(100))]] };
}

/** Does something at random that leaves a trace in the rows. */
export async function change({ store }: Pick<SimSite, "store">, seed: Seed): Promise<void> {
  const at = seed.int(BUCKETS.length);
  const key = seed.int(KEYS.length);
  const name = { bucket: BUCKETS[at] ?? bucketOf("plain"), key: KEYS[key] ?? keyOf("a") };
  const roll = seed.int(10);
  if (roll < 4) await put(store, at, key, seed.bytes(seed.chance(0.05) ? 200_000 : 300));
  else if (roll < 6) await store.deleteObject(name);
  else if (roll < 7) await removeVersion(store, name);
  else if (roll < 9) await store.changeObject({ ...name, change: changeOf(seed) });
  else {
    const setting = {
      name: `x${seed.int(3)}`,
      value: seed.chance(0.7) ? seed.bytes(5) : undefined,
    };
    await store.putBucketSetting({ bucket: name.bucket, ...setting });
  }
}

/** Removes the newest version of a key for good. */
export async function removeVersion(
  store: Store,
  name: Pick<PutObjectRequest, "bucket" | "key">,
): Promise<void> {
  const found = store.currentVersion(name.bucket, name.key);
  if (found === undefined) return;
  const version = found.isNull ? "null" : found.version;
  await store.deleteObject({ ...name, version, bypassGovernance: true });
}

/** A store with a bit of everything. */
export async function fill(site: SimSite, seed: Seed, steps: number): Promise<void> {
  await setUp(site);
  const { store } = site;
  for (let step = 0; step < steps; step++) await change(site, seed);
  await store.createBucket({ name: bucketOf("gone"), owner: "o" });
  await store.deleteBucket(bucketOf("gone"));
  const id = parseAccessKeyId("AKIAEXAMPLE");
  if (id === undefined) throw new Error("no access key id");
  const key = { id, name: "k", sealedSecret: seed.bytes(9), policies: [], createdMs: 7 };
  await store.putAccessKey({ ...key, state: "active" });
}

/** Every object that a store shows, with its bytes. */
export async function contentsOf(store: Store): Promise<string[]> {
  const shown: string[] = [];
  for (const bucket of BUCKETS) {
    const cursor = store.versions(bucket);
    const keys = new Set<string>();
    for (let next = cursor.next(); next !== undefined; next = cursor.next()) keys.add(next.key);
    cursor.close();
    for (const key of keys) {
      const object = store.object(bucket, keyOf(key));
      if (object === undefined) continue;
      const bytes = await readBody(store, object, 0, object.record.size);
      shown.push(`${bucket}/${key} ${object.version} ${bytes.toString("base64").slice(0, 400)}`);
    }
  }
  return shown;
}

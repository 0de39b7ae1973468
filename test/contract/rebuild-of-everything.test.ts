import { createHash } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import type { ObjectRecord } from "../../src/core/records.ts";
import { takeCheckpoint } from "../../src/storage/recovery.ts";
import type { PutObjectRequest, StagedBody, Store } from "../../src/storage/store.ts";
import { Seed } from "../sim/seed.ts";
import { dumpRows } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { fetchParked, handOver, handOverAll } from "../support/hand-over.ts";
import { must } from "../support/home-pair.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

afterEach(closeSimSites);

const BUCKETS = ["plain", "versioned", "suspended", "turning"].map(bucketOf);
const VERSIONS = ["enabled", "suspended"] as const;
/** Longer than anything is kept open, or for those that may come back. */
const LONG_MS = 20 * 60_000;
type Name = Pick<PutObjectRequest, "bucket" | "key">;
type Step = (store: Store, name: Name, seed: Seed) => Promise<unknown>;

function described(seed: Seed, bytes: Uint8Array): PutObjectRequest["object"] {
  const crc64 = { algorithm: "CRC64NVME", type: "FULL_OBJECT", value: "AAAAAAAAAAA=" } as const;
  const etag = createHash("md5").update(bytes).digest("hex");
  const user = seed.chance(0.2) ? [["colour", seed.pick(["blue", "gr\u00fcn"])] as const] : [];
  const tags = seed.chance(0.1) ? [["a", "b"] as const] : [];
  return {
    ...{ size: bytes.length, etag, parts: [] },
    attributes: { system: [], user, storageClass: undefined, tags },
    checksums: seed.chance(0.6) ? [crc64] : [],
    encryption: seed.chance(0.1) ? Buffer.from("an envelope") : undefined,
  };
}

async function stage(store: Store, bytes: Uint8Array): Promise<StagedBody> {
  const writer = await store.stageBody();
  await writer.write(bytes);
  return await writer.finish();
}

const put: Step = async (store, name, seed) => {
  const bytes = seed.bytes(seed.pick([0, 1, 30, 300, 900]));
  const body = { kind: "inline", bytes } as const;
  return await store.putObject({ ...name, object: described(seed, bytes), body });
};

const remove: Step = (store, name) => store.deleteObject(name);

const removeForGood: Step = async (store, name) => {
  const found = store.currentVersion(name.bucket, name.key);
  if (found === undefined) return;
  const version = found.isNull ? "null" : found.version;
  await store.deleteObject({ ...name, version, bypassGovernance: true });
};

const tag: Step = (store, name, seed) =>
  store.changeObject({ ...name, change: { kind: "tags", tags: [["n", `${seed.int(9)}`]] } });

const lock: Step = (store, name, seed) =>
  store.changeObject({ ...name, change: { kind: "legal-hold", on: seed.chance(0.3) } });

const putLarge: Step = async (store, name, seed) => {
  const bytes = seed.bytes(150_000);
  const body = { kind: "staged", staged: await stage(store, bytes) } as const;
  return await store.putObject({ ...name, object: described(seed, bytes), body });
};

/** Objects of several buckets share chunks then. */
const copy: Step = async (store, name, seed) => {
  const source = store.object(seed.pick(BUCKETS), name.key);
  if (source === undefined || source.record.body.kind === "inline") return;
  const { body: _, lastModifiedMs: __, ...object } = source.record;
  await store.putObject({ ...name, object, body: { kind: "shared", source } });
};

const append: Step = async (store, name, seed) => {
  const bytes = seed.bytes(50);
  const offset = store.object(name.bucket, name.key)?.record.size ?? 0;
  const describe = (current: ObjectRecord | undefined): PutObjectRequest["object"] => {
    const {
      body: _,
      lastModifiedMs: __,
      ...before
    } = current ?? {
      ...{ body: 0, lastModifiedMs: 0, ...described(seed, Buffer.alloc(0)) },
    };
    return { ...before, size: before.size + bytes.length, etag: `${before.etag.slice(0, 32)}-2` };
  };
  await store.appendObject({ ...name, offset, describe, body: { kind: "inline", bytes } });
};

const rename: Step = (store, name, seed) =>
  store.renameObject({ ...name, source: keyOf(`r/${seed.int(20)}`), token: undefined });

const upload: Step = async (store, name, seed) => {
  const attributes = { system: [], user: [], storageClass: undefined, tags: [] };
  const wish = { ...name, initiator: "o", attributes, encryption: undefined, checksum: undefined };
  const begun = await store.createUpload(wish);
  if (begun.outcome !== "created") return;
  const { uploadId } = begun.upload;
  const bytes = seed.bytes(140_000);
  const etag = createHash("md5").update(bytes).digest("hex");
  for (const partNumber of seed.chance(0.5) ? [1, 1] : [1]) {
    const body = { kind: "staged", staged: await stage(store, bytes) } as const;
    await store.putPart({ ...name, uploadId, partNumber, etag, checksums: [], body });
  }
  const dice = seed.int(3);
  if (dice === 0) await store.abortUpload(name.bucket, name.key, uploadId);
  const parts = [{ partNumber: 1, etag, checksums: [] }];
  if (dice === 1) await store.completeUpload({ ...name, uploadId, parts, combine: () => [] });
};

const turn: Step = (store, _name, seed) =>
  store.putBucketSetting({
    ...{ bucket: must(BUCKETS[3]), name: "versioning" },
    value: versioningSetting(seed.pick(VERSIONS)),
  });

const bucketAnew: Step = async (store, _name, seed) => {
  const name = bucketOf(`short-lived-${seed.int(2)}`);
  await store.createBucket({ name, owner: "o" });
  await put(store, { bucket: name, key: keyOf("only") }, seed);
  await store.deleteObject({ bucket: name, key: keyOf("only") });
  if (seed.chance(0.7)) await store.deleteBucket(name);
};

const settle: Step = async (store, _name, seed) => {
  const { conflicts } = store.conflicts.list(undefined, undefined, 1);
  for (const { bucket, key, version } of conflicts) {
    await store.conflicts.resolve({ bucket, key, version }, seed.pick(["discard", "restore"]));
  }
};

/** How often each comes, of a thousand. */
const STEPS: ReadonlyArray<readonly [often: number, step: Step]> = [
  [560, put],
  [200, remove],
  [60, removeForGood],
  [60, tag],
  [15, lock],
  [10, putLarge],
  [20, copy],
  [20, append],
  [20, rename],
  [10, upload],
  [10, turn],
  [10, bucketAnew],
  [5, settle],
];

function stepOf(seed: Seed): Step {
  let left = seed.int(STEPS.reduce((sum, [often]) => sum + often, 0));
  for (const [often, step] of STEPS) {
    left -= often;
    if (left < 0) return step;
  }
  return put;
}

/** Names that one site alone writes, many and new, and a few that everybody does. */
function nameOf(seed: Seed, site: string, isCalm: boolean): Name {
  const bucket = must(BUCKETS[isCalm ? 0 : seed.int(BUCKETS.length)]);
  const dice = seed.int(10);
  if (dice < 5) return { bucket, key: keyOf(`${site}${seed.int(12)}/${seed.int(900)}`) };
  if (dice < 8) return { bucket, key: keyOf(`r/${seed.int(20)}`) };
  return { bucket, key: keyOf(seed.pick(["a", "a/b", "\u00e9\u{1f600}/x", `${site}only`])) };
}

async function live(site: SimSite, seed: Seed, name: string, isCalm: boolean): Promise<void> {
  site.machine.clock.leap(seed.int(5));
  const steps = Array.from({ length: seed.pick([1, 5, 40]) }, async () => {
    const step = isCalm ? seed.pick([put, put, remove]) : stepOf(seed);
    await step(site.store, nameOf(seed, name, isCalm), seed);
  });
  await Promise.all(steps);
}

async function setUp({ store }: SimSite): Promise<void> {
  for (const name of BUCKETS) await store.createBucket({ name, owner: "o" });
  for (const [at, state] of VERSIONS.entries()) {
    const bucket = must(BUCKETS[at + 1]);
    await store.putBucketSetting({ bucket, name: "versioning", value: versioningSetting(state) });
  }
}

async function expectSameAfterRebuild(site: SimSite): Promise<void> {
  const kept = dumpRows(site.kv, site.hash);
  await site.restart(true);
  expectSameRows(dumpRows(site.kv, site.hash), kept);
}

function expectSameRows(made: readonly string[], kept: readonly string[]): void {
  const differs = made.findIndex((row, at) => row !== kept[at]);
  expect([made.length, made[differs]]).toEqual([kept.length, kept[differs]]);
}

async function expectSameIndexes(seed: Seed, turns: number): Promise<void> {
  const [here, there] = [await SimSite.open(`${seed} here`), await SimSite.open(`${seed} there`)];
  const sites = [here, there] as const;
  for (const site of sites) await setUp(site);
  await handOverAll(here, there);
  for (let at = 0; at < turns; at++) {
    const [from, to] = seed.chance(0.5) ? sites : [there, here];
    // In the first part hardly anything has to be decoded.
    await live(from, seed, from === here ? "h" : "t", at < turns / 3);
    const dice = seed.int(20);
    if (dice < 6)
      await handOver(from, to, seed.pick([700, 4000, 200_000]), () => seed.chance(0.05));
    if (dice === 6) await fetchParked(from, to);
    if (dice === 7) await from.restart();
    if (dice === 8) await meetAndKeepHouse(sites);
    if (dice === 9) await expectSameAfterRebuild(from);
    if (dice === 10 || dice === 11) await takeCopy(from);
    // What came behind the copy is replayed then, the same way or not.
    if (dice === 12) await losePower(from);
  }
  for (const site of sites) await expectSameAfterRebuild(site);
  await meetAndKeepHouse(sites);
  for (const site of sites) await expectSameAfterRebuild(site);
  await closeSimSites();
}

/** Takes a copy of the index, from which the next start behind a power cut goes on. */
function takeCopy({ machine, kv, directory }: SimSite): Promise<void> {
  return takeCheckpoint(machine.disk, kv, `${directory}/checkpoint`);
}

async function losePower(site: SimSite): Promise<void> {
  const kept = dumpRows(site.kv, site.hash);
  site.machine.cutPower();
  site.running = await site.machine.open();
  expectSameRows(dumpRows(site.kv, site.hash), kept);
}

/** What both have is dropped from the log as far as nothing rests on it. */
async function meetAndKeepHouse([here, there]: readonly [SimSite, SimSite]): Promise<void> {
  for (let round = 0; round < 2; round++) {
    await handOverAll(here, there);
    await handOverAll(there, here);
    await fetchParked(here, there);
    await fetchParked(there, here);
  }
  for (const site of [here, there]) {
    site.machine.clock.leap(LONG_MS);
    for (let look = 0; look < 2; look++) await site.store.keepHouse();
  }
}

test.each([1, 2, 3])(
  "an index made anew is the one that was served, whatever has happened (%i)",
  async (life) => {
    await expectSameIndexes(new Seed(`everything/${life}`), 60);
  },
);

test("a delete of another site that came too late is none in an index made anew either", async () => {
  const [here, there] = [await SimSite.open("late here"), await SimSite.open("late there")];
  const bucket = must(BUCKETS[0]);
  for (const site of [here, there]) await site.store.createBucket({ name: bucket, owner: "o" });
  const keys = ["a", "b", "c"].map(keyOf);
  for (const key of keys) await put(there.store, { bucket, key }, new Seed("early"));
  await handOverAll(there, here);
  // Of what each of them does next, only the first has to be decoded.
  for (const key of keys) await there.store.deleteObject({ bucket, key });
  here.machine.clock.leap(1000);
  for (const key of keys) await put(here.store, { bucket, key }, new Seed("late"));
  await handOverAll(there, here);
  for (const key of keys) expect(here.store.object(bucket, key)).toBeDefined();
  await expectSameAfterRebuild(here);
});

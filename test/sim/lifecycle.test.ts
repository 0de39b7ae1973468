import { expect, test } from "vitest";
import { VERSIONING_SETTING, versioningSetting } from "../../src/core/bucket-versioning.ts";
import { LIFECYCLE_SETTING } from "../../src/core/lifecycle-codec.ts";
import type { Hash } from "../../src/ports/hash.ts";
import type { Store } from "../../src/storage/store.ts";
import { lifecycleRule, lifecycleValue } from "../support/lifecycle-rules.ts";
import { Seed } from "./seed.ts";
import { createInlineHash } from "./sim-hash.ts";
import { dumpRows, type Running, SimMachine } from "./sim-machine.ts";
import { bucketOf, keyOf } from "./store-journal.ts";

const BUCKET = bucketOf("alpha");
const DAY_MS = 86_400_000;
const ATTRIBUTES = { system: [], user: [], storageClass: undefined, tags: [] };
const RULES = lifecycleValue(
  lifecycleRule({
    ...{ expiration: { kind: "days", days: 1 }, noncurrent: { days: 1, keep: 1 } },
    abortUploadDays: 1,
  }),
);

/** A bucket full of what its lifecycle will want, and one version that is locked. */
async function fill({ store }: Running["site"]): Promise<void> {
  const settings = new Map([
    [VERSIONING_SETTING, versioningSetting("enabled")],
    [LIFECYCLE_SETTING, RULES],
  ]);
  await store.createBucket({ name: BUCKET, owner: "owner", settings });
  for (let count = 0; count < 24; count++) {
    const key = `key-${count % 3}`;
    const bytes = Buffer.from(`${key} ${count}`);
    const object = {
      ...{ size: bytes.length, etag: count.toString(16).padStart(32, "0"), attributes: ATTRIBUTES },
      ...{ checksums: [], parts: [], encryption: undefined },
      ...(count === 0 ? { lock: { retention: undefined, legalHold: true } } : {}),
    };
    const body = { kind: "inline", bytes } as const;
    await store.putObject({ bucket: BUCKET, key: keyOf(key), object, body });
  }
  const upload = { bucket: BUCKET, key: keyOf("upload"), initiator: "i", attributes: ATTRIBUTES };
  await store.createUpload({ ...upload, encryption: undefined, checksum: undefined });
}

/** What there is, by key: object or marker, newest first, without ids. */
function show(store: Store): string[] {
  const cursor = store.versions(BUCKET);
  const shown: string[] = [];
  for (let version = cursor.next(); version !== undefined; version = cursor.next()) {
    if (version.kind === "object")
      shown.push(`${version.object.key} ${version.object.record.etag}`);
    else shown.push(`${version.key} marker`);
  }
  cursor.close();
  return shown;
}

async function prepare(hash: Hash, name: string): Promise<[SimMachine, Running]> {
  const machine = new SimMachine(new Seed(name), { hash, directIo: "on", segmentBytes: 16 * 1024 });
  const running = await machine.open();
  await fill(running.site);
  machine.clock.leap(3 * DAY_MS);
  return [machine, running];
}

/** Runs until there is nothing left to do at this moment. */
async function settle({ site }: Running): Promise<void> {
  for (let times = 0; times < 3; times++) await site.lifecycle.runNow(undefined);
}

test("a lifecycle cut at any step leaves whole versions, and ends where it would have", async () => {
  const hash = await createInlineHash();
  const [machine, running] = await prepare(hash, "lifecycle/whole");
  const full = show(running.site.store);
  const begun = machine.disk.steps.steps;
  await settle(running);
  const done = show(running.site.store);
  // Three keys: a marker, what it hid, and in one of them the version under a legal hold.
  expect(done).toHaveLength(3 + 3 + 1);
  const total = machine.disk.steps.steps - begun;
  expect(total).toBeGreaterThan(4);
  for (let step = 1; step <= total; step++) {
    const [cut, before] = await prepare(hash, `lifecycle/${step}`);
    cut.disk.steps.cutPowerAt(cut.disk.steps.steps + step, { hang: true });
    const work = settle(before).catch(() => undefined);
    await Promise.race([work, cut.disk.steps.cut]);
    if (step % 2 === 0) cut.cutPower();
    else cut.kill();
    const after = await cut.open();
    const left = show(after.site.store);
    // Nothing is there that was not, but for the markers, and the newest of each key is.
    const objects = left.filter((line) => !line.endsWith("marker"));
    expect(full).toEqual(expect.arrayContaining(objects));
    for (const key of ["key-0", "key-1", "key-2"]) {
      expect(left.some((line) => line.startsWith(`${key} `))).toBe(true);
    }
    await after.site.lifecycle.runDue();
    await settle(after);
    expect(show(after.site.store)).toEqual(done);
    const kept = dumpRows(after.kv, hash);
    await after.site.close();
    const rebuilt = await cut.open({ rebuildIndex: true });
    expect(dumpRows(rebuilt.kv, hash)).toEqual(kept);
    await rebuilt.site.close();
  }
});

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { VERSIONING_SETTING, versioningSetting } from "../../src/core/bucket-versioning.ts";
import type { LifecycleRule } from "../../src/core/lifecycle.ts";
import { LIFECYCLE_SETTING } from "../../src/core/lifecycle-codec.ts";
import type { ObjectLock } from "../../src/core/object-lock-state.ts";
import { lifecycleStep } from "../../src/storage/lifecycle/lifecycle-step.ts";
import type { Store } from "../../src/storage/store.ts";
import { dumpRows, type Running } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { lifecycleRule, lifecycleValue } from "../support/lifecycle-rules.ts";
import { realSite, type SiteFixture, simulatedSite } from "../support/site-fixture.ts";

const DAY_MS = 86_400_000;
const BUCKET = bucketOf("alpha");

const afterDays = (days: number) => lifecycleRule({ expiration: { kind: "days", days } });

describe.each([
  ["a real directory", () => realSite("off")],
  ["a simulated disk", () => simulatedSite("on")],
])("the lifecycle of a bucket in %s", (_name, make) => {
  let fixture: SiteFixture;
  let running: Running;

  beforeEach(async () => {
    fixture = await make();
    running = await fixture.open();
  });

  afterEach(async () => {
    await running.site.close();
    fixture.remove();
  });

  const store = (): Store => running.site.store;
  const run = () => running.site.lifecycle.runNow(undefined);

  async function begin(
    versioning: "enabled" | "suspended" | undefined,
    ...rules: LifecycleRule[]
  ): Promise<void> {
    const settings = new Map<string, Uint8Array>();
    if (versioning !== undefined) settings.set(VERSIONING_SETTING, versioningSetting(versioning));
    await store().createBucket({ name: BUCKET, owner: "owner", settings });
    if (rules.length > 0) await follow(...rules);
  }

  async function follow(...rules: LifecycleRule[]): Promise<void> {
    const value = lifecycleValue(...rules);
    await store().putBucketSetting({ bucket: BUCKET, name: LIFECYCLE_SETTING, value });
  }

  async function put(
    key: string,
    change: { tags?: Array<readonly [string, string]>; lock?: ObjectLock } = {},
  ): Promise<void> {
    const { tags = [], lock } = change;
    const bytes = Buffer.from(key);
    const outcome = await store().putObject({
      bucket: BUCKET,
      key: keyOf(key),
      object: {
        size: bytes.length,
        etag: "0".repeat(32),
        attributes: { system: [], user: [], storageClass: undefined, tags },
        checksums: [],
        parts: [],
        encryption: undefined,
        ...(lock === undefined ? {} : { lock }),
      },
      body: { kind: "inline", bytes },
    });
    expect(outcome.outcome).toBe("stored");
  }

  /** Every version as the word "key", "key marker", newest first. */
  function versions(): string[] {
    const cursor = store().versions(BUCKET);
    const shown: string[] = [];
    for (let version = cursor.next(); version !== undefined; version = cursor.next()) {
      if (version.kind === "object") shown.push(version.object.key);
      else shown.push(`${version.key} marker`);
    }
    cursor.close();
    return shown;
  }

  test("removes objects once they are old enough, and no sooner", async () => {
    await begin(undefined, afterDays(1));
    await put("a");
    expect(await run()).toMatchObject({ examined: 1, expired: 0 });
    fixture.clock.leap(DAY_MS);
    expect(await run()).toMatchObject({ expired: 0 });
    await put("b");
    fixture.clock.leap(DAY_MS);
    expect(await run()).toMatchObject({ examined: 2, expired: 1, removed: 0, kept: 0 });
    expect(versions()).toEqual(["b"]);
  });

  test("puts delete markers where there are versions, and removes them when they hide nothing", async () => {
    await begin("enabled", {
      ...afterDays(1),
      noncurrent: { days: 1, keep: undefined },
    });
    await put("a");
    fixture.clock.leap(2 * DAY_MS);
    expect(await run()).toMatchObject({ expired: 1, removed: 0 });
    expect(versions()).toEqual(["a marker", "a"]);
    fixture.clock.leap(2 * DAY_MS);
    expect(await run()).toMatchObject({ expired: 0, removed: 1 });
    expect(versions()).toEqual(["a marker"]);
    expect(await run()).toMatchObject({ removed: 1 });
    expect(versions()).toEqual([]);
  });

  test("leaves one marker of the null version in a suspended bucket", async () => {
    await begin("suspended", afterDays(1));
    await put("a");
    fixture.clock.leap(2 * DAY_MS);
    expect(await run()).toMatchObject({ expired: 1 });
    expect(versions()).toEqual(["a marker"]);
    expect(store().version(BUCKET, keyOf("a"), "null")).toMatchObject({ kind: "delete-marker" });
  });

  test("keeps the newest noncurrent versions", async () => {
    await begin("enabled", lifecycleRule({ noncurrent: { days: 1, keep: 2 } }));
    for (let count = 0; count < 5; count++) await put("a");
    await put("b");
    fixture.clock.leap(3 * DAY_MS);
    expect(await run()).toMatchObject({ examined: 6, removed: 2 });
    expect(versions()).toEqual(["a", "a", "a", "b"]);
  });

  test("walks only what its prefixes can find", async () => {
    await begin(undefined, { ...afterDays(1), filter: { ...afterDays(1).filter, prefix: "b/" } });
    for (const key of ["a", "b/1", "b/2", "c"]) await put(key);
    fixture.clock.leap(2 * DAY_MS);
    expect(await run()).toMatchObject({ examined: 2, expired: 2 });
    expect(versions()).toEqual(["a", "c"]);
  });

  test("goes by the tags that a version has now", async () => {
    const tagged = { ...afterDays(1).filter, tags: [["tmp", "1"]] as const };
    await begin("enabled", { ...afterDays(1), filter: tagged });
    await put("a", { tags: [["tmp", "1"]] });
    await put("b", { tags: [["tmp", "1"]] });
    const change = { kind: "tags", tags: [] } as const;
    await store().changeObject({ bucket: BUCKET, key: keyOf("a"), change });
    fixture.clock.leap(2 * DAY_MS);
    expect(await run()).toMatchObject({ expired: 1 });
    expect(versions()).toEqual(["a", "b marker", "b"]);
  });

  test("never removes what is under retention or a legal hold", async () => {
    await begin("enabled", lifecycleRule({ noncurrent: { days: 1, keep: undefined } }));
    const untilMs = fixture.clock.nowMs() + 10 * DAY_MS;
    const retention = { mode: "GOVERNANCE", untilMs } as const;
    await put("held", { lock: { retention: undefined, legalHold: true } });
    await put("retained", { lock: { retention, legalHold: false } });
    await put("held");
    await put("retained");
    fixture.clock.leap(3 * DAY_MS);
    expect(await run()).toMatchObject({ removed: 0, kept: 2 });
    fixture.clock.leap(10 * DAY_MS);
    expect(await run()).toMatchObject({ removed: 1, kept: 1 });
    expect(versions()).toEqual(["held", "held", "retained"]);
  });

  test("plans what is locked for when its retention ends, and a legal hold for never", async () => {
    await begin("enabled", lifecycleRule({ noncurrent: { days: 1, keep: undefined } }));
    const untilMs = fixture.clock.nowMs() + 10 * DAY_MS;
    const retention = { mode: "COMPLIANCE", untilMs } as const;
    await put("held", { lock: { retention, legalHold: true } });
    await put("held");
    await put("retained", { lock: { retention, legalHold: false } });
    await put("retained");
    const nowMs = fixture.clock.nowMs();
    const plan = await lifecycleStep(store(), {
      ...{ bucket: BUCKET, from: undefined, nowMs, dryRun: true },
    });
    expect(plan).toMatchObject({ kept: 1, actions: [{ key: "retained", dueMs: untilMs }] });
    expect(plan.actions).toHaveLength(1);
  });

  test("is refused by the commit what was locked after it was judged", async () => {
    await begin("enabled", lifecycleRule({ noncurrent: { days: 1, keep: undefined } }));
    await put("a");
    await put("a");
    fixture.clock.leap(3 * DAY_MS);
    const cursor = store().versions(BUCKET);
    cursor.next();
    const older = cursor.next();
    cursor.close();
    const setting = store().bucket(BUCKET)?.settings.get(LIFECYCLE_SETTING);
    if (older?.kind !== "object" || setting === undefined) throw new Error("not as it was made");
    const { version } = older.object;
    const name = { bucket: BUCKET, key: keyOf("a"), version };
    await store().changeObject({ ...name, change: { kind: "legal-hold", on: true } });
    const judged = { isNull: false, isLatest: false, setting, nowMs: fixture.clock.nowMs() };
    const outcome = await store().expireVersions([{ ...name, action: "remove", ...judged }]);
    expect(outcome).toEqual([{ outcome: "locked" }]);
    expect(versions()).toEqual(["a", "a"]);
  });

  test("aborts uploads in progress", async () => {
    await begin(undefined, lifecycleRule({ abortUploadDays: 2 }));
    const attributes = { system: [], user: [], storageClass: undefined, tags: [] };
    const upload = { bucket: BUCKET, key: keyOf("a"), initiator: "i", attributes };
    await store().createUpload({ ...upload, encryption: undefined, checksum: undefined });
    fixture.clock.leap(2 * DAY_MS);
    expect(await run()).toMatchObject({ uploadsAborted: 0 });
    fixture.clock.leap(DAY_MS);
    expect(await run()).toMatchObject({ uploadsAborted: 1 });
    expect(store().stats().multipartUploads).toBe(0);
  });

  test("aborts no upload once the rules are others, or while the clock is not believed", async () => {
    await begin(undefined, lifecycleRule({ abortUploadDays: 2 }));
    const attributes = { system: [], user: [], storageClass: undefined, tags: [] };
    const upload = { bucket: BUCKET, key: keyOf("a"), initiator: "i", attributes };
    const begun = { ...upload, encryption: undefined, checksum: undefined };
    for (let count = 0; count < 3; count++) await store().createUpload(begun);
    fixture.clock.leap(3 * DAY_MS);
    const { guard } = running.site;
    guard.arm();
    guard.look([-DAY_MS, -DAY_MS]);
    await expect(run()).rejects.toMatchObject({ kind: "clock" });
    expect(store().stats().multipartUploads).toBe(3);
    guard.accept();
    const slow: typeof running.site.store = {
      ...store(),
      abortUpload: async (...name) => {
        const aborted = await store().abortUpload(...name);
        await store().putBucketSetting({
          ...{ bucket: BUCKET, name: LIFECYCLE_SETTING, value: undefined },
        });
        return aborted;
      },
    };
    const from = { walk: "uploads", after: undefined } as const;
    const nowMs = fixture.clock.nowMs();
    const step = await lifecycleStep(slow, { bucket: BUCKET, from, nowMs, dryRun: false });
    expect(step).toMatchObject({ actions: [{ action: "abort-upload" }], kept: 2 });
    expect(store().stats().multipartUploads).toBe(2);
  });

  test("does nothing in a dry run, and tells what is due and when", async () => {
    await begin(undefined, afterDays(1));
    await put("a");
    const nowMs = fixture.clock.nowMs() + 9 * DAY_MS;
    const plan = await lifecycleStep(store(), {
      ...{ bucket: BUCKET, from: undefined, nowMs, dryRun: true },
    });
    expect(plan.actions).toEqual([
      {
        action: "expire",
        key: "a",
        id: "null",
        dueMs: expect.any(Number),
        ruleId: "rule",
      },
    ]);
    expect(versions()).toEqual(["a"]);
  });

  test("walks many versions in steps, and each only once", async () => {
    await begin("enabled", lifecycleRule({ noncurrent: { days: 1, keep: 3 } }));
    for (let count = 0; count < 130; count++) await put("a");
    for (let count = 0; count < 5; count++) await put("b");
    fixture.clock.leap(3 * DAY_MS);
    expect(await run()).toMatchObject({ examined: 135, removed: 127, kept: 0 });
    expect(versions()).toEqual(["a", "a", "a", "a", "b", "b", "b", "b"]);
    expect(await run()).toMatchObject({ examined: 8, removed: 0 });
  });

  test("is walked when due only: once a day, and when its rules change", async () => {
    await begin(undefined, afterDays(1));
    await put("a");
    const { lifecycle } = running.site;
    expect(await lifecycle.runDue()).toMatchObject({ examined: 1 });
    expect(await lifecycle.runDue()).toMatchObject({ examined: 0 });
    await follow(afterDays(3));
    expect(await lifecycle.runDue()).toMatchObject({ examined: 1 });
    fixture.clock.leap(DAY_MS);
    expect(await lifecycle.runDue()).toMatchObject({ examined: 1 });
    expect(lifecycle.stats()).toMatchObject({ passes: 3, examined: 3, running: false });
  });

  test("catches up after a restart, and an index made anew is the same", async () => {
    await begin("enabled", { ...afterDays(1), noncurrent: { days: 1, keep: undefined } });
    await put("a");
    await put("a");
    await put("b");
    await running.site.close();
    fixture.clock.leap(5 * DAY_MS);
    running = await fixture.open();
    expect(await running.site.lifecycle.runDue()).toMatchObject({ expired: 2, removed: 1 });
    const kept = dumpRows(running.kv, fixture.hash);
    await running.site.close();
    running = await fixture.open({ rebuildIndex: true });
    expect(dumpRows(running.kv, fixture.hash)).toEqual(kept);
    expect(versions()).toEqual(["a marker", "a", "b marker", "b"]);
  });

  describe("that was judged too early", () => {
    const nowMs = (): number => fixture.clock.nowMs();

    /** What a walk would have asked for, before something else happened. */
    async function due(key: string, action: "expire" | "remove", which = 0) {
      const cursor = store().versions(BUCKET);
      cursor.seek(key);
      let version = cursor.next();
      for (let skip = which; skip > 0; skip--) version = cursor.next();
      cursor.close();
      if (version === undefined) throw new Error("there is no such version");
      const id = version.kind === "object" ? version.object.version : version.version;
      const setting = store().bucket(BUCKET)?.settings.get(LIFECYCLE_SETTING);
      if (setting === undefined) throw new Error("there are no rules");
      const { isNull, isLatest } = version;
      const judged = { version: id, isNull, isLatest, setting, nowMs: nowMs() };
      return { bucket: BUCKET, key: keyOf(key), action, ...judged };
    }

    test("leaves what was written since", async () => {
      await begin(undefined, afterDays(1));
      await put("a");
      fixture.clock.leap(3 * DAY_MS);
      const request = await due("a", "expire");
      await put("a");
      expect(await store().expireVersions([request])).toEqual([{ outcome: "changed" }]);
      expect(versions()).toEqual(["a"]);
    });

    test("leaves a version that is current again", async () => {
      await begin("enabled", lifecycleRule({ noncurrent: { days: 1, keep: undefined } }));
      await put("a");
      await store().deleteObject({ bucket: BUCKET, key: keyOf("a") });
      fixture.clock.leap(3 * DAY_MS);
      const request = await due("a", "remove", 1);
      const marker = store().currentVersion(BUCKET, keyOf("a"));
      if (marker?.kind !== "delete-marker") throw new Error("no marker");
      const { version } = marker;
      await store().deleteObject({ bucket: BUCKET, key: keyOf("a"), version });
      expect(await store().expireVersions([request])).toEqual([{ outcome: "changed" }]);
      expect(versions()).toEqual(["a"]);
    });

    test("leaves a delete marker that hides something by now", async () => {
      await begin("suspended", afterDays(1));
      await store().deleteObject({ bucket: BUCKET, key: keyOf("a") });
      fixture.clock.leap(3 * DAY_MS);
      const request = await due("a", "remove");
      const value = versioningSetting("enabled");
      await store().putBucketSetting({ bucket: BUCKET, name: VERSIONING_SETTING, value });
      await put("a");
      expect(await store().expireVersions([request])).toEqual([{ outcome: "changed" }]);
      expect(versions()).toEqual(["a", "a marker"]);
    });

    test("leaves everything when the rules have changed or gone", async () => {
      await begin(undefined, afterDays(1));
      await put("a");
      fixture.clock.leap(3 * DAY_MS);
      const request = await due("a", "expire");
      await follow(afterDays(2));
      expect(await store().expireVersions([request])).toEqual([{ outcome: "changed" }]);
      await store().putBucketSetting({ bucket: BUCKET, name: LIFECYCLE_SETTING, value: undefined });
      expect(await store().expireVersions([request])).toEqual([{ outcome: "changed" }]);
      expect(versions()).toEqual(["a"]);
    });

    test("leaves what has lost its tag since", async () => {
      const tagged = { ...afterDays(1).filter, tags: [["tmp", "1"]] as const };
      await begin(undefined, { ...afterDays(1), filter: tagged });
      await put("a", { tags: [["tmp", "1"]] });
      fixture.clock.leap(3 * DAY_MS);
      const request = await due("a", "expire");
      const change = { kind: "tags", tags: [] } as const;
      await store().changeObject({ bucket: BUCKET, key: keyOf("a"), change });
      expect(await store().expireVersions([request])).toEqual([{ outcome: "changed" }]);
      expect(versions()).toEqual(["a"]);
    });
  });

  test("does nothing when its rules cannot be read, and other buckets go on", async () => {
    await begin(undefined, afterDays(1));
    await put("a");
    fixture.clock.leap(3 * DAY_MS);
    const broken = bucketOf("aaa");
    const settings = new Map([[LIFECYCLE_SETTING, Buffer.of(1, 0)]]);
    await store().createBucket({ name: broken, owner: "owner", settings });
    await expect(run()).rejects.toThrow(/no rules/);
    expect(versions()).toEqual([]);
  });
});

import { describe, expect, test } from "vitest";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import { listingOf } from "../../src/core/object-listing.ts";
import type { ObjectLock } from "../../src/core/object-lock-state.ts";
import type {
  ChangeObjectRequest,
  DeleteObjectRequest,
  DeleteOutcome,
  ListedVersion,
  PutObjectRequest,
  RequestedChange,
  StoredVersion,
} from "../../src/storage/store.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { SITES, useSite } from "../support/site-suite.ts";

const alpha = bucketOf("alpha");
const HOUR_MS = 3_600_000;
const LARGE_BYTES = 150_000;

/** What a listing must show of a version that has been read whole. */
function listingOfVersion(found: StoredVersion): ListedVersion {
  const { key, isLatest } = found;
  const version = found.isNull ? "null" : found.version;
  if (found.kind === "delete-marker") {
    const { kind, deletedMs } = found;
    return { key, isLatest, shown: { kind, version, deletedMs } };
  }
  const listing = listingOf(found.object.record);
  return { key, isLatest, shown: { kind: "object", version, listing } };
}

describe.each(SITES)("versions in %s", (_name, make) => {
  const { store, fixture, expectSameRowsAfterRebuild } = useSite(make);

  async function setVersioning(state: "enabled" | "suspended"): Promise<void> {
    const value = versioningSetting(state);
    const done = await store().putBucketSetting({ bucket: alpha, name: "versioning", value });
    expect(done.outcome).toBe("stored");
  }

  function putRequest(key: string, text: string, lock?: ObjectLock): PutObjectRequest {
    const bytes = Buffer.from(text);
    const attributes = { system: [], user: [], storageClass: undefined, tags: [] };
    const etag = Buffer.from(text.slice(0, 16).padEnd(16)).toString("hex");
    return {
      ...{ bucket: alpha, key: keyOf(key) },
      object: {
        ...{ size: bytes.length, etag, attributes, checksums: [], parts: [] },
        encryption: undefined,
        ...(lock === undefined ? {} : { lock }),
      },
      body: { kind: "inline", bytes },
    };
  }

  async function put(key: string, text: string, lock?: ObjectLock): Promise<string> {
    const done = await store().putObject(putRequest(key, text, lock));
    if (done.outcome !== "stored") throw new Error(done.outcome);
    expect(store().object(alpha, keyOf(key))?.version).toBe(done.stored.version);
    return done.stored.version;
  }

  async function putLarge(key: string, fill: number): Promise<void> {
    const writer = await store().stageBody();
    await writer.write(Buffer.alloc(LARGE_BYTES, fill));
    const request = putRequest(key, "");
    const object = { ...request.object, size: LARGE_BYTES };
    const body = { kind: "staged", staged: await writer.finish() } as const;
    expect((await store().putObject({ ...request, object, body })).outcome).toBe("stored");
  }

  type Id = DeleteObjectRequest["version"];

  function remove(key: string, version?: string, bypass = false): Promise<DeleteOutcome> {
    return store().deleteObject({
      ...{ bucket: alpha, key: keyOf(key), bypassGovernance: bypass },
      ...(version === undefined ? {} : { version: version as NonNullable<Id> }),
    });
  }

  async function change(key: string, wanted: RequestedChange, version?: string): Promise<string> {
    const request: ChangeObjectRequest = {
      ...{ bucket: alpha, key: keyOf(key), change: wanted },
      ...(version === undefined ? {} : { version: version as NonNullable<Id> }),
    };
    return (await store().changeObject(request)).outcome;
  }

  function all(): StoredVersion[] {
    const cursor = store().versions(alpha);
    const found: StoredVersion[] = [];
    for (let next = cursor.next(); next !== undefined; next = cursor.next()) found.push(next);
    cursor.close();
    expect(listed()).toEqual(found.map(listingOfVersion));
    return found;
  }

  function listed(): ListedVersion[] {
    const cursor = store().listedVersions(alpha);
    const found: ListedVersion[] = [];
    for (let next = cursor.next(); next !== undefined; next = cursor.next()) found.push(next);
    cursor.close();
    return found;
  }

  /** Each version as "key: what it holds", with what clients see of it. */
  async function shown(): Promise<string[]> {
    const lines: string[] = [];
    for (const version of all()) {
      const flags = `${version.isLatest ? " latest" : ""}${version.isNull ? " null" : ""}`;
      if (version.kind === "delete-marker") {
        lines.push(`${version.key}: deleted${flags}`);
        continue;
      }
      const { object } = version;
      const bytes = await readBody(store(), object, 0, object.record.size);
      lines.push(`${object.key}: ${bytes.subarray(0, 20)}${flags}`);
      const small = store().readSmallBody(object, { start: 0, end: object.record.size });
      if (small !== undefined) expect(bytes.equals(small)).toBe(true);
      const id = object.isNull ? "null" : object.version;
      expect(store().version(alpha, object.key, id)).toEqual(version);
      if (version.isLatest) expect(store().currentVersion(alpha, object.key)).toEqual(version);
    }
    return lines;
  }

  async function expectSameAfterRebuild(): Promise<void> {
    const before = await shown();
    await expectSameRowsAfterRebuild();
    expect(await shown()).toEqual(before);
  }

  test("are kept in a bucket with versioning, newest first, and survive a rebuild", async () => {
    await put("a", "before");
    await setVersioning("enabled");
    await put("a", "one");
    await put("a", "two");
    await put("b", "other");
    expect(await remove("a")).toMatchObject({ outcome: "deleted", existed: true });
    expect(store().object(alpha, keyOf("a"))).toBeUndefined();
    const current = store().currentVersion(alpha, keyOf("a"));
    expect(current).toMatchObject({ kind: "delete-marker", isNull: false, isLatest: true });
    await put("a", "three");
    const lines = [
      "a: three latest",
      "a: deleted",
      "a: two",
      "a: one",
      "a: before null",
      "b: other latest",
    ];
    expect(await shown()).toEqual(lines);
    const usage = store().bucketUsage(alpha);
    expect(usage).toMatchObject({ objects: 2, versions: 5, deleteMarkers: 1 });
    expect(usage.bytes).toBe("beforeonetwootherthree".length);
    expect(store().stats()).toMatchObject({ objects: 2, versions: 5, deleteMarkers: 1 });
    await expectSameAfterRebuild();
  });

  test("come back when what was on top of them is removed for good", async () => {
    await setVersioning("enabled");
    const one = await put("a", "one");
    const two = await put("a", "two");
    const marker = await remove("a");
    if (marker.outcome !== "deleted" || marker.deleteMarker === undefined) throw new Error("none");
    expect(await shown()).toEqual(["a: deleted latest", "a: two", "a: one"]);
    const undone = await remove("a", marker.deleteMarker);
    expect(undone).toMatchObject({ existed: true, removedMarker: true, deleteMarker: undefined });
    expect(await shown()).toEqual(["a: two latest", "a: one"]);
    expect(await remove("a", two)).toMatchObject({ existed: true, removedMarker: false });
    expect(await shown()).toEqual(["a: one latest"]);
    expect(await remove("a", two)).toMatchObject({ outcome: "deleted", existed: false });
    await expectSameAfterRebuild();
    await remove("a", one);
    expect(await shown()).toEqual([]);
    expect(store().bucketUsage(alpha)).toMatchObject({ objects: 0, bytes: 0, versions: 0 });
    expect((await store().deleteBucket(alpha)).outcome).toBe("deleted");
  });

  test("leave the null version to be replaced while versioning is suspended", async () => {
    await put("a", "plain");
    await setVersioning("enabled");
    const kept = await put("a", "kept");
    await setVersioning("suspended");
    await put("a", "second");
    expect(await shown()).toEqual(["a: second latest null", "a: kept"]);
    expect(await remove("a")).toMatchObject({ existed: true, deleteMarker: "null" });
    expect(await shown()).toEqual(["a: deleted latest null", "a: kept"]);
    await put("a", "third");
    expect(await shown()).toEqual(["a: third latest null", "a: kept"]);
    await setVersioning("enabled");
    await put("a", "fourth");
    await setVersioning("suspended");
    await put("a", "fifth");
    expect(await shown()).toEqual(["a: fifth latest null", "a: fourth", "a: kept"]);
    expect(await remove("a", "null")).toMatchObject({ existed: true, removedMarker: false });
    expect(await remove("a", "null")).toMatchObject({ existed: false });
    expect(await shown()).toEqual(["a: fourth latest", "a: kept"]);
    await remove("a", kept);
    await expectSameAfterRebuild();
  });

  test("hide under a marker even where nothing was", async () => {
    expect(await remove("never")).toMatchObject({ existed: false, deleteMarker: undefined });
    expect(await shown()).toEqual([]);
    await setVersioning("enabled");
    const first = await remove("never");
    expect(first).toMatchObject({ outcome: "deleted", existed: false });
    await remove("never");
    expect(await shown()).toEqual(["never: deleted latest", "never: deleted"]);
    expect((await store().deleteBucket(alpha)).outcome).toBe("not-empty");
    await expectSameAfterRebuild();
  });

  test("keep their bytes as long as one of them is there, and not longer", async () => {
    await setVersioning("enabled");
    await putLarge("a", 1);
    await putLarge("a", 2);
    await putLarge("b", 1);
    await put("a", "small");
    const large = all().filter(({ isLatest, kind }) => !isLatest && kind === "object");
    expect(large).toHaveLength(2);
    const live = store().stats().segments.liveBytes;
    expect(live).toBe(2 * LARGE_BYTES + "small".length);
    for (const version of all()) {
      if (version.kind === "object") await remove(version.object.key, version.object.version);
    }
    expect(store().stats().segments.liveBytes).toBe(0);
    for (let times = 0; times < 3; times++) {
      await store().keepHouse();
      fixture().clock.leap(11 * 60_000);
    }
    await expectSameAfterRebuild();
  });

  test("keep the chunks of a null version that is copied onto itself", async () => {
    await setVersioning("enabled");
    await put("a", "older");
    await setVersioning("suspended");
    await putLarge("a", 1);
    const source = store().object(alpha, keyOf("a"));
    if (source === undefined) throw new Error("it is there");
    const { object } = putRequest("a", "");
    const copy = {
      ...{ bucket: alpha, key: keyOf("a"), object: { ...object, size: LARGE_BYTES } },
      body: { kind: "shared", source } as const,
    };
    expect((await store().putObject(copy)).outcome).toBe("stored");
    expect(await shown()).toHaveLength(2);
    await expectSameAfterRebuild();
  });

  test("are judged one after another, also in one batch", async () => {
    await setVersioning("enabled");
    const writes = Array.from({ length: 8 }, (_, number) => {
      return store().putObject(putRequest("a", `text ${number}`));
    });
    await Promise.all([...writes, remove("a"), store().putObject(putRequest("a", "last"))]);
    const lines = await shown();
    expect(lines[0]).toBe("a: last latest");
    expect(lines[1]).toBe("a: deleted");
    expect(lines.slice(2)).toEqual([7, 6, 5, 4, 3, 2, 1, 0].map((number) => `a: text ${number}`));
    const ids = all().map((one) => (one.kind === "object" ? one.object.version : one.version));
    const requests = ids.map((version) => ({ bucket: alpha, key: keyOf("a"), version }));
    const outcomes = await store().deleteObjects(requests);
    expect(outcomes.every((one) => one.outcome === "deleted" && one.existed)).toBe(true);
    expect(await shown()).toEqual([]);
    await expectSameAfterRebuild();
  });

  test("are found by a cursor from any place, without reading what lies between", async () => {
    await setVersioning("enabled");
    for (const key of ["a", "dir/x", "dir/y", "e", "é"]) {
      for (const text of ["1", "2", "3"]) await put(key, text);
    }
    await remove("dir/y");
    const cursor = store().versions(alpha);
    cursor.seekPast("dir/");
    expect(cursor.next()).toMatchObject({ isLatest: true, object: { key: "e" } });
    const [first] = all().filter((one) => one.kind === "object" && one.object.key === "e");
    if (first?.kind !== "object") throw new Error("it is there");
    cursor.seekAfter("e", first.object.version);
    expect(cursor.next()).toMatchObject({ isLatest: false, object: { key: "e" } });
    cursor.seekAfter("e", undefined);
    expect(cursor.next()).toMatchObject({ isLatest: true, object: { key: "é" } });
    cursor.seek("dir/y");
    expect(cursor.next()).toMatchObject({ kind: "delete-marker", key: "dir/y", isLatest: true });
    expect(cursor.next()).toMatchObject({ isLatest: false, object: { key: "dir/y" } });
    const listed = store().listedVersions(alpha);
    for (const found of all()) {
      for (const id of [found.isNull ? "null" : found.version, undefined] as const) {
        cursor.seekAfter(found.key, id);
        listed.seekAfter(found.key, id);
        const next = cursor.next();
        expect(listed.next()).toEqual(next === undefined ? undefined : listingOfVersion(next));
      }
    }
    listed.close();
    cursor.close();
  });

  test("are walked one row a step, and one looked at ahead in the other table", async () => {
    await setVersioning("enabled");
    for (const key of ["a", "dir/x", "dir/y", "e", "é"]) {
      for (const text of ["1", "2", "3"]) await put(key, text);
    }
    await remove("dir/y");
    const cursor = store().versions(alpha);
    cursor.seekPast("dir/");
    expect(cursor.next()).toMatchObject({ isLatest: true, key: "e" });
    cursor.seek("dir/y");
    for (let step = 0; step < 6; step++) expect(cursor.next()).toBeDefined();
    // Each step reads a row, and looks at one ahead in the other table.
    expect(cursor.rowsRead).toBeLessThan(16);
    cursor.close();
  });

  test("cost a page the same where keys have many of them and where keys have one", async () => {
    const rowsOfPage = async (prefix: string, keys: number, versions: number): Promise<number> => {
      for (let key = 0; key < keys; key++) {
        const name = `${prefix}/${String(key).padStart(3, "0")}`;
        await Promise.all(
          Array.from({ length: versions }, () => store().putObject(putRequest(name, "x"))),
        );
      }
      const cursor = store().versions(alpha);
      cursor.seek(`${prefix}/`);
      for (let read = 0; read < 20; read++) expect(cursor.next()).toBeDefined();
      cursor.close();
      return cursor.rowsRead;
    };
    await setVersioning("enabled");
    const many = await rowsOfPage("many", 2, 100);
    const single = await rowsOfPage("single", 200, 1);
    expect(many).toBeLessThanOrEqual(22);
    expect(single).toBeLessThanOrEqual(22);
    const objects = store().objects(alpha);
    objects.seek("many/");
    expect(objects.next()?.key).toBe("many/000");
    expect(objects.next()?.key).toBe("many/001");
    expect(objects.rowsRead).toBe(2);
    objects.close();
  });

  test("take changes of tags, holds and envelopes, and keep their time and bytes", async () => {
    await put("n", "null");
    await setVersioning("enabled");
    const one = await put("a", "one");
    await put("a", "two");
    const before = store().object(alpha, keyOf("a"));
    const tags = [["k", "v"]] as const;
    expect(await change("a", { kind: "tags", tags })).toBe("changed");
    expect(await change("a", { kind: "tags", tags: [["old", "1"]] }, one)).toBe("changed");
    expect(await change("n", { kind: "tags", tags }, "null")).toBe("changed");
    const envelope = Buffer.from("sealed");
    expect(await change("a", { kind: "encryption", envelope }, one)).toBe("changed");
    const after = store().object(alpha, keyOf("a"));
    expect(after?.record.attributes.tags).toEqual(tags);
    expect(after?.record.lastModifiedMs).toBe(before?.record.lastModifiedMs);
    expect(after?.version).toBe(before?.version);
    const older = store().version(alpha, keyOf("a"), one as NonNullable<Id>);
    expect(older).toMatchObject({ object: { record: { attributes: { tags: [["old", "1"]] } } } });
    expect(older?.kind === "object" && older.object.record.encryption?.toString()).toBe("sealed");
    await expectSameAfterRebuild();
    expect(await change("a", { kind: "tags", tags: [] })).toBe("changed");
    expect(store().object(alpha, keyOf("a"))?.record.attributes.tags).toEqual([]);
    expect(await change("none", { kind: "tags", tags })).toBe("no-such-key");
    expect(await change("none", { kind: "tags", tags }, one)).toBe("no-such-version");
    await remove("a");
    expect(await change("a", { kind: "tags", tags })).toBe("delete-marker");
    await remove("a", one);
    await put("n", "another");
    await expectSameAfterRebuild();
  });

  test("under retention or a hold are not deleted before their time", async () => {
    await setVersioning("enabled");
    const untilMs = fixture().clock.nowMs() + 24 * HOUR_MS;
    const governed = { retention: { mode: "GOVERNANCE", untilMs }, legalHold: false } as const;
    const one = await put("a", "one", governed);
    expect(await remove("a", one)).toEqual({ outcome: "locked" });
    expect(await remove("a")).toMatchObject({ outcome: "deleted" });
    const on = { kind: "legal-hold", on: true } as const;
    expect(await change("a", on, one)).toBe("changed");
    expect(await remove("a", one, true)).toEqual({ outcome: "locked" });
    await expectSameAfterRebuild();
    expect(await change("a", { ...on, on: false }, one)).toBe("changed");
    expect(await remove("a", one)).toEqual({ outcome: "locked" });
    expect(await remove("a", one, true)).toMatchObject({ existed: true });

    const two = await put("b", "two");
    const retain = (mode: "GOVERNANCE" | "COMPLIANCE", hours: number, bypassGovernance = false) =>
      change(
        "b",
        {
          ...{ kind: "retention", bypassGovernance },
          retention: { mode, untilMs: fixture().clock.nowMs() + hours * HOUR_MS },
        },
        two,
      );
    expect(await retain("GOVERNANCE", 10)).toBe("changed");
    expect(await retain("GOVERNANCE", 9)).toBe("locked");
    expect(await retain("GOVERNANCE", 8, true)).toBe("changed");
    expect(await retain("COMPLIANCE", 10, true)).toBe("changed");
    expect(await retain("COMPLIANCE", 9, true)).toBe("locked");
    expect(await retain("GOVERNANCE", 20, true)).toBe("locked");
    expect(await retain("COMPLIANCE", 11)).toBe("changed");
    const none = { kind: "retention", retention: undefined, bypassGovernance: true } as const;
    expect(await change("b", none, two)).toBe("locked");
    expect(await remove("b", two, true)).toEqual({ outcome: "locked" });
    await expectSameAfterRebuild();
    fixture().clock.leap(12 * HOUR_MS);
    expect(await remove("b", two)).toMatchObject({ outcome: "deleted", existed: true });
    await expectSameAfterRebuild();
  });

  test("that are null and locked are not overwritten", async () => {
    const untilMs = fixture().clock.nowMs() + HOUR_MS;
    const lock = { retention: { mode: "COMPLIANCE", untilMs }, legalHold: false } as const;
    await put("a", "one", lock);
    const again = await store().putObject(putRequest("a", "two"));
    expect(again.outcome).toBe("locked");
    expect(await remove("a")).toEqual({ outcome: "locked" });
    await setVersioning("enabled");
    await put("a", "three");
    await setVersioning("suspended");
    expect((await store().putObject(putRequest("a", "four"))).outcome).toBe("locked");
    expect(await remove("a")).toEqual({ outcome: "locked" });
    expect(await shown()).toEqual(["a: three latest", "a: one null"]);
    fixture().clock.leap(2 * HOUR_MS);
    await put("a", "five");
    expect(await shown()).toEqual(["a: five latest null", "a: three"]);
    await expectSameAfterRebuild();
  });

  test("are judged by conditions of the version that is named", async () => {
    await setVersioning("enabled");
    const one = await put("a", "one");
    await put("a", "two");
    const etag = store().object(alpha, keyOf("a"))?.record.etag ?? "";
    const conditions = { ifMatch: [etag] };
    const name = { bucket: alpha, key: keyOf("a"), version: one as NonNullable<Id> };
    const wrong = await store().deleteObject({ ...name, conditions });
    expect(wrong.outcome).toBe("precondition-failed");
    await remove("a");
    const created = await store().putObject({
      ...putRequest("a", "three"),
      conditions: { ifNoneMatch: ["*"] },
    });
    expect(created.outcome).toBe("stored");
  });
});

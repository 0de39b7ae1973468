import { describe, expect, test } from "vitest";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { SITES, useSite } from "../support/site-suite.ts";
import { LARGE_BYTES, listingOfVersion, useVersions } from "../support/version-suite.ts";

const alpha = bucketOf("alpha");

describe.each(SITES)("versions in %s", (_name, make) => {
  const site = useSite(make);
  const { store, fixture } = site;
  const { setVersioning, putRequest, put, putLarge, remove, all, shown, expectSameAfterRebuild } =
    useVersions(site);

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
});

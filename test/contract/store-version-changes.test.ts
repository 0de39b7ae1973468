import { describe, expect, test } from "vitest";
import type { DeleteObjectRequest } from "../../src/storage/store.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { SITES, useSite } from "../support/site-suite.ts";
import { useVersions } from "../support/version-suite.ts";

const alpha = bucketOf("alpha");
const HOUR_MS = 3_600_000;

type Id = DeleteObjectRequest["version"];

describe.each(SITES)("versions that are changed or locked in %s", (_name, make) => {
  const site = useSite(make);
  const { store, fixture } = site;
  const { setVersioning, putRequest, put, remove, change, shown, expectSameAfterRebuild } =
    useVersions(site);

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

  test("are judged by conditions on the current version, whichever is named", async () => {
    await setVersioning("enabled");
    const one = await put("a", "one");
    const former = store().object(alpha, keyOf("a"))?.record.etag ?? "";
    await put("a", "two");
    const etag = store().object(alpha, keyOf("a"))?.record.etag ?? "";
    const name = { bucket: alpha, key: keyOf("a"), version: one as NonNullable<Id> };
    const when = async (ifMatch: string) =>
      (await store().deleteObject({ ...name, conditions: { ifMatch: [ifMatch] } })).outcome;
    expect(await when(former)).toBe("precondition-failed");
    expect(await when(etag)).toBe("deleted");
    expect(await shown()).toEqual(["a: two latest"]);
    await remove("a");
    // A marker hides the key, which is not the same as never having been there.
    expect(await when("*")).toBe("precondition-failed");
    const nowhere = { ...name, key: keyOf("b"), conditions: { ifMatch: ["*"] } };
    expect((await store().deleteObject(nowhere)).outcome).toBe("no-such-key");
    const created = await store().putObject({
      ...putRequest("a", "three"),
      conditions: { ifNoneMatch: ["*"] },
    });
    expect(created.outcome).toBe("stored");
  });
});

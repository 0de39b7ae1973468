import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import { dumpRows, type Running } from "../sim/sim-machine.ts";
import { bucketOf } from "../sim/store-journal.ts";
import { realSite, type SiteFixture, simulatedSite } from "../support/site-fixture.ts";

const alpha = bucketOf("alpha");
const ENABLED = versioningSetting("enabled");
const SUSPENDED = versioningSetting("suspended");

describe.each([
  ["a real directory", () => realSite("off")],
  ["a simulated disk", () => simulatedSite("on")],
])("settings of buckets in %s", (_name, make) => {
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

  function shown(): Record<string, string> {
    const settings = running.site.store.bucket(alpha)?.settings ?? new Map<string, Uint8Array>();
    return Object.fromEntries([...settings].map(([name, value]) => [name, `${value}`]).sort());
  }

  async function put(name: string, value: Uint8Array | undefined): Promise<string> {
    return (await running.site.store.putBucketSetting({ bucket: alpha, name, value })).outcome;
  }

  async function expectSameAfterRebuild(): Promise<void> {
    const before = shown();
    const kept = dumpRows(running.kv, fixture.hash);
    await running.site.close();
    running = await fixture.open({ rebuildIndex: true });
    expect(dumpRows(running.kv, fixture.hash)).toEqual(kept);
    expect(shown()).toEqual(before);
  }

  test("are kept, replaced and removed, over restarts and rebuilds", async () => {
    expect(await put("policy", Buffer.from("{}"))).toBe("no-such-bucket");
    await running.site.store.createBucket({ name: alpha, owner: "o" });
    expect(await put("policy", Buffer.from("one"))).toBe("stored");
    expect(await put("cors", Buffer.from("two"))).toBe("stored");
    expect(await put("policy", Buffer.from("three"))).toBe("stored");
    expect(await put("cors", undefined)).toBe("stored");
    expect(shown()).toEqual({ policy: "three" });
    await expectSameAfterRebuild();
  });

  test("come with the bucket when they are given at its creation, and go with it", async () => {
    const settings = new Map([
      ["versioning", ENABLED],
      ["object-lock", Buffer.from("lock")],
    ]);
    const { store } = running.site;
    const created = await store.createBucket({ name: alpha, owner: "o", settings });
    expect(created.outcome).toBe("created");
    const again = await store.createBucket({ name: alpha, owner: "o", settings: new Map() });
    expect(again.outcome).toBe("exists");
    expect(shown()).toEqual({ "object-lock": "lock", versioning: "\u0001" });
    await expectSameAfterRebuild();
    expect((await running.site.store.deleteBucket(alpha)).outcome).toBe("deleted");
    await running.site.store.createBucket({ name: alpha, owner: "o" });
    expect(shown()).toEqual({});
    await expectSameAfterRebuild();
  });

  test("stand in one order, whichever was set first and whichever is left in the log", async () => {
    const { store } = running.site;
    await store.createBucket({ name: alpha, owner: "o" });
    const keepHouse = async (): Promise<void> => {
      for (let times = 0; times < 3; times++) {
        await running.site.store.keepHouse();
        fixture.clock.leap(11 * 60_000);
      }
    };
    await put("policy", Buffer.from("old"));
    await keepHouse();
    await put("cors", Buffer.from("kept"));
    await keepHouse();
    await put("policy", Buffer.from("new"));
    await keepHouse();
    expect([...(running.site.store.bucket(alpha)?.settings.keys() ?? [])]).toEqual([
      "cors",
      "policy",
    ]);
    await expectSameAfterRebuild();
  });

  test("do not let versioning and object lock go back", async () => {
    await running.site.store.createBucket({ name: alpha, owner: "o" });
    expect(await put("object-lock", Buffer.from("lock"))).toBe("refused");
    expect(await put("versioning", Buffer.of(9))).toBe("refused");
    expect(await put("versioning", ENABLED)).toBe("stored");
    expect(await put("versioning", SUSPENDED)).toBe("stored");
    expect(await put("object-lock", Buffer.from("lock"))).toBe("refused");
    expect(await put("versioning", undefined)).toBe("refused");
    expect(await put("versioning", ENABLED)).toBe("stored");
    expect(await put("object-lock", Buffer.from("lock"))).toBe("stored");
    expect(await put("versioning", SUSPENDED)).toBe("refused");
    expect(await put("object-lock", undefined)).toBe("refused");
    expect(await put("object-lock", Buffer.from("other"))).toBe("stored");
    expect(shown()).toEqual({ "object-lock": "other", versioning: "\u0001" });
  });
});

import { expect, test } from "vitest";
import { VERSIONING_SETTING, versioningSetting } from "../../src/core/bucket-versioning.ts";
import { dueAction, type LifecycleRule } from "../../src/core/lifecycle.ts";
import { LIFECYCLE_SETTING } from "../../src/core/lifecycle-codec.ts";
import type { Store, StoredVersion } from "../../src/storage/store.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { lifecycleRule, lifecycleValue } from "../support/lifecycle-rules.ts";
import { fc } from "../support/properties.ts";
import { simulatedSite } from "../support/site-fixture.ts";

const BUCKET = bucketOf("alpha");
const DAY_MS = 86_400_000;
const KEYS = ["a", "a/b", "a/c", "b", "é"] as const;

type Event =
  | { readonly kind: "put"; readonly key: string; readonly tag: boolean; readonly bytes: number }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "wait"; readonly days: number };

const key = fc.constantFrom(...KEYS);
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      key,
      tag: fc.boolean(),
      bytes: fc.integer({ min: 0, max: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), key }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      days: fc.integer({ min: 1, max: 3 }),
    }),
  },
);
const days = fc.integer({ min: 1, max: 4 });
const rule: fc.Arbitrary<LifecycleRule> = fc
  .record({
    id: fc.constantFrom("one", "two", "three"),
    enabled: fc.boolean(),
    filter: fc.record({
      prefix: fc.constantFrom(undefined, "a/", "a", "é"),
      tags: fc.constantFrom([], [["tmp", "1"]] as const),
      sizeGreaterThan: fc.constantFrom(undefined, 1),
    }),
    expiration: fc.oneof(
      fc.constant(undefined),
      days.map((count) => ({ kind: "days", days: count }) as const),
      fc.constant({ kind: "markers", remove: true } as const),
    ),
    noncurrent: fc.option(fc.record({ days, keep: fc.constantFrom(undefined, 1, 2) }), {
      nil: undefined,
    }),
  })
  .map(lifecycleRule);

async function play(store: Store, happened: Event): Promise<void> {
  if (happened.kind === "wait") return;
  const name = { bucket: BUCKET, key: keyOf(happened.key) };
  if (happened.kind === "delete") {
    await store.deleteObject(name);
    return;
  }
  const bytes = Buffer.alloc(happened.bytes);
  const tags: Array<readonly [string, string]> = happened.tag ? [["tmp", "1"]] : [];
  const attributes = { system: [], user: [], storageClass: undefined, tags };
  const described = { etag: "0".repeat(32), checksums: [], parts: [], encryption: undefined };
  const object = { size: bytes.length, attributes, ...described };
  await store.putObject({ ...name, object, body: { kind: "inline", bytes } });
}

function list(store: Store): StoredVersion[] {
  const cursor = store.versions(BUCKET);
  const versions: StoredVersion[] = [];
  for (let next = cursor.next(); next !== undefined; next = cursor.next()) versions.push(next);
  cursor.close();
  return versions;
}

const nameOf = (version: StoredVersion) => (version.kind === "object" ? version.object : version);
const madeMsOf = (version: StoredVersion): number =>
  version.kind === "object" ? version.object.record.lastModifiedMs : version.deletedMs;

/** What should be left: each version with its place among those of its key, judged by itself. */
function expected(versions: StoredVersion[], rules: LifecycleRule[], nowMs: number): string[] {
  const left: string[] = [];
  for (const name of new Set(versions.map((version) => nameOf(version).key))) {
    const line = versions.filter((version) => nameOf(version).key === name);
    for (const [at, version] of line.entries()) {
      const successor = line[at - 1];
      const standing =
        successor === undefined
          ? ({ kind: "current", madeMs: madeMsOf(version), alone: line.length === 1 } as const)
          : ({ kind: "noncurrent", sinceMs: madeMsOf(successor), newer: at - 1 } as const);
      const what =
        version.kind === "object"
          ? ({
              kind: "object",
              size: version.object.record.size,
              tags: version.object.record.attributes.tags,
            } as const)
          : ({ kind: "delete-marker" } as const);
      const due = dueAction(rules, { key: name, version: what, standing });
      const isDue = due !== undefined && due.dueMs <= nowMs;
      if (isDue && due.action === "expire") left.push(`${name} a new marker`);
      if (!isDue || due.action === "expire") left.push(`${name} ${nameOf(version).version}`);
    }
  }
  return left;
}

test("a run leaves what the rules leave of each version, whatever has happened before", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { minLength: 1, maxLength: 25 }),
      fc.array(rule, { minLength: 1, maxLength: 3 }),
      async (events, rules) => {
        const fixture = await simulatedSite("off");
        const { site } = await fixture.open();
        const settings = new Map([
          [VERSIONING_SETTING, versioningSetting("enabled")],
          [LIFECYCLE_SETTING, lifecycleValue(...rules)],
        ]);
        await site.store.createBucket({ name: BUCKET, owner: "owner", settings });
        for (const happened of events) {
          if (happened.kind === "wait") fixture.clock.leap(happened.days * DAY_MS);
          await play(site.store, happened);
        }
        fixture.clock.leap(DAY_MS);
        const before = list(site.store);
        // An id is of a key: a marker's is made from that of the version below it.
        const idOf = (version: StoredVersion): string => {
          const { key: name, version: id } = nameOf(version);
          return `${name} ${id}`;
        };
        const known = new Set(before.map(idOf));
        const wanted = expected(before, rules, fixture.clock.nowMs());
        const done = await site.lifecycle.runNow(undefined);
        const after = list(site.store).map((version) => {
          const id = idOf(version);
          return known.has(id) ? id : `${nameOf(version).key} a new marker`;
        });
        expect(after).toEqual(wanted);
        expect(done.removed).toBe(before.length - (after.length - done.expired));
        await site.close();
        fixture.remove();
      },
    ),
    { numRuns: 60 },
  );
});

test("the days of an older version count from when an object was renamed in front of it", async () => {
  const fixture = await simulatedSite("off");
  const { site } = await fixture.open();
  const { store, lifecycle } = site;
  const settings = new Map([
    [VERSIONING_SETTING, versioningSetting("enabled")],
    [LIFECYCLE_SETTING, lifecycleValue(lifecycleRule({ noncurrent: { days: 10, keep: 0 } }))],
  ]);
  await store.createBucket({ name: BUCKET, owner: "owner", settings });
  for (const name of ["a", "b"]) {
    await play(store, { kind: "put", key: name, tag: false, bytes: 1 });
  }
  fixture.clock.leap(30 * DAY_MS);
  // The object keeps its time of modification, a month ago.
  await store.renameObject({
    ...{ bucket: BUCKET, source: keyOf("a"), key: keyOf("b"), token: undefined },
  });
  const keys = () => list(store).map((version) => `${version.kind} ${nameOf(version).key}`);
  const all = ["delete-marker a", "object a", "object b", "object b"];
  expect(await lifecycle.runNow(undefined)).toMatchObject({ removed: 0 });
  expect(keys()).toEqual(all);
  fixture.clock.leap(12 * DAY_MS);
  expect(await lifecycle.runNow(undefined)).toMatchObject({ removed: 2 });
  expect(keys()).toEqual(["delete-marker a", "object b"]);
  await site.close();
  fixture.remove();
});

import { setImmediate } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { ByteWriter } from "../../src/core/bytes.ts";
import { hlcFromMs } from "../../src/core/hlc.ts";
import { parseOriginId, parseSeq, parseSiteId } from "../../src/core/names.ts";
import { encodeOperation } from "../../src/core/operation-codec.ts";
import type { SiteRecord } from "../../src/core/site-record.ts";
import { required } from "../../src/core/tagged-fields.ts";
import type { ImportOutcome } from "../../src/storage/logical-rows.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { closeSimSites, SimSite } from "../support/sim-site.ts";

const HOUR_MS = 3_600_000;
const alpha = bucketOf("alpha");
const OTHER = required(parseOriginId("bb".repeat(8)), "origin");
const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };
const OBJECT = {
  ...{ size: 4, etag: "e".repeat(32), attributes: PLAIN },
  ...{ checksums: [], parts: [], encryption: undefined },
};
const MEMBER: SiteRecord = {
  ...{ id: required(parseSiteId("cc".repeat(8)), "site"), name: "paris", state: "active" },
  ...{ origins: [OTHER], publicKey: "0".repeat(64), addresses: [], certificates: [] },
  ...{ featureLevel: 1, insecure: false },
};

afterEach(closeSimSites);

/** What became of a write of another site, dated so far from now, as a bootstrap brings it. */
async function bring(site: SimSite, offsetMs: number, conflict: boolean): Promise<ImportOutcome> {
  const inline = Buffer.from("lost");
  const writer = new ByteWriter();
  encodeOperation(writer, {
    dot: { origin: OTHER, seq: required(parseSeq(1), "sequence") },
    hlc: hlcFromMs(site.machine.clock.nowMs() + offsetMs),
    chainBefore: Buffer.alloc(32),
    vector: { full: false, entries: new Map() },
    group: undefined,
    body: {
      ...{ kind: "object-put", bucket: alpha, key: keyOf("a"), nullSlot: true },
      ...(conflict ? { conflict: true } : {}),
      object: { ...OBJECT, lastModifiedMs: 1, body: { kind: "inline", bytes: 4 } },
    },
    unknownFields: [],
  });
  const rows = [{ encoded: writer.finish(), inline, manifests: [] }];
  return site.store.rows.import({ rows, removed: [], progress: undefined, rewrite: false });
}

function makeBucket({ store }: SimSite): Promise<unknown> {
  return store.createBucket({ name: alpha, owner: "root", settings: new Map() });
}

async function put(site: SimSite, key: string): Promise<void> {
  const bytes = Buffer.from("here");
  const name = { bucket: alpha, key: keyOf(key) };
  await site.store.putObject({ ...name, object: OBJECT, body: { kind: "inline", bytes } });
}

test.each([
  [{}, 1],
  [{ conflictMs: HOUR_MS }, 0],
])("with %j, %i conflicts are left after an hour", async (timeBounds, left) => {
  const site = await SimSite.open("conflicts", timeBounds);
  await makeBucket(site);
  await put(site, "a");
  expect(await bring(site, -1000, true)).toMatchObject({ imported: 1 });
  site.machine.clock.leap(HOUR_MS);
  await site.store.keepHouse();
  expect(site.store.conflicts.list(alpha, undefined, 10).conflicts).toHaveLength(left);
});

test("nothing is forgotten by a clock that is not believed, and all of it when it is", async () => {
  const site = await SimSite.open("disbelieved", { conflictMs: HOUR_MS });
  await makeBucket(site);
  await put(site, "a");
  expect(await bring(site, -1000, true)).toMatchObject({ imported: 1 });
  const { guard } = site.running.site;
  guard.arm();
  const conflictsLeft = async (): Promise<number> => {
    await site.store.keepHouse();
    return site.store.conflicts.list(alpha, undefined, 10).conflicts.length;
  };
  site.machine.clock.leap(HOUR_MS);
  // Two peers say that it is ahead by more than what has gone by.
  guard.look([-2 * HOUR_MS, -2 * HOUR_MS]);
  expect(await conflictsLeft()).toBe(1);
  guard.accept();
  expect(await conflictsLeft()).toBe(0);
});

test.each([
  [{}, ["clock"]],
  [{ clockDriftMs: 60_000 }, []],
])("with %j, a write that is 20 s ahead is refused for %j", async (timeBounds, why) => {
  const site = await SimSite.open("drift", timeBounds);
  const { refused } = await bring(site, 20_000, false);
  expect(refused.map((one) => one.why)).toEqual(why);
});

/** Overwrites an object, each time in a segment of its own; gives how many segments went away. */
async function overwrite(site: SimSite): Promise<number> {
  let dropped = 0;
  for (let times = 0; times < 12; times++) {
    if (times % 3 === 0) await put(site, "same");
    dropped += (await site.store.keepHouse()).segmentsDropped;
    site.machine.clock.leap(11 * 60_000);
    for (let turns = 0; turns < 20; turns++) await setImmediate();
  }
  return dropped;
}

test.each([
  [{}, false],
  [{ historyMs: HOUR_MS }, false],
  [{ peerMs: HOUR_MS }, false],
  [{ historyMs: HOUR_MS, peerMs: HOUR_MS }, true],
])("with %j, the log behind a silent peer goes within two hours: %j", async (timeBounds, goes) => {
  const site = await SimSite.open("history", timeBounds);
  await site.store.putSite(MEMBER);
  await makeBucket(site);
  expect((await overwrite(site)) > 0).toBe(goes);
});

test("the log behind a silent peer stays while the clock is not believed", async () => {
  const site = await SimSite.open("disbelieved log", { historyMs: HOUR_MS, peerMs: HOUR_MS });
  await site.store.putSite(MEMBER);
  await makeBucket(site);
  const { guard } = site.running.site;
  guard.arm();
  const kept = async (): Promise<number> => {
    let dropped = 0;
    for (let times = 0; times < 3; times++) {
      dropped += (await site.store.keepHouse()).segmentsDropped;
      for (let turns = 0; turns < 20; turns++) await setImmediate();
    }
    return dropped;
  };
  for (let times = 0; times < 4; times++) {
    await put(site, "same");
    expect(await kept()).toBe(0);
    site.machine.clock.leap(11 * 60_000);
    expect(await kept()).toBe(0);
  }
  site.machine.clock.leap(3 * HOUR_MS);
  guard.look([-4 * HOUR_MS, -4 * HOUR_MS]);
  expect(await kept()).toBe(0);
  guard.accept();
  expect(await kept()).toBeGreaterThan(0);
});

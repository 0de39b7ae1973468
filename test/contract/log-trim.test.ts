import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { LIMITS } from "../../src/core/limits.ts";
import { type OriginId, parseOriginId, parseSiteId, type SiteId } from "../../src/core/names.ts";
import type { SiteRecord } from "../../src/core/site-record.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { SITES, useSite } from "../support/site-suite.ts";

const IDLE_MS = 11 * 60_000;
const PEER: SiteId = required(parseSiteId("a".repeat(16)), "site");
const PEERS_ORIGIN: OriginId = required(parseOriginId("b".repeat(16)), "origin");
const ALPHA = bucketOf("alpha");
const KEY = keyOf("overwritten");

const MEMBER: SiteRecord = {
  ...{ id: PEER, name: "paris", publicKey: "0".repeat(64), addresses: ["https://paris.test"] },
  ...{ certificates: [], origins: [PEERS_ORIGIN], state: "active", featureLevel: 1 },
  insecure: false,
};

describe.each(SITES)("the log of a site with a peer in %s", (_name, make) => {
  const { store, fixture, restart, expectSameRowsAfterRebuild } = useSite(make);

  async function put(): Promise<void> {
    const attributes = { system: [], user: [], storageClass: undefined, tags: [] };
    const rest = { attributes, checksums: [], parts: [], encryption: undefined };
    const object = { size: 1, etag: "0".repeat(32), ...rest };
    const body = { kind: "inline", bytes: Buffer.from("x") } as const;
    await store().putObject({ bucket: ALPHA, key: KEY, object, body });
  }

  /** Puts, lets the segment be sealed, and looks what can be dropped; gives how many were. */
  async function keepHouse(): Promise<number> {
    let dropped = 0;
    for (let times = 0; times < 3; times++) {
      dropped += (await store().keepHouse()).segmentsDropped;
      fixture().clock.leap(IDLE_MS);
      // Footers are written in the background, a turn at a time.
      for (let turns = 0; turns < 20; turns++) await setImmediate();
    }
    return dropped;
  }

  /** Each overwrite in a segment of its own, so that the ones before it are dead. */
  async function overwrite(): Promise<number> {
    let dropped = 0;
    for (let times = 0; times < 4; times++) {
      await put();
      dropped += await keepHouse();
    }
    return dropped;
  }

  function floor(): number {
    return store().replica.floors().get(store().replica.origin) ?? 0;
  }

  function acknowledgeAll(): void {
    const { replica } = store();
    replica.acknowledge(PEER, replica.applied());
  }

  test("without a peer it is dropped as soon as nothing rests on it", async () => {
    expect(await overwrite()).toBeGreaterThan(0);
    expect(floor()).toBeGreaterThan(0);
  });

  test("is kept until the peer has applied it and a week has passed", async () => {
    await store().putSite(MEMBER);
    expect(await overwrite()).toBe(0);
    fixture().clock.leap(LIMITS.historyRetentionMs);
    expect(await keepHouse()).toBe(0);
    const before = store().replica.applied();
    acknowledgeAll();
    expect(await keepHouse()).toBeGreaterThan(0);
    expect(floor()).toBeLessThanOrEqual(before.get(store().replica.origin) ?? 0);
    const page = await store().replica.readLog(before, 1_000_000);
    expect(page.outcome).toBe("page");
    expect(await store().replica.readLog(new Map(), 1_000_000)).toEqual({
      outcome: "below-floor",
      origins: [store().replica.origin],
    });
    await expectSameRowsAfterRebuild();
  });

  test("what the peer has applied is young for a week, and remembered over a restart", async () => {
    await store().putSite(MEMBER);
    await overwrite();
    acknowledgeAll();
    expect(await keepHouse()).toBe(0);
    await restart();
    fixture().clock.leap(LIMITS.historyRetentionMs);
    expect(await keepHouse()).toBeGreaterThan(0);
  });

  test("is not kept for a peer that was silent for a month", async () => {
    await store().putSite(MEMBER);
    await overwrite();
    fixture().clock.leap(LIMITS.historyRetentionMs);
    expect(await keepHouse()).toBe(0);
    fixture().clock.leap(LIMITS.peerRetentionMs);
    expect(await keepHouse()).toBeGreaterThan(0);
    expect(floor()).toBeGreaterThan(0);
  });

  test("is kept for as long as somebody holds it, though nobody lacks it", async () => {
    const none = new Map<OriginId, never>();
    const release = store().replica.holdLog(() => [none]);
    expect(await overwrite()).toBe(0);
    release();
    expect(await keepHouse()).toBeGreaterThan(0);
  });
});

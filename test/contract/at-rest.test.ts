import { expect, test } from "vitest";
import type { Kv } from "../../src/ports/kv.ts";
import { openSite } from "../../src/storage/site.ts";
import { createMemoryLog } from "../sim/memory-log.ts";
import { Seed } from "../sim/seed.ts";
import { SimClock } from "../sim/sim-clock.ts";
import { SimDisk } from "../sim/sim-disk.ts";
import { createInlineHash } from "../sim/sim-hash.ts";
import { openSimKv } from "../sim/sim-kv.ts";
import { SIM_DIRECTORY } from "../sim/sim-machine.ts";
import { createSimRandom } from "../sim/sim-random.ts";
import { bucketOf } from "../sim/store-journal.ts";

const MINUTE_MS = 60_000;

/** Counts every read of the index: with LMDB each one writes its table of readers. */
function counting(kv: Kv, read: () => void): Kv {
  return new Proxy(kv, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...given: unknown[]): unknown => {
        if (name === "get" || name === "range") read();
        return member.apply(target, given);
      };
    },
  });
}

async function siteInSimulatedTime(wrap: (kv: Kv) => Kv = (kv) => kv) {
  const seed = new Seed("at rest");
  const clock = new SimClock();
  const disk = new SimDisk(seed, { directories: ["/srv"], nowMs: () => clock.nowMs() });
  let reads = 0;
  const site = await openSite(
    {
      ...{ disk, clock, hash: await createInlineHash(), log: createMemoryLog() },
      random: createSimRandom(seed),
      processFacts: {
        self: { pid: 1, startedAt: "1", bootId: "boot" },
        uid: undefined,
        isAlive: () => true,
        mountOf: () => "mount",
        rssBytes: () => 0,
        openFiles: () => 0,
        eventLoopDelayP99Ms: () => 0,
      },
      answers: async () => false,
      openKv: async (path) => counting(wrap(await openSimKv(disk)(path)), () => (reads += 1)),
      defer: (callback) => void setImmediate(callback),
    },
    {
      ...{ directory: SIM_DIRECTORY, siteName: undefined, socketPath: undefined },
      ...{ directIo: "on", segmentBytes: 64 * 1024, freeReserveBytes: 0, rebuildIndex: false },
      failStop: (fault) => expect.unreachable(fault.message),
    },
  );
  const readsDuring = async (ms: number): Promise<number> => {
    const before = reads;
    await clock.advance(ms);
    return reads - before;
  };
  return { site, readsDuring };
}

test("a site at rest leaves its index alone, but for a look now and then", async () => {
  const { site, readsDuring } = await siteInSimulatedTime();
  await site.store.createBucket({ name: bucketOf("alpha"), owner: "o" });
  // What is open is sealed once nothing has been written for ten minutes.
  expect(await readsDuring(15 * MINUTE_MS)).toBeGreaterThan(0);
  expect(await readsDuring(30 * MINUTE_MS)).toBe(0);
  expect(await readsDuring(60 * MINUTE_MS)).toBeGreaterThan(0);
  await site.close();
});

test("whatever happens ends the rest of a site", async () => {
  const { site, readsDuring } = await siteInSimulatedTime();
  await readsDuring(15 * MINUTE_MS);
  expect(await readsDuring(MINUTE_MS)).toBe(0);
  await site.store.createBucket({ name: bucketOf("alpha"), owner: "o" });
  expect(await readsDuring(MINUTE_MS)).toBeGreaterThan(0);
  await site.close();
});

test("what the index does not show yet is not said to have happened", async () => {
  let release: () => void = () => undefined;
  let held: Promise<void> | undefined;
  const { site } = await siteInSimulatedTime((kv) => {
    const write: Kv["write"] = async (mutations) => {
      await held;
      await kv.write(mutations);
    };
    return new Proxy(kv, {
      get(target, name) {
        if (name === "write") return write;
        const member: unknown = Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  });
  const before = site.activity();
  const { batches } = site.store.stats().commit;
  held = new Promise((resolve) => {
    release = resolve;
  });
  const created = site.store.createBucket({ name: bucketOf("alpha"), owner: "o" });
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(site.store.stats().commit.batches).toBe(batches + 1);
  expect(site.activity()).toBe(before);
  release();
  await created;
  expect(site.activity()).toBe(before + 1);
  await site.close();
});

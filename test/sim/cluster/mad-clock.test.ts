import { expect, test, vi } from "vitest";
import { hlcFromMs, hlcMs } from "../../../src/core/hlc.ts";
import { operationsAhead } from "../../../src/storage/ahead-of-clock.ts";
import { noteWithdrawing } from "../../../src/storage/site-identity.ts";
import { Seed } from "../seed.ts";
import { createInlineHash } from "../sim-hash.ts";
import { SIM_DIRECTORY } from "../sim-machine.ts";
import { checkAgreement } from "./checkers.ts";
import { Client } from "./client.ts";
import { Cluster } from "./cluster.ts";
import type { ClusterSite } from "./cluster-site.ts";

vi.mock("../../../src/core/ed25519.ts", () => import("./stand-in-signatures.ts"));

const YEAR_2200_MS = Date.UTC(2200, 0, 1);
const DRIFT_MS_MAX = 5000;
const CALM = { versioned: true, locks: false, buckets: false, large: false, rowsFirst: false };

function headOf(of: ClusterSite, at: ClusterSite): number {
  const origin = of.running?.site.identity.origin;
  const received = at.running?.site.store.replica.received();
  return origin === undefined ? 0 : (received?.get(origin)?.seq ?? 0);
}

/** Some requests at some sites, a little time apart. */
async function write(cluster: Cluster, clients: ReadonlyMap<ClusterSite, Client>): Promise<void> {
  for (let count = 0; count < 10; count++) {
    for (const [site, client] of clients) {
      if (site.running !== undefined) site.send(client.next(site.running.site.store));
    }
    await cluster.pass(200);
  }
}

/** What `atoll clock reissue` does. */
async function reissueAhead(site: ClusterSite, nowMs: number): Promise<void> {
  const running = site.running?.site;
  if (running === undefined) throw new Error("it does not run");
  const limit = hlcFromMs(nowMs + DRIFT_MS_MAX);
  const { from } = await operationsAhead(running.store.replica, limit);
  const { disk } = site.machine;
  await noteWithdrawing(disk, SIM_DIRECTORY, running.identity, { from, times: "new" });
  site.stop("kill");
  await site.start();
}

test.each([1, 2, 3, 4, 5])(
  "a site from the year 2200 moves nobody's clock: seed %i",
  async (number) => {
    const hash = await createInlineHash();
    const seed = new Seed(`mad clock/${number}`);
    const fair = {
      sites: 3,
      exchange: "engine",
      guarded: false,
      joins: false,
      rowsFirst: false,
      setBacks: false,
      holds: false,
    } as const;
    const cluster = new Cluster(seed, { hash, ...fair, directIo: "on", segmentBytes: 64 * 1024 });
    for (const site of cluster.sites) await site.start();
    await cluster.join();
    const clients = new Map(
      cluster.sites.map((site) => {
        const now = (): number => site.machine.wall.nowMs();
        return [site, new Client(seed.derive(site.name), CALM, cluster.contents, now)];
      }),
    );
    for (const [site, client] of clients) site.send(client.first());
    await write(cluster, clients);
    await cluster.pass(5_000);
    const [north, south, east] = cluster.sites;
    if (north === undefined || south === undefined || east === undefined)
      throw new Error("no sites");
    const before = headOf(east, east);
    expect(headOf(east, north)).toBe(before);
    east.machine.wall.set(YEAR_2200_MS);
    await write(cluster, clients);
    await cluster.pass(30_000);
    // What it wrote from then on is nowhere else, and nothing else waits for it.
    expect(headOf(east, east)).toBeGreaterThan(before);
    for (const site of [north, south]) {
      expect(headOf(east, site)).toBe(before);
      expect(headOf(north, site)).toBe(headOf(north, north));
      expect(headOf(south, site)).toBe(headOf(south, south));
      const head = site.running?.site.store.logHead();
      if (head === undefined) throw new Error("nothing was written");
      expect(hlcMs(head.hlc)).toBeLessThanOrEqual(cluster.nowMs + DRIFT_MS_MAX);
    }
    // Nor does it last: after a restart they still know what time it is.
    north.stop("power");
    await north.start();
    await write(cluster, clients);
    const head = north.running?.site.store.logHead();
    if (head === undefined) throw new Error("nothing was written");
    expect(hlcMs(head.hlc)).toBeLessThanOrEqual(cluster.nowMs + DRIFT_MS_MAX);
    expect(headOf(east, north)).toBe(before);
    // Once its clock is right, the site issues again what it wrote.
    const former = east.running?.site.identity.origin;
    east.machine.wall.set(cluster.nowMs);
    await reissueAhead(east, cluster.nowMs);
    const after = headOf(east, east);
    expect(after).toBeGreaterThan(0);
    await write(cluster, clients);
    await cluster.pass(120_000);
    expect(east.running?.site.identity.origin).not.toBe(former);
    for (const site of cluster.sites) await cluster.observe(site);
    for (const site of cluster.sites) site.checkAcknowledged("all");
    const { observer, contents, members, time, forgotten } = cluster;
    const plan = { aged: false, mayLose: false, halfTaken: false };
    const deps = { hash, observer, contents, forgotten, ...plan, isGivenUp: () => false };
    await time.until(checkAgreement(members.looked(), deps), "the look at what there is");
  },
);

import { afterEach, beforeEach, expect } from "vitest";
import type { Store } from "../../src/storage/store.ts";
import { dumpRows, type Running } from "../sim/sim-machine.ts";
import { bucketOf } from "../sim/store-journal.ts";
import { realSite, type SiteFixture, simulatedSite } from "./site-fixture.ts";

/** What contract tests of the store run on. */
export const SITES = [
  ["a real directory", () => realSite("off")],
  ["a simulated disk", () => simulatedSite("on")],
] as const;

export type SiteSuite = {
  /** The store as it is now; another one after a restart. */
  readonly store: () => Store;
  readonly fixture: () => SiteFixture;
  readonly restart: () => Promise<void>;
  /** The index as it is and the one made from the log alone are the same. */
  readonly expectSameRowsAfterRebuild: () => Promise<void>;
};

/** A fresh site with the bucket "alpha" for each test of a suite. */
export function useSite(make: () => Promise<SiteFixture>): SiteSuite {
  let fixture: SiteFixture;
  let running: Running;
  const store = (): Store => running.site.store;

  beforeEach(async () => {
    fixture = await make();
    running = await fixture.open();
    await store().createBucket({ name: bucketOf("alpha"), owner: "o" });
  });

  afterEach(async () => {
    await running.site.close();
    fixture.remove();
  });

  return {
    store,
    fixture: () => fixture,
    async restart() {
      await running.site.close();
      running = await fixture.open();
    },
    async expectSameRowsAfterRebuild() {
      const kept = dumpRows(running.kv, fixture.hash);
      await running.site.close();
      running = await fixture.open({ rebuildIndex: true });
      expect(dumpRows(running.kv, fixture.hash)).toEqual(kept);
    },
  };
}

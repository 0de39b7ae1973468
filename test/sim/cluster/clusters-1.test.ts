import { test } from "vitest";
import { loadClusters } from "./load-clusters.ts";

// Two files of one half each, so that two cores share the work.
test("three sites agree after whatever went wrong, and have lost nothing: 1,000 seeds", async () => {
  const { proveClusters } = await loadClusters();
  await proveClusters({ first: 0, count: 1_000, sites: 3 });
});

import { test } from "vitest";
import { loadClusters } from "./load-clusters.ts";

// See clusters-1.test.ts.
test("three sites agree after whatever went wrong, and have lost nothing: 1,000 more", async () => {
  const { proveClusters } = await loadClusters();
  await proveClusters({ first: 1_000, count: 1_000, sites: 3 });
});

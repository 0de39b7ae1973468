import { test } from "vitest";
import { loadClusters } from "./load-clusters.ts";

test("versions that are locked at any site are there at all of them: 30 seeds", async () => {
  const { proveClusters } = await loadClusters();
  await proveClusters({ first: 0, count: 30, sites: 3, life: "locked" });
});

import { test } from "vitest";
import { loadClusters } from "./load-clusters.ts";

// From here on: 171 and 192 once found writes that a site had lost and took for conflicts.
test("sites whose disks are set back lose nothing that any other site had: 30 seeds", async () => {
  const { proveClusters } = await loadClusters();
  await proveClusters({ first: 165, count: 30, sites: 3, life: "set back" });
});

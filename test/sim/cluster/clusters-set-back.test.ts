import { test } from "vitest";
import { loadClusters } from "./load-clusters.ts";

// Among them 171 and 192, which once found writes that a site had lost and took for conflicts.
test("sites whose disks are set back lose nothing that any other site had: 30 seeds", async () => {
  const { proveClusters } = await loadClusters();
  await proveClusters({ first: 165, count: 30, sites: 3, life: "set back" });
});

// What a write overwrites may be dropped with its segment, and the write be withdrawn later.
test("a site starts whose withdrawn writes have taken the bytes of others with them", async () => {
  const { proveClusters } = await loadClusters();
  await proveClusters({ first: 3050, count: 1, sites: 3, life: "set back" });
});

// A week passes, and the logs of the others begin later than the snapshot ended.
test("what a site writes is kept although no log shows any more where it was set back", async () => {
  const { proveClusters } = await loadClusters();
  await proveClusters({ first: 3016, count: 1, sites: 3, life: "set back" });
});

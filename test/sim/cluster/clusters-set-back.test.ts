import { test } from "vitest";
import { loadClusters } from "./load-clusters.ts";

async function prove(first: number, count = 1): Promise<void> {
  const { proveClusters } = await loadClusters();
  await proveClusters({ first, count, sites: 3, life: "set back" });
}

// Among them 171 and 192, which once found writes that a site had lost and took for conflicts.
test("sites whose disks are set back lose nothing that any other site had: 30 seeds", () =>
  prove(165, 30));

// What a write overwrites may be dropped with its segment, and the write be withdrawn later.
test("a site starts whose withdrawn writes have taken the bytes of others with them", () =>
  prove(3050));

// A week passes, and the logs of the others begin later than the snapshot ended.
test("what a site writes is kept although no log shows any more where it was set back", () =>
  prove(3016));

// Who knew no more than the snapshot has taken them for what the site wrote before.
test("what a site has withdrawn it does not take back from a peer", () => prove(12_607));

// It is set back twice within a minute, so that nobody tells it.
test("a site that does not know yet that it was set back gives no rows", () => prove(12_859));

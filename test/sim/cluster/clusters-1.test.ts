import { test, vi } from "vitest";
import { createInlineHash } from "../sim-hash.ts";
import { proveClusters } from "./prove-clusters.ts";

vi.mock("../../../src/core/ed25519.ts", () => import("./stand-in-signatures.ts"));

// Two files of one half each, so that two cores share the work.
test("three sites agree after whatever went wrong, and have lost nothing: 1,000 seeds", async () => {
  await proveClusters(await createInlineHash(), { first: 0, count: 1_000, sites: 3 });
});

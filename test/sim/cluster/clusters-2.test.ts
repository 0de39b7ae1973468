import { test, vi } from "vitest";
import { createInlineHash } from "../sim-hash.ts";
import { proveClusters } from "./prove-clusters.ts";

vi.mock("../../../src/core/ed25519.ts", () => import("./stand-in-signatures.ts"));

// See clusters-1.test.ts.
test("three sites agree after whatever went wrong, and have lost nothing: 1,000 more", async () => {
  await proveClusters(await createInlineHash(), { first: 1_000, count: 1_000, sites: 3 });
});

import { bundled } from "../bundled.ts";

/** The proof over many clusters, whose sites sign by the stand-in, as fast as it gets. */
export function loadClusters(): Promise<typeof import("./prove-clusters.ts")> {
  return bundled("test/sim/cluster/prove-clusters.ts", {
    "/ed25519.ts": "test/sim/cluster/stand-in-signatures.ts",
  });
}

import type { LoadedSettings } from "../config.ts";
import { type AdminApi, createAdminApi } from "../control/admin.ts";
import type { AdminRoute } from "../control/admin-call.ts";
import type { SiteState } from "../control/stats.ts";
import { accessKeyContext } from "../core/access-key.ts";
import { grantPolicy } from "../core/grants.ts";
import { sealSecret } from "../core/seal.ts";
import type { ReplicationWatch } from "../replication/status.ts";
import { createPolicyDesk } from "../s3api/policy-desk.ts";
import type { RootKey } from "../storage/root-key.ts";
import type { Site } from "../storage/site.ts";
import type { SitePorts } from "../storage/site-ports.ts";

const SEAL_NONCE_BYTES = 12;

export type AdminParts = {
  readonly version: string;
  readonly loaded: LoadedSettings;
  readonly ports: SitePorts;
  readonly site: Site;
  readonly rootKey: RootKey;
  readonly state: () => SiteState | "offline";
  readonly endpoint: string | undefined;
  readonly replication: () => ReplicationWatch | undefined;
  readonly routes: () => readonly AdminRoute[];
};

/** The administration of a server, behind its socket or behind a command that runs without one. */
export function createAdmin({
  version,
  loaded,
  ports,
  site,
  rootKey,
  state,
  endpoint,
  replication,
  routes,
}: AdminParts): AdminApi {
  const { clock, random, processFacts } = ports;
  const { data, region } = loaded.settings;
  return createAdminApi({
    ...{ clock, random, version, state, replication, routes, policyOf: grantPolicy },
    site: () => site,
    describe: () => ({ endpoint, data, region, pid: processFacts.self.pid }),
    settings: () => loaded.shown,
    policies: createPolicyDesk({
      ...{ store: site.store, region },
      rootKeyId: () => rootKey.current().id,
      nowMs: () => clock.nowMs(),
    }),
    seal: (id, secret) =>
      sealSecret(
        site.dataDir.keyRing,
        Buffer.from(secret),
        accessKeyContext(id),
        random.bytes(SEAL_NONCE_BYTES),
      ),
    rootKey: {
      source: () => rootKey.source,
      show: () => rootKey.current(),
      rotate: () => rootKey.rotate(),
    },
  });
}

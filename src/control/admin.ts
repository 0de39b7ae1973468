import type { AccessKeyPair } from "../core/access-key.ts";
import { StorageFault } from "../core/faults.ts";
import type { ReplicationWatch } from "../replication/status.ts";
import { Line } from "../storage/line.ts";
import type { SiteIdentity } from "../storage/site-identity.ts";
import type { Store } from "../storage/store.ts";
import { type AdminAnswer, type AdminCall, type AdminRoute, adminProblem } from "./admin-call.ts";
import { CONFLICTS_PATH, routeConflicts } from "./admin-conflicts.ts";
import { KEY_RING_PATH, type KeyRingSite, routeKeyRing } from "./admin-key-ring.ts";
import { type AdminKeyDeps, changeKey, createKey, listKeys, showKey } from "./admin-keys.ts";
import {
  type LifecycleDesk,
  planLifecycle,
  runLifecycle,
  showLifecycle,
} from "./admin-lifecycle.ts";
import {
  deletePolicy,
  type PolicyDesk,
  putPolicy,
  showPolicies,
  testPolicy,
  validatePolicy,
} from "./admin-policies.ts";
import { QUOTAS_PATH, routeQuotas } from "./admin-quotas.ts";
import { replicationFacts } from "./replication-facts.ts";
import type { SiteState } from "./stats.ts";

/** The site's administration, whoever asks: the admin socket, or a command without a server. */
export interface AdminApi {
  call(call: AdminCall): Promise<AdminAnswer>;
}

export type AdminSite = KeyRingSite & {
  readonly identity: Omit<SiteIdentity, "keyPair" | "withdrawn" | "withdrawing">;
  readonly lifecycle: LifecycleDesk["lifecycle"];
};

export type AdminDeps = AdminKeyDeps & {
  readonly version: string;
  readonly state: () => SiteState | "offline";
  /** Undefined until the site has been opened. */
  readonly site: () => AdminSite | undefined;
  /** Facts for `atoll status` that only the composition root knows: endpoint, directory, pid. */
  readonly describe: () => Readonly<Record<string, unknown>>;
  /** Values in force with their sources, secrets cut. */
  readonly settings: () => ReadonlyArray<Readonly<Record<string, unknown>>>;
  readonly policies: PolicyDesk;
  /** What only a site that serves can answer, such as about its peers. */
  readonly routes?: () => readonly AdminRoute[];
  /** Undefined while no peer is talked to: offline, or before the site has been opened. */
  readonly replication: () => ReplicationWatch | undefined;
  readonly rootKey: {
    /** "settings" when the operator's own key overrides the file. */
    readonly source: () => "file" | "settings";
    readonly show: () => AccessKeyPair;
    readonly rotate: () => Promise<AccessKeyPair>;
  };
};

/**
 * Changes of keys wait for each other: a key is read, changed and written, and a concurrent change
 * would be lost.
 */
type Desk = AdminDeps & { readonly keyChanges: Line };

const KEYS = "/v1/admin/keys";
const LIFECYCLE = "/v1/admin/lifecycle";

/**
 * The administration API. A StorageFault becomes status 503 with its hint; nothing else is caught.
 */
export function createAdminApi(deps: AdminDeps): AdminApi {
  const desk: Desk = { ...deps, keyChanges: new Line() };
  return {
    async call(call) {
      try {
        return await route(desk, call);
      } catch (failure) {
        if (failure instanceof StorageFault) {
          const message = `${failure.message}. ${failure.hint ?? ""}`.trim();
          return adminProblem(503, message, failure.kind);
        }
        throw failure;
      }
    },
  };
}

function route(deps: Desk, call: AdminCall): AdminAnswer | Promise<AdminAnswer> {
  const what = `${call.method} ${call.path}`;
  switch (what) {
    case "GET /v1/admin/status":
      return { status: 200, body: status(deps) };
    case "GET /v1/admin/config":
      return { status: 200, body: { settings: deps.settings() } };
    case "GET /v1/admin/repl-status":
      return showReplication(deps);
    case "GET /v1/admin/root-key":
      return showRootKey(deps);
    case "POST /v1/admin/root-key/rotate":
      return rotateRootKey(deps);
    case "POST /v1/admin/policy/validate":
      return validatePolicy(deps.policies, call.body);
    case "POST /v1/admin/policy/test":
      return testPolicy(deps.policies, call.body);
  }
  if (call.path === KEY_RING_PATH || call.path.startsWith(`${KEY_RING_PATH}/`)) {
    const site = deps.site();
    return site === undefined ? stillStarting() : routeKeyRing(deps, site, call);
  }
  if (call.path.startsWith(`${CONFLICTS_PATH}/`)) {
    const site = deps.site();
    return site === undefined ? stillStarting() : routeConflicts(site.store, call);
  }
  if (call.path === QUOTAS_PATH || call.path.startsWith(`${QUOTAS_PATH}/`)) {
    const site = deps.site();
    return site === undefined ? stillStarting() : routeQuotas(site.store, call);
  }
  const found = deps.routes?.().find(({ path }) => isAtOrBelow(call.path, path));
  if (found !== undefined) return found.answer(call);
  const isAboutKeys = call.path === KEYS || call.path.startsWith(`${KEYS}/`);
  if (!isAboutKeys && call.path !== LIFECYCLE && !call.path.startsWith(`${LIFECYCLE}/`)) {
    return adminProblem(404, "There is nothing at this address.");
  }
  const site = deps.site();
  if (site === undefined) {
    return stillStarting();
  }
  const toKeys = () => routeKeys(deps, site.store, call);
  if (isAboutKeys) return call.method === "GET" ? toKeys() : deps.keyChanges.run(toKeys);
  return routeLifecycle({ ...site, clock: deps.clock }, call);
}

function routeLifecycle(desk: LifecycleDesk, call: AdminCall): AdminAnswer | Promise<AdminAnswer> {
  switch (`${call.method} ${call.path.slice(LIFECYCLE.length)}`) {
    case "GET ":
      return showLifecycle(desk);
    case "POST /run":
      return runLifecycle(desk, call.body);
    case "POST /plan":
      return planLifecycle(desk, call.body);
  }
  return adminProblem(
    405,
    "A lifecycle is planned and run with POST, its facts are read with GET.",
  );
}

function isAtOrBelow(path: string, above: string): boolean {
  return path === above || path.startsWith(`${above}/`);
}

function stillStarting(): AdminAnswer {
  return adminProblem(503, "The site is still starting; try again in a moment.");
}

function routeKeys(
  deps: AdminDeps,
  store: Store,
  call: AdminCall,
): AdminAnswer | Promise<AdminAnswer> {
  if (call.path === KEYS) {
    if (call.method === "GET") return listKeys(store);
    if (call.method === "POST") return createKey(deps, store, call.body);
    return adminProblem(405, "Only GET and POST are answered here.");
  }
  const [id = "", action, name, ...rest] = call.path.slice(KEYS.length + 1).split("/");
  if (action === "policies" && rest.length === 0) {
    return routePolicies(deps, store, call, { id, name });
  }
  if (name !== undefined) return adminProblem(404, "There is nothing at this address.");
  if (action === undefined && call.method === "GET") return showKey(store, id);
  if (action === undefined && call.method === "DELETE") return changeKey(store, id, "revoked");
  if (action === "disable" && call.method === "POST") return changeKey(store, id, "disabled");
  if (action === "enable" && call.method === "POST") return changeKey(store, id, "active");
  return adminProblem(405, "Keys are read with GET, removed with DELETE, changed with POST.");
}

function routePolicies(
  { policies }: AdminDeps,
  store: Store,
  { method, body }: AdminCall,
  { id, name }: { readonly id: string; readonly name: string | undefined },
): AdminAnswer | Promise<AdminAnswer> {
  if (method === "GET") return showPolicies(store, id, name);
  if (name !== undefined && method === "PUT") return putPolicy(policies, store, { id, name }, body);
  if (name !== undefined && method === "DELETE") return deletePolicy(store, { id, name });
  return adminProblem(405, "Policies are read with GET, put with PUT and removed with DELETE.");
}

function status(deps: AdminDeps): Record<string, unknown> {
  const site = deps.site();
  const facts = site?.store.stats();
  return {
    version: deps.version,
    state: deps.state(),
    ...deps.describe(),
    ...(site === undefined || facts === undefined
      ? {}
      : {
          site: {
            id: site.identity.siteId,
            name: site.identity.name,
            cluster: site.identity.clusterId,
            incarnation: site.identity.incarnation,
          },
          objects: facts.objects,
          bytes: facts.bytes,
          multipart_uploads: facts.multipartUploads,
          segments: facts.segments.count,
          direct_io: facts.commit.directIo,
        }),
  };
}

async function showReplication({ replication }: AdminDeps): Promise<AdminAnswer> {
  const watch = replication();
  if (watch === undefined) return stillStarting();
  return { status: 200, body: replicationFacts(await watch.status()) };
}

function showRootKey(deps: AdminDeps): AdminAnswer {
  const { id, secret } = deps.rootKey.show();
  const source = deps.rootKey.source();
  return { status: 200, body: { access_key: id, secret_key: secret, source } };
}

async function rotateRootKey(deps: AdminDeps): Promise<AdminAnswer> {
  if (deps.rootKey.source() === "settings") {
    return adminProblem(
      409,
      "The root key comes from the settings rootAccessKey and rootSecretKey: change it there.",
    );
  }
  const { id, secret } = await deps.rootKey.rotate();
  return { status: 200, body: { access_key: id, secret_key: secret, source: "file" } };
}

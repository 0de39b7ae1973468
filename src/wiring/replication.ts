import type { Settings } from "../config.ts";
import type { AdminRoute } from "../control/admin-call.ts";
import { bucketsAtHome, HOMES_PATH, type HomesDesk, routeHomes } from "../control/admin-homes.ts";
import { MODES_PATH, routeModes } from "../control/admin-modes.ts";
import { PULL_PATH, PUSH_PATH, type ReplicationMoves, routeMoves } from "../control/admin-moves.ts";
import { PARKED_PATH, type ParkedDesk, routeParked } from "../control/admin-parked.ts";
import { routeSites, SITES_PATH, type SitesDesk } from "../control/admin-sites.ts";
import { rateAt } from "../core/bandwidth-plan.ts";
import { StorageFault } from "../core/faults.ts";
import type { ForwardedFlow } from "../core/forwarded-request.ts";
import type { Seq, SiteId } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Log } from "../ports/log.ts";
import { type BroughtBytesDeps, bringParts } from "../replication/brought-bytes.ts";
import { forwardRoute, forwardTo } from "../replication/forward.ts";
import { openFlow } from "../replication/forward-flow.ts";
import { ForwardGuests } from "../replication/forward-guests.ts";
import { heldLogs } from "../replication/held-logs.ts";
import { joinRoute } from "../replication/join-server.ts";
import { lagRoute } from "../replication/lag-route.ts";
import { Membership } from "../replication/membership.ts";
import { createPeerClient, type PeerClient } from "../replication/peer-client.ts";
import { type PeerRoute, PeerServer } from "../replication/peer-server.ts";
import { ReadThrough } from "../replication/read-through.ts";
import { Refusals } from "../replication/refusals.ts";
import { Replication } from "../replication/replication.ts";
import { RingShare } from "../replication/ring-share.ts";
import type { RowsService } from "../replication/rows-service.ts";
import type { ReplicationWatch } from "../replication/status.ts";
import type { HomeDeps } from "../s3api/home/home-sites.ts";
import { type Invitations, openInvitations } from "../storage/invitations.ts";
import { readParkedWrites } from "../storage/parked-writes.ts";
import type { Site } from "../storage/site.ts";
import { adoptCluster, noteWithdrawing, retireOrigin } from "../storage/site-identity.ts";
import type { Store } from "../storage/store.ts";
import { releaseWhenVouched } from "./first-word.ts";
import { peersWhenWritten } from "./known-peers.ts";
import { tellClient, tellOperator } from "./peer-problem.ts";
import { openRows, rowAdminRoutes } from "./replication-rows.ts";
import { type OpenWatch, openWatch } from "./replication-watch.ts";
import type { S3Front } from "./s3.ts";
import type { WiringPorts } from "./site.ts";
import { toldCertificates } from "./tls.ts";

/** All that a site has for its peers, while it serves. */
export type RunningReplication = {
  /** Answers under "/v1/repl/". */
  readonly server: PeerServer;
  readonly adminRoutes: readonly AdminRoute[];
  readonly status: ReplicationWatch;
  /** Brings clients' requests to the homes of their buckets. */
  readonly links: HomeLinks;
  stop(): Promise<void>;
};

export type HomeLinks = Pick<HomeDeps, "forward" | "open" | "bring">;

export type ReplicationParts = {
  readonly settings: Settings;
  readonly ports: WiringPorts;
  readonly site: Site;
  readonly s3: Pick<S3Front, "answerForwarded" | "openForwarded" | "home">;
  /** Ends the server: nothing may be written as this incarnation any more. */
  readonly fail: (failure: StorageFault) => void;
};

/** Starts replication: joins, pullers, repair, and the routes that peers and operators use. */
export async function startReplication(parts: ReplicationParts): Promise<RunningReplication> {
  const { ports, site } = parts;
  const { network, clock, random, log } = ports;
  const { store, identity } = site;
  const { keyRing } = site.dataDir;
  const invitations = await openInvitations(ports, site.dataDir.directory);
  const refusals = new Refusals(log);
  const client = createPeerClient({ network, clock, random, identity, keyPair: identity.keyPair });
  const membership = await openMembership(parts, invitations, () => rows);
  const peers = () => activePeers(store.sites(), site);
  if (peers().length > 0) site.hold.begin();
  const lookedUp = { peers: peersWhenWritten(site.activity, peers) };
  const watch = openWatch({
    ...{ ports, site, refused: () => refusals.counts(), client, ...lookedUp },
    driftMsMax: parts.settings.clockDriftMax,
    moved: () => engine.moved,
  });
  const rings = new RingShare({ identity, keyRing, client, clock, random, log, ...lookedUp });
  const ask = client.request.bind(client);
  const setBack = (peer: SiteId, from: Seq): void => {
    void beginAnew(parts, store.site(peer)?.name ?? peer, from);
  };
  const rows = openRows({ ...parts, peers, ask, setBack, watch, engine: () => engine });
  const readThrough = createReadThrough(parts, () => engine);
  const engine = createEngine(parts, client, watch, { rows, readThrough });
  const guests = new ForwardGuests({ clock, open: parts.s3.openForwarded });
  const routes: readonly PeerRoute[] = [
    ...rings.routes,
    forwardRoute(parts.s3.answerForwarded),
    guests.route,
    lagRoute((applied, without) => watch.status.behind(applied, without)),
    ...engine.routes,
    ...rows.routes,
  ];
  const server = createPeerServer(parts, { invitations, membership, refusals, routes });
  await membership.refresh();
  for (const part of [rings, engine, rows, readThrough]) part.start();
  const letWrite = releaseWhenVouched(site.hold, engine.vouched(), clock);
  const desk = createDesk(membership, site, { refusals, log });
  return {
    server,
    status: watch.status,
    links: homeLinks(parts, client, { peers, engine }),
    adminRoutes: [
      { path: SITES_PATH, answer: (call) => routeSites(desk, call) },
      ...watch.adminRoutes,
      ...bucketRoutes(parts),
      ...moveRoutes(engine, store, peers),
      ...rowAdminRoutes(rows, parts.site, peers),
    ],
    stop: async () => {
      letWrite();
      guests.stop();
      await Promise.all([rows.stop(), readThrough.stop()]);
      await engine.stop();
      watch.stop();
      await rings.stop();
    },
  };
}

/** Answers peers, and who was invited to be one. */
function createPeerServer(
  { ports: { clock, random, log }, site: { store, identity, guard, dataDir } }: ReplicationParts,
  {
    invitations,
    membership,
    ...answering
  }: {
    readonly invitations: Invitations;
    readonly membership: Membership;
    readonly refusals: Refusals;
    readonly routes: readonly PeerRoute[];
  },
): PeerServer {
  const joinParts = { store, identity, invitations, keyRing: dataDir.keyRing, random, guard };
  return new PeerServer({
    ...{ identity, clock, random, log, ...answering },
    site: (id) => store.site(id),
    isInvited: (publicKey) => invitations.find(publicKey) !== undefined,
    invitedRoutes: [joinRoute({ ...joinParts, isJoining: () => membership.isJoining })],
  });
}

/** How requests reach the home of their bucket, and what they are made of reaches this one. */
function homeLinks(
  { ports: { clock, random } }: ReplicationParts,
  client: PeerClient,
  { peers, engine }: { peers: () => readonly MemberSite[]; engine: Replication },
): HomeLinks {
  const ask: BroughtBytesDeps["ask"] = (manifest, first, signal) =>
    engine.fetch({ kind: "manifests", manifests: [manifest] }, first, signal);
  return {
    forward: (home, request) =>
      forwardTo({ client, clock, random, peers }, home, request).catch(tellClient),
    open: async (home, head) =>
      tellingFlow(await openFlow({ client, clock, random, peers }, home, head).catch(tellClient)),
    bring: (from, manifests, signal) => bringParts({ clock, ask }, manifests, from, signal),
  };
}

function tellingFlow(flow: ForwardedFlow): ForwardedFlow {
  return {
    data: (bytes) => flow.data(bytes).catch(tellClient),
    end: () => flow.end().catch(tellClient),
    cut: () => flow.cut(),
  };
}

/** Fetches what is missing of bodies that are shown here. */
function createReadThrough(
  { ports, site: { store } }: ReplicationParts,
  engine: () => Replication,
): ReadThrough {
  const { clock, log } = ports;
  return new ReadThrough({
    ...{ remote: store.remote, clock, log },
    onCommit: (listener) => store.replica.onCommit(listener),
    fetch: (manifest, first, signal) =>
      engine().fetch({ kind: "manifests", manifests: [manifest] }, first, signal),
    siteOf: (origin) => store.sites().find(({ origins }) => origins.includes(origin))?.id,
  });
}

/** Moves operations; where there are no peers, it does nothing but look for some. */
function createEngine(
  parts: ReplicationParts,
  client: PeerClient,
  { peerWatch, quarantine }: OpenWatch,
  { rows, readThrough }: { readonly rows: RowsService; readonly readThrough: ReadThrough },
): Replication {
  const { settings, ports, site } = parts;
  const { clock, random, hash, log } = ports;
  const { store, identity } = site;
  return new Replication(
    {
      ...{ replica: store.replica, owner: identity, clock, random, hash, log, quarantine },
      ...{ watch: peerWatch, sites: () => store.sites() },
      ask: (peer, request) => client.request(peer, request),
      belowFloor: (peer, origins) => rows.belowFloor(peer, origins),
      showsRowsFirst: (bucket) => store.remote.showsRowsFirst(bucket),
      linkChanged: () => readThrough.retry(),
      held: () => heldLogs(rows, store.rows, store.replica),
      setBack: (peer, from) => void beginAnew(parts, peer.name, from),
    },
    { bytesPerSecond: (wallMs) => rateAt(settings.peerBandwidth, wallMs) },
  );
}

/**
 * Handles that the site was set back, to a snapshot of its disk for example: its next writes would
 * take places in its log that its peers have filled with something else. It stops, and its next
 * start is a new incarnation, which gets back what it lost from its peers like any other
 * operations, and issues again what it has written since.
 */
async function beginAnew(
  { ports, site, fail }: ReplicationParts,
  peer: string,
  from: Seq,
): Promise<void> {
  const message = `${peer} has operations that this site wrote and has lost: it was set back`;
  const next = "it continues as a new origin, fetches what it has lost and keeps what it has";
  const { identity, dataDir } = site;
  const wish = { from: [{ origin: identity.origin, from }], times: "kept" } as const;
  try {
    await noteWithdrawing(ports.disk, dataDir.directory, identity, wish);
  } catch (failure) {
    ports.log.error({ err: failure }, "the new origin could not be noted");
  }
  fail(new StorageFault("corrupt", message, { hint: `Start it again: ${next}.` }));
}

/** Administration of single buckets: their homes, and how their bytes reach other sites. */
function bucketRoutes({ site, s3 }: Parameters<typeof startReplication>[0]): AdminRoute[] {
  const { home } = s3;
  const { store } = site;
  const modes: AdminRoute = { path: MODES_PATH, answer: (call) => routeModes({ store }, call) };
  if (home === undefined) return [modes];
  const desk: HomesDesk = {
    ...{ self: site.identity.siteId, store: site.store },
    applied: () => site.store.replica.applied(),
    handOver: (bucket, change) => home.handOver(bucket, change),
  };
  return [modes, { path: HOMES_PATH, answer: (call) => routeHomes(desk, call) }];
}

function moveRoutes(
  engine: Replication,
  { replica }: Pick<Store, "replica">,
  peers: () => readonly MemberSite[],
): AdminRoute[] {
  const moves: ReplicationMoves = {
    peers,
    pull: (name) => engine.pullNow(peers().find(({ id }) => id === name)?.id),
    push: (waitMs) => engine.push(waitMs),
  };
  const parked: ParkedDesk = {
    list: (max) => readParkedWrites(replica, max),
    giveUp: () => engine.giveUpParked(),
  };
  const moved = [PULL_PATH, PUSH_PATH].map(
    (path): AdminRoute => ({ path, answer: (call) => routeMoves(moves, call) }),
  );
  return [...moved, { path: PARKED_PATH, answer: (call) => routeParked(parked, call) }];
}

function activePeers(sites: readonly MemberSite[], { identity }: Site): readonly MemberSite[] {
  return sites.filter(({ id, state }) => id !== identity.siteId && state === "active");
}

async function openMembership(
  { settings, ports, site }: ReplicationParts,
  invitations: Awaited<ReturnType<typeof openInvitations>>,
  rows: () => RowsService,
): Promise<Membership> {
  const { disk, clock, random, network } = ports;
  const { store, identity, dataDir, guard } = site;
  const { directory, keyRing } = dataDir;
  const { peerAddresses: addresses, insecurePeer: insecure } = settings;
  const certificates = await toldCertificates(settings, ports);
  return new Membership(
    {
      ...{ store, identity, keyRing, network, clock, random, invitations, guard },
      adoptCluster: (clusterId) => adoptCluster(disk, directory, identity, clusterId),
      retireOrigin: () => retireOrigin(disk, directory, identity),
      joined: (inviting) => rows().joined(inviting),
    },
    { addresses, insecure, certificates },
  );
}

/** Warns, once a site was removed, of bytes that are missing here and that only it may have had. */
function tellMissing({ store }: Site, log: Log): void {
  const { manifests, bytes } = store.remote.sum();
  if (manifests === 0) return;
  const message = "a site was removed, and bytes of metadata-first buckets are missing here";
  log.warn({ bodies: manifests, bytes }, `${message}: \`atoll repl-verify --deep\` lists them`);
}

function createDesk(
  membership: Membership,
  site: Site,
  { refusals, log }: { readonly refusals: Refusals; readonly log: Log },
): SitesDesk {
  const { identity } = site;
  return {
    ownId: identity.siteId,
    clusterId: () => identity.clusterId,
    sites: () => membership.sites(),
    invite: (wish, lifeMs) => membership.invite(wish, lifeMs),
    join: (token, wish) => membership.join(token, wish).catch(tellOperator),
    remove: async (name) => {
      const removed = await membership.remove(name);
      tellMissing(site, log);
      if (removed.outcome === "refused") return removed;
      return { ...removed, homes: bucketsAtHome(site.store, removed.site.id) };
    },
    refusals: () => refusals.counts(),
  };
}

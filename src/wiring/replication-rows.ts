import type { Settings } from "../config.ts";
import type { AdminRoute } from "../control/admin-call.ts";
import {
  BOOTSTRAP_PATH,
  type RowsDesk,
  routeBootstrap,
  routeVerify,
  VERIFY_PATH,
} from "../control/admin-rows.ts";
import { rateAt } from "../core/bandwidth-plan.ts";
import type { Seq, SiteId } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import { lostWithRows } from "../replication/own-fork.ts";
import type { AskPeer } from "../replication/peer-calls.ts";
import type { PeerWatch } from "../replication/peer-watch.ts";
import { type RowsEngine, RowsService } from "../replication/rows-service.ts";
import type { Site } from "../storage/site.ts";
import { tellOfDisk, tellOperator } from "./peer-problem.ts";
import type { WiringPorts } from "./site.ts";

/** Rows between this site and its peers. */
export function openRows(parts: {
  readonly settings: Settings;
  readonly ports: WiringPorts;
  readonly site: Site;
  readonly peers: () => readonly MemberSite[];
  readonly ask: AskPeer;
  readonly engine: () => RowsEngine;
  readonly watch: { readonly peerWatch: Pick<PeerWatch, "facts"> };
  /** Handles that a peer knows another history of this site's own log, or more of it. */
  readonly setBack: (peer: SiteId, from: Seq) => void;
}): RowsService {
  const { settings, site, peers, ask, engine, watch, setBack } = parts;
  const { clock, random, hash, log } = parts.ports;
  const { rows, replica } = site.store;
  return new RowsService({
    ...{ rows, replica, peers, ask, engine, clock, random, hash, log },
    own: () => site.identity.origin,
    receivedBy: (peer) => watch.peerWatch.facts(peer).received,
    setBacks: { find: (heads) => lostWithRows(replica, heads), beginAnew: setBack },
    ...{ site: site.identity.siteId, disk: parts.ports.disk },
    cluster: () => site.identity.clusterId,
    marksKeptMs: settings.historyRetention,
    bytesPerSecond: (wallMs) => rateAt(settings.peerBandwidth, wallMs),
  });
}

/** What operators ask of them. */
export function rowAdminRoutes(
  service: RowsService,
  { store, identity }: Site,
  peers: () => readonly MemberSite[],
): AdminRoute[] {
  const desk: RowsDesk = {
    peers,
    isRemoved: () => store.site(identity.siteId)?.state === "removed",
    bootstrap: (peer) => service.bootstrap(peer.id),
    progress: () => service.progress(),
    owed: () => store.rows.owed(),
    exportTo: (directory) => service.export(directory).catch(tellOfDisk),
    importFrom: (directory) => service.import(directory).catch(tellOfDisk),
    verify: (peer, wish) => service.verify(peer, wish).catch(tellOperator),
  };
  return [
    { path: BOOTSTRAP_PATH, answer: (call) => routeBootstrap(desk, call) },
    { path: VERIFY_PATH, answer: (call) => routeVerify(desk, call) },
  ];
}

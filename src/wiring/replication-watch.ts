import type { AdminRoute } from "../control/admin-call.ts";
import { CLOCK_PATH, routeClock } from "../control/admin-clock.ts";
import type { MemberSite } from "../core/site-record.ts";
import { watchClock } from "../replication/clock-watch.ts";
import { LagCounter } from "../replication/lag-counter.ts";
import { askLag } from "../replication/lag-route.ts";
import type { PeerClient } from "../replication/peer-client.ts";
import { PeerWatch } from "../replication/peer-watch.ts";
import { Quarantine } from "../replication/quarantine.ts";
import {
  createReplicationWatch,
  type MovedCounts,
  type ReplicationWatch,
} from "../replication/status.ts";
import type { Site } from "../storage/site.ts";
import type { SitePorts } from "../storage/site-ports.ts";

/** Between two pages of a log that is counted for the status. */
const COUNT_REST_MS = 5;

/** What is known of peers and clocks, for the engine that moves operations and for operators. */
export type OpenWatch = {
  readonly peerWatch: PeerWatch;
  readonly quarantine: Quarantine;
  readonly status: ReplicationWatch;
  readonly adminRoutes: readonly AdminRoute[];
  stop(): void;
};

/** Gathers what is known of peers, and watches this site's clock until `stop` is called. */
export function openWatch(parts: {
  readonly ports: SitePorts;
  /** How far ahead the clock of an operation may be. */
  readonly driftMsMax: number;
  readonly site: Site;
  readonly peers: () => readonly MemberSite[];
  readonly refused: () => ReadonlyMap<string, number>;
  readonly moved: () => MovedCounts;
  readonly client: PeerClient;
}): OpenWatch {
  const { clock, log } = parts.ports;
  const { guard, store, identity } = parts.site;
  const { replica } = store;
  const peerWatch = new PeerWatch({ clock, log });
  // By the time that storage goes by, or what storage refuses would be asked for at once again.
  const quarantine = new Quarantine({ clock: guard, log, driftMsMax: parts.driftMsMax });
  const stop = watchClock({
    ...{ clock, guard },
    hasPeers: () => parts.peers().length > 0,
    skews: () => peerWatch.skews(),
  });
  const clockRoute: AdminRoute = { path: CLOCK_PATH, answer: (call) => routeClock(guard, call) };
  const status = createReplicationWatch({
    ...{ self: identity.siteId, clock, replica, guard, refused: parts.refused },
    remote: () => store.remote.sum(),
    moved: parts.moved,
    sites: () => store.sites(),
    facts: (peer) => peerWatch.facts(peer),
    ask: (peer, applied) =>
      askLag(parts.client, peer, applied, (problem) => peerWatch.failed(peer.id, problem)),
    counter: new LagCounter({ replica, rest: () => clock.sleep(COUNT_REST_MS) }),
    quarantined: () => quarantine.list(),
    conflicts: () => store.stats().conflicts,
  });
  return { peerWatch, quarantine, status, adminRoutes: [clockRoute], stop };
}

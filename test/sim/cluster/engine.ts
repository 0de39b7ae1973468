import type { Seq, SiteId } from "../../../src/core/names.ts";
import type { MemberSite, SiteRecord } from "../../../src/core/site-record.ts";
import type { Disk } from "../../../src/ports/disk.ts";
import type { Hash } from "../../../src/ports/hash.ts";
import type { Log } from "../../../src/ports/log.ts";
import type { Network } from "../../../src/ports/network.ts";
import type { Random } from "../../../src/ports/random.ts";
import type { SetBacks } from "../../../src/replication/bootstrap.ts";
import { heldLogs } from "../../../src/replication/held-logs.ts";
import { lostWithRows } from "../../../src/replication/own-fork.ts";
import type { AskPeer } from "../../../src/replication/peer-calls.ts";
import type { PeerRequest } from "../../../src/replication/peer-client.ts";
import { createPeerClient } from "../../../src/replication/peer-client.ts";
import { PeerServer } from "../../../src/replication/peer-server.ts";
import { PeerWatch } from "../../../src/replication/peer-watch.ts";
import { Quarantine } from "../../../src/replication/quarantine.ts";
import { Refusals } from "../../../src/replication/refusals.ts";
import { Replication } from "../../../src/replication/replication.ts";
import { RowsService } from "../../../src/replication/rows-service.ts";
import type { PeerFacts } from "../../../src/replication/status.ts";
import { parseRowsRequest, writeRowsRequest } from "../../../src/replication/wire-rows.ts";
import type { Replica } from "../../../src/storage/replica.ts";
import type { Site } from "../../../src/storage/site.ts";
import { releaseWhenVouched } from "../../../src/wiring/first-word.ts";
import type { SimNetwork } from "../sim-network.ts";
import type { Running } from "./cluster-machine.ts";
import { startReadThrough } from "./rows-first.ts";
import { answerWith } from "./sim-exchange.ts";

const DRIFT_MS_MAX = 5000;
/** A week, as sites keep marks of what is gone unless they are told otherwise. */
const HISTORY_MS = 7 * 24 * 3_600_000;
const ROWS_PAGE_BYTES = 1500;

export type EngineDeps = {
  readonly running: Running;
  readonly network: SimNetwork;
  readonly hash: Hash;
  readonly random: Random;
  readonly log: Log;
  readonly disk: Disk;
  /** Whether buckets may show rows before their bytes are here. */
  readonly rowsFirst: boolean;
  /** Whether writes wait at a start until peers have told what they know of this site's log. */
  readonly holds: boolean;
  /** A peer knows more of this site's own log, or something else, from this operation on. */
  readonly setBack: ((from: Seq) => void) | undefined;
};

/** Replication of a program that runs. */
export type Engine = {
  readonly rows: RowsService;
  /** Peers whose logs do not reach this one any more: an operator says what to do. */
  readonly outOfReach: () => readonly MemberSite[];
  readonly giveUpParked: Replication["giveUpParked"];
  /** What a peer said of itself last. */
  readonly facts: (peer: SiteId) => PeerFacts;
  readonly end: () => void;
};

/** Where a site of the simulated world is reached. */
function addressOf(name: string): string {
  return `http://${name}:9000`;
}

/** What a site says of itself to the others. */
export function siteRecordOf({ identity }: Site): SiteRecord {
  return {
    ...{ id: identity.siteId, name: identity.name, publicKey: identity.keyPair.publicKey },
    ...{ addresses: [addressOf(identity.name)], certificates: [], origins: [identity.origin] },
    ...{ state: "active", featureLevel: 1, insecure: true },
  };
}

/** All of replication of one program, as the server wires it. */
export function startEngine(deps: EngineDeps): Engine {
  const { running, network, hash, random, log, disk, rowsFirst, holds, setBack } = deps;
  const { site, clock, replica } = running;
  const { identity, store } = site;
  const refusals = new Refusals(log);
  const client = createPeerClient({
    ...{ clock, random, identity, keyPair: identity.keyPair },
    network: whileAlive(running, network.connect(identity.name)),
  });
  const ask: AskPeer = (peer, request) => client.request(peer, withSmallPages(request));
  const peers = (): MemberSite[] =>
    store.sites().filter(({ id, state }) => id !== identity.siteId && state === "active");
  const rows = new RowsService({
    ...{ rows: running.rows, replica, peers, ask, clock, random, hash, log, disk },
    engine: () => replication,
    own: () => identity.origin,
    receivedBy: (peer) => watch.facts(peer).received,
    ...(setBack === undefined ? {} : { setBacks: looksAtRows(replica, setBack) }),
    marksKeptMs: HISTORY_MS,
    ...{ site: identity.siteId, cluster: () => identity.clusterId, bytesPerSecond: undefined },
  });
  const watch = new PeerWatch({ clock, log });
  // What the log tells operators, once.
  const told = new Set<SiteId>();
  const replication = new Replication(
    {
      ...{ replica, sites: () => store.sites(), owner: identity },
      ...{ ask, clock, random, hash, log, watch },
      quarantine: new Quarantine({ clock: site.guard, log, driftMsMax: DRIFT_MS_MAX }),
      belowFloor: (peer, origins) => {
        told.add(peer.id);
        rows.belowFloor(peer, origins);
      },
      held: () => heldLogs(rows, store.rows, store.replica),
      showsRowsFirst: (bucket) => rowsFirst && store.remote.showsRowsFirst(bucket),
      linkChanged: () => through?.retry(),
      ...(setBack === undefined ? {} : { setBack: (_peer, from) => setBack(from) }),
    },
    { bytesPerSecond: undefined },
  );
  const server = new PeerServer({
    ...{ identity, clock, random, log, refusals, invitedRoutes: [], isInvited: () => false },
    site: (id): MemberSite | undefined => store.site(id),
    routes: [...replication.routes, ...rows.routes],
  });
  const { name } = identity;
  const end = network.serve(
    addressOf(name),
    name,
    answerWith((exchange) => server.handle(exchange)),
  );
  if (holds && peers().length > 0) site.hold.begin();
  replication.start();
  rows.start();
  if (holds) releaseWhenVouched(site.hold, replication.vouched(), clock);
  const through = rowsFirst ? startReadThrough(running, log, () => replication) : undefined;
  const outOfReach = (): MemberSite[] =>
    peers().filter(({ id }) => told.has(id) || watch.facts(id).link === "needs-bootstrap");
  const giveUpParked = (): ReturnType<Engine["giveUpParked"]> => replication.giveUpParked();
  return { rows, outOfReach, giveUpParked, facts: (peer) => watch.facts(peer), end };
}

/** As the server does when rows are all that is left of what it has lost. */
function looksAtRows(replica: Replica, setBack: (from: Seq) => void): SetBacks {
  return {
    find: (heads) => lostWithRows(replica, heads),
    beginAnew: (_peer, from) => setBack(from),
  };
}

/** There is little in a simulated site: so that its rows do not all come with one answer. */
function withSmallPages(request: PeerRequest): PeerRequest {
  if (request.path !== "/v1/repl/rows" || request.body === undefined) return request;
  const parsed = parseRowsRequest(request.body);
  if (parsed.outcome === "bad" || parsed.value.positions.length > 0) return request;
  const body = writeRowsRequest({ ...parsed.value, bytesMax: ROWS_PAGE_BYTES });
  return { ...request, body };
}

/** A program that has died says nothing more, and hears nothing. */
function whileAlive(running: Running, network: Network): Network {
  const silence = new Promise<never>(() => undefined);
  return {
    request: (request) => {
      if (!running.clock.alive) return silence;
      return network.request(request).then(
        (answer) => (running.clock.alive ? answer : silence),
        (failure: unknown) => {
          if (!running.clock.alive) return silence;
          throw failure;
        },
      );
    },
  };
}

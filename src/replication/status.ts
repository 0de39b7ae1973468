import type { OriginId, SiteId } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { ClockGuard, ClockState } from "../storage/clock-guard.ts";
import type { ParkedOperation, Replica } from "../storage/replica.ts";
import type { LagCounter } from "./lag-counter.ts";
import type { Lag, Tally } from "./lag-ledger.ts";
import type { HeldOrigin } from "./quarantine.ts";

/**
 * How the link to a peer stands. `suspended`: it said what cannot be true, and an operator has to
 * look. `needs-bootstrap`: the logs do not reach each other any more.
 */
export type LinkState =
  | "connecting"
  | "connected"
  | "unreachable"
  | "suspended"
  | "needs-bootstrap";

/** What is known of a peer from what it said last. */
export type PeerFacts = {
  readonly link: LinkState;
  readonly applied: Vector | undefined;
  readonly received: Vector | undefined;
  readonly heardMonotonicMs: number | undefined;
  /** How far its clock is ahead of ours. */
  readonly skewMs: number | undefined;
  /** Wall clock in Unix milliseconds, and what went wrong. */
  readonly lastError: { readonly message: string; readonly atMs: number } | undefined;
};

/** How two sites stand to each other; "in-sync" only when their applied vectors are equal. */
export type PeerState = "in-sync" | "catching-up" | Exclude<LinkState, "connected">;

export type PeerStatus = {
  readonly site: SiteId;
  /** Its name, with its id behind it where another peer is called the same. */
  readonly label: string;
  readonly state: PeerState;
  readonly addresses: readonly string[];
  /** What it has not applied of what this site has; undefined while it has not been heard. */
  readonly behind: PeerLag | undefined;
  /** Operations that it has and this site has not applied, as it said last. */
  readonly ahead: number | undefined;
  readonly skewMs: number | undefined;
  readonly heardSecondsAgo: number | undefined;
  readonly lastError: PeerFacts["lastError"];
};

export type PeerLag = {
  readonly operations: number;
  /** Undefined when the log does not reach back that far: rows are moved then. */
  readonly detail:
    | {
        readonly bytes: number;
        /** Age of the oldest operation that is missing there. */
        readonly seconds: number;
        readonly buckets: ReadonlyMap<string, Tally>;
      }
    | undefined;
  /** At the pace since the last look; undefined when that tells nothing. */
  readonly etaSeconds: number | undefined;
};

export type ReplicationStatus = {
  readonly peers: readonly PeerStatus[];
  readonly conflicts: number;
  readonly parked: readonly ParkedOperation[];
  readonly quarantined: readonly HeldOrigin[];
  /** Messages of peers that were refused since the start, by reason. */
  readonly refused: ReadonlyMap<string, number>;
  /** Whether this site believes its own clock. */
  readonly clock: ClockState;
};

/** Tells how replication stands, at the moment when it is asked. */
export interface ReplicationWatch {
  status(): Promise<ReplicationStatus>;
}

export type StatusDeps = {
  readonly self: SiteId;
  readonly clock: Pick<Clock, "nowMs" | "monotonicMs">;
  readonly replica: Pick<Replica, "received" | "applied" | "parked" | "floors">;
  readonly sites: () => readonly MemberSite[];
  readonly facts: (peer: SiteId) => PeerFacts;
  readonly counter: LagCounter;
  readonly quarantined: () => readonly HeldOrigin[];
  readonly refused: () => ReadonlyMap<string, number>;
  readonly conflicts: () => number;
  readonly guard: Pick<ClockGuard, "state">;
};

type Pace = { readonly atMs: number; readonly operations: number; etaSeconds: number | undefined };

/** Two looks that are closer to each other tell no pace. */
const PACE_MS_MIN = 1000;

/** Makes the status of replication, exact from the positions that this site and its peers state. */
export function createReplicationWatch(deps: StatusDeps): ReplicationWatch {
  const paces = new Map<SiteId, Pace>();
  return {
    status: async () => {
      const peers = deps.sites().filter(({ id, state }) => id !== deps.self && state === "active");
      const vectors = peers.flatMap((peer) => {
        const { applied } = deps.facts(peer.id);
        return applied === undefined || isBelowFloor(deps, peer, applied) ? [] : [applied];
      });
      await deps.counter.count(vectors);
      const shown: PeerStatus[] = [];
      for (const peer of peers) shown.push(await statusOf(deps, paces, peer, peers));
      return {
        ...{ peers: shown, conflicts: deps.conflicts(), parked: deps.replica.parked() },
        ...{ quarantined: deps.quarantined(), refused: deps.refused(), clock: deps.guard.state },
      };
    },
  };
}

async function statusOf(
  deps: StatusDeps,
  paces: Map<SiteId, Pace>,
  peer: MemberSite,
  all: readonly MemberSite[],
): Promise<PeerStatus> {
  const { id, name, addresses } = peer;
  const facts = deps.facts(id);
  const { applied, received, skewMs, lastError, heardMonotonicMs } = facts;
  const isNamesake = all.some((other) => other.name === name && other.id !== id);
  const nowMs = deps.clock.monotonicMs();
  return {
    ...{ site: id, label: isNamesake ? `${name} (${id})` : name, addresses, skewMs, lastError },
    behind: applied === undefined ? undefined : await lagOf(deps, paces, peer, applied),
    ahead: received === undefined ? undefined : missingOf(received, deps.replica.applied()),
    // Last: what was asked above may have taken a moment, and this must not be said too early.
    state: stateOf(deps, peer, deps.facts(id)),
    heardSecondsAgo: heardMonotonicMs === undefined ? undefined : (nowMs - heardMonotonicMs) / 1000,
  };
}

function stateOf(deps: StatusDeps, peer: MemberSite, facts: PeerFacts): PeerState {
  const { link, applied } = facts;
  if (applied !== undefined && isBelowFloor(deps, peer, applied)) return "needs-bootstrap";
  if (link !== "connected") return link;
  return applied !== undefined && isEqual(applied, deps.replica.applied())
    ? "in-sync"
    : "catching-up";
}

async function lagOf(
  deps: StatusDeps,
  paces: Map<SiteId, Pace>,
  peer: MemberSite,
  applied: Vector,
): Promise<PeerLag> {
  const own = new Set(peer.origins);
  const lag = isBelowFloor(deps, peer, applied)
    ? undefined
    : await deps.counter.behind(applied, own);
  // Positions and sums are read in one turn, so that they speak of the same moment.
  const operations = operationsBehind(deps, applied, own);
  return {
    operations,
    detail: lag === undefined ? undefined : detailOf(deps, lag),
    etaSeconds: etaOf(deps, paces, peer.id, operations),
  };
}

function detailOf(
  { clock }: StatusDeps,
  { bytes, oldestMs, buckets }: Lag,
): NonNullable<PeerLag["detail"]> {
  const seconds = oldestMs === undefined ? 0 : Math.max(0, (clock.nowMs() - oldestMs) / 1000);
  return { bytes, seconds, buckets };
}

function operationsBehind(
  { replica }: StatusDeps,
  applied: Vector,
  without: ReadonlySet<OriginId>,
): number {
  let operations = 0;
  for (const [origin, { seq }] of replica.received()) {
    if (!without.has(origin)) operations += Math.max(0, seq - (applied.get(origin) ?? 0));
  }
  return operations;
}

/** How many operations of one vector another one has not. */
function missingOf(vector: Vector, applied: Vector): number {
  let missing = 0;
  for (const [origin, seq] of vector) missing += Math.max(0, seq - (applied.get(origin) ?? 0));
  return missing;
}

function isEqual(left: Vector, right: Vector): boolean {
  return missingOf(left, right) === 0 && missingOf(right, left) === 0;
}

function isBelowFloor({ replica }: StatusDeps, peer: MemberSite, applied: Vector): boolean {
  for (const [origin, floor] of replica.floors()) {
    if (!peer.origins.includes(origin) && (applied.get(origin) ?? 0) < floor) return true;
  }
  return false;
}

function etaOf(
  { clock }: StatusDeps,
  paces: Map<SiteId, Pace>,
  site: SiteId,
  operations: number,
): number | undefined {
  const atMs = clock.monotonicMs();
  const before = paces.get(site);
  if (before !== undefined && atMs - before.atMs < PACE_MS_MIN) {
    return operations === 0 ? 0 : before.etaSeconds;
  }
  const done = (before?.operations ?? 0) - operations;
  const seconds = (atMs - (before?.atMs ?? atMs)) / 1000;
  const pace = done > 0 && seconds > 0 ? (operations * seconds) / done : undefined;
  const etaSeconds = operations === 0 ? 0 : pace;
  paces.set(site, { atMs, operations, etaSeconds });
  return etaSeconds;
}

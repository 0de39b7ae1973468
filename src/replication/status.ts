import {
  type AppliedSet,
  appliedSetOf,
  countMissing,
  countMissingOf,
  type Holes,
  NOTHING_APPLIED,
} from "../core/applied-set.ts";
import type { OriginId, SiteId } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Cancel, Clock } from "../ports/clock.ts";
import type { ClockGuard, ClockState } from "../storage/clock-guard.ts";
import type { RemoteSum } from "../storage/remote-bodies.ts";
import type { Replica } from "../storage/replica.ts";
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

/** What went wrong with a peer last; times of the wall clock, in Unix milliseconds. */
export type PeerTrouble = {
  readonly message: string;
  readonly atMs: number;
  /** Since when it answers well again; undefined as long as it has not. */
  readonly overMs: number | undefined;
};

/** What is known of a peer from what it said last. */
export type PeerFacts = {
  readonly link: LinkState;
  readonly applied: Vector | undefined;
  /** What waits for its bytes behind that. */
  readonly holes: Holes;
  readonly received: Vector | undefined;
  readonly heardMonotonicMs: number | undefined;
  /** How far its clock is ahead of ours, in milliseconds. */
  readonly skewMs: number | undefined;
  readonly lastError: PeerTrouble | undefined;
};

/** What became of parked operations that somebody wanted to be given up. */
export type GivenUp = {
  /** How many end, at every site that hears of it. */
  readonly ended: number;
  readonly kept: number;
  /** Why some are kept, each reason once. */
  readonly reasons: readonly string[];
};

/**
 * How two sites stand to each other. "in-sync" only when their applied vectors are equal, and
 * neither has received what the other has not applied: the same write may be parked at both.
 */
export type PeerState = "in-sync" | "catching-up" | Exclude<LinkState, "connected">;

export type PeerStatus = {
  readonly site: SiteId;
  /** Its name, with its id behind it where another peer is called the same. */
  readonly label: string;
  readonly state: PeerState;
  readonly addresses: readonly string[];
  /** What it has not applied of what this site has; undefined until it has been heard. */
  readonly behind: PeerLag | undefined;
  /** Operations that it has and this site has not applied, going by what it said last. */
  readonly ahead: number | undefined;
  /** The same as it says when asked now, in detail; undefined when it does not answer. */
  readonly aheadDetail: LagDetail | undefined;
  readonly skewMs: number | undefined;
  readonly heardSecondsAgo: number | undefined;
  readonly lastError: PeerFacts["lastError"];
};

export type LagDetail = {
  readonly bytes: number;
  /** Age of the oldest operation that is missing. */
  readonly seconds: number;
  readonly buckets: ReadonlyMap<string, Tally>;
};

export type PeerLag = {
  readonly operations: number;
  /**
   * Undefined when the log does not reach back that far, for rows are moved then; and while a long
   * log is still being counted.
   */
  readonly detail: LagDetail | undefined;
  /**
   * Until it has applied what is here now, at its pace since the last look; undefined when that
   * says nothing.
   */
  readonly etaSeconds: number | undefined;
};

/** What has been moved since the start, and what is held for it now. */
export type MovedCounts = {
  readonly operationsTaken: number;
  /** Of pages, as they came over the wire; chunks of larger bodies apart. */
  readonly pageBytesTaken: number;
  readonly chunkBytesTaken: number;
  readonly bytesServed: number;
  /** Chunks or lists of chunks that were not what their hash said. */
  readonly lies: number;
  /** How often a peer failed to give what another one was asked for then. */
  readonly passedOver: number;
  /** Lists of chunks that are kept for peers that were told of them. */
  readonly leases: number;
};

export const NOTHING_MOVED: MovedCounts = {
  ...{ operationsTaken: 0, pageBytesTaken: 0, chunkBytesTaken: 0, bytesServed: 0 },
  ...{ lies: 0, passedOver: 0, leases: 0 },
};

export type ReplicationStatus = {
  readonly peers: readonly PeerStatus[];
  readonly conflicts: number;
  readonly parked: number;
  /** What has been applied here and stands at other sites only, of buckets that show rows first. */
  readonly remote: RemoteSum;
  readonly quarantined: readonly HeldOrigin[];
  /** Messages of peers that were refused since the start, by reason. */
  readonly refused: ReadonlyMap<string, number>;
  readonly moved: MovedCounts;
  /** Whether this site believes its own clock. */
  readonly clock: ClockState;
};

/** Tells how replication stands, at the moment when it is asked. */
export interface ReplicationWatch {
  status(): Promise<ReplicationStatus>;
  /** What a site lacks but for these origins; undefined when that cannot be told now. */
  behind(has: AppliedSet, without: ReadonlySet<OriginId>): Promise<Lag | undefined>;
}

export type StatusDeps = {
  readonly self: SiteId;
  readonly clock: Pick<Clock, "nowMs" | "monotonicMs" | "after">;
  readonly replica: Pick<Replica, "received" | "applied" | "holes" | "parkedCount" | "floors">;
  readonly sites: () => readonly MemberSite[];
  readonly facts: (peer: SiteId) => PeerFacts;
  readonly counter: LagCounter;
  /** Asks a peer what this site lacks. */
  readonly ask: (peer: MemberSite, has: AppliedSet) => Promise<Lag | undefined>;
  readonly quarantined: () => readonly HeldOrigin[];
  readonly refused: () => ReadonlyMap<string, number>;
  readonly moved: () => MovedCounts;
  readonly conflicts: () => number;
  readonly remote: () => RemoteSum;
  readonly guard: Pick<ClockGuard, "state">;
};

/** How many operations of what is here a peer had applied, and when. */
type Pace = { readonly atMs: number; readonly applied: number; etaSeconds: number | undefined };

/** Two looks closer together than this tell no pace. */
const PACE_MS_MIN = 1000;
const COUNT_PATIENCE_MS = 2000;
const TRIES_MAX = 4;
const NO_LAG: Lag = { operations: 0, bytes: 0, oldestMs: undefined, buckets: new Map() };

/** Makes the status of replication, exact from the positions that this site and its peers state. */
export function createReplicationWatch(deps: StatusDeps): ReplicationWatch {
  const paces = new Map<SiteId, Pace>();
  return {
    status: async () => {
      const peers = peersOf(deps);
      const vectors = reachedVectors(deps, peers);
      const isCounted = await isInTime(deps, deps.counter.count(vectors));
      const look: Look = { deps, paces, peers, vectors, isCounted };
      const shown = await Promise.all(peers.map((peer) => statusOf(look, peer)));
      return {
        ...{ peers: shown, conflicts: deps.conflicts(), parked: deps.replica.parkedCount() },
        ...{ quarantined: deps.quarantined(), refused: deps.refused(), clock: deps.guard.state },
        ...{ moved: deps.moved(), remote: deps.remote() },
      };
    },
    behind: async (has, without) => {
      if (isBeyondReach(deps, has.applied, without)) return undefined;
      const vectors = [...reachedVectors(deps, peersOf(deps)), has.applied];
      if (!(await isInTime(deps, deps.counter.count(vectors)))) return undefined;
      return deps.counter.behind(has, without);
    },
  };
}

function peersOf({ sites, self }: StatusDeps): MemberSite[] {
  return sites().filter(({ id, state }) => id !== self && state === "active");
}

/** What peers have applied, of those that the log reaches back to. */
function reachedVectors(deps: StatusDeps, peers: readonly MemberSite[]): Vector[] {
  return peers.flatMap((peer) => {
    const { applied } = deps.facts(peer.id);
    return applied === undefined || isBelowFloor(deps, peer, applied) ? [] : [applied];
  });
}

/** One look at all peers. */
type Look = {
  readonly deps: StatusDeps;
  readonly paces: Map<SiteId, Pace>;
  readonly peers: readonly MemberSite[];
  /** What each peer has applied that the log reaches back to. */
  readonly vectors: readonly Vector[];
  /** Everything behind the vectors has been counted. */
  readonly isCounted: boolean;
};

/** Counting a log of days takes a while: whoever asks meanwhile is told what positions tell. */
async function isInTime({ clock }: StatusDeps, counted: Promise<void>): Promise<boolean> {
  let cancel: Cancel = () => undefined;
  const patience = new Promise<boolean>((resolve) => {
    cancel = clock.after(COUNT_PATIENCE_MS, () => resolve(false));
  });
  const isCounted = await Promise.race([counted.then(() => true), patience]);
  cancel();
  return isCounted;
}

async function statusOf(look: Look, peer: MemberSite): Promise<PeerStatus> {
  const { deps, peers } = look;
  const { id, name, addresses } = peer;
  const facts = deps.facts(id);
  const { applied, holes, received, skewMs, lastError, heardMonotonicMs } = facts;
  const isNamesake = peers.some((other) => other.name === name && other.id !== id);
  const nowMs = deps.clock.monotonicMs();
  const has = applied === undefined ? undefined : { applied, holes };
  const behind = has === undefined ? undefined : await lagOf(look, peer, has);
  const ahead = await aheadOf(deps, peer, received);
  const isEven = behind?.operations === 0 && ahead.ahead === 0;
  // Computed last: what was asked above may have taken a moment, and "in-sync" must not be said
  // too early; nor beside figures of a moment ago that say something else.
  const state = stateOf(deps, peer, deps.facts(id));
  return {
    ...{ site: id, label: isNamesake ? `${name} (${id})` : name, addresses, skewMs, lastError },
    ...{ behind, ...ahead, state: state === "in-sync" && !isEven ? "catching-up" : state },
    heardSecondsAgo: heardMonotonicMs === undefined ? undefined : (nowMs - heardMonotonicMs) / 1000,
  };
}

async function aheadOf(
  deps: StatusDeps,
  peer: MemberSite,
  received: Vector | undefined,
): Promise<Pick<PeerStatus, "ahead" | "aheadDetail">> {
  if (received === undefined) return { ahead: undefined, aheadDetail: undefined };
  const has = appliedSetOf(deps.replica);
  const ahead = countMissingOf(has, received);
  if (ahead === 0) return { ahead, aheadDetail: detailOf(deps, NO_LAG) };
  const lag = await deps.ask(peer, has);
  return { ahead, aheadDetail: lag === undefined ? undefined : detailOf(deps, lag) };
}

function stateOf(deps: StatusDeps, peer: MemberSite, facts: PeerFacts): PeerState {
  const { link, applied, holes, received } = facts;
  if (applied !== undefined && isBelowFloor(deps, peer, applied)) return "needs-bootstrap";
  if (link !== "connected") return link;
  if (applied === undefined || received === undefined) return "catching-up";
  const own = appliedSetOf(deps.replica);
  const theirs = { applied, holes };
  const lacksNothing =
    countMissingOf(own, received) === 0 &&
    operationsBehind(deps, theirs, new Set(peer.origins)) === 0;
  const isEqual = countMissingOf(own, applied) === 0 && countMissingOf(theirs, own.applied) === 0;
  return lacksNothing && isEqual ? "in-sync" : "catching-up";
}

async function lagOf(look: Look, peer: MemberSite, has: AppliedSet): Promise<PeerLag> {
  const { deps, paces } = look;
  const own = new Set(peer.origins);
  const isReached = look.isCounted && !isBelowFloor(deps, peer, has.applied);
  let operations = operationsBehind(deps, has, own);
  let lag: Lag | undefined;
  for (let tries = 0; isReached && tries < TRIES_MAX; tries++) {
    lag = await deps.counter.behind(has, own);
    operations = operationsBehind(deps, has, own);
    // Sums and positions have to describe the same moment, and more may have arrived by now.
    if (lag?.operations === operations) break;
    lag = undefined;
    await deps.counter.count(look.vectors);
  }
  return {
    operations,
    detail: lag === undefined ? undefined : detailOf(deps, lag),
    etaSeconds: etaOf(deps, paces, peer.id, {
      operations,
      applied: operationsBehind(deps, NOTHING_APPLIED, own) - operations,
    }),
  };
}

function detailOf({ clock }: StatusDeps, { bytes, oldestMs, buckets }: Lag): LagDetail {
  const seconds = oldestMs === undefined ? 0 : Math.max(0, (clock.nowMs() - oldestMs) / 1000);
  return { bytes, seconds, buckets };
}

function operationsBehind(
  { replica }: StatusDeps,
  has: AppliedSet,
  without: ReadonlySet<OriginId>,
): number {
  let operations = 0;
  for (const [origin, { seq }] of replica.received()) {
    if (!without.has(origin)) operations += countMissing(has, origin, seq);
  }
  return operations;
}

function isBelowFloor(deps: StatusDeps, peer: MemberSite, applied: Vector): boolean {
  return isBeyondReach(deps, applied, new Set(peer.origins));
}

function isBeyondReach(
  { replica }: StatusDeps,
  applied: Vector,
  without: ReadonlySet<OriginId>,
): boolean {
  for (const [origin, floor] of replica.floors()) {
    if (!without.has(origin) && (applied.get(origin) ?? 0) < floor) return true;
  }
  return false;
}

/** Goes by what the peer has applied: what is behind may grow while it takes over as much. */
function etaOf(
  { clock }: StatusDeps,
  paces: Map<SiteId, Pace>,
  site: SiteId,
  { operations, applied }: { readonly operations: number; readonly applied: number },
): number | undefined {
  const atMs = clock.monotonicMs();
  const before = paces.get(site);
  if (before !== undefined && atMs - before.atMs < PACE_MS_MIN) {
    return operations === 0 ? 0 : before.etaSeconds;
  }
  const done = applied - (before?.applied ?? applied);
  const seconds = (atMs - (before?.atMs ?? atMs)) / 1000;
  const pace = done > 0 && seconds > 0 ? (operations * seconds) / done : undefined;
  const etaSeconds = operations === 0 ? 0 : pace;
  paces.set(site, { atMs, applied, etaSeconds });
  return etaSeconds;
}

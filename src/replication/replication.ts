import { countMissingOf, NOTHING_APPLIED } from "../core/applied-set.ts";
import { LIMITS } from "../core/limits.ts";
import type { BucketName, OriginId, Seq, SiteId } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import type { MemberSite, SiteRecord } from "../core/site-record.ts";
import type { Cancel, Clock } from "../ports/clock.ts";
import type { Hash } from "../ports/hash.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import type { Replica } from "../storage/replica.ts";
import { Bandwidth, type Rate } from "./bandwidth.ts";
import type { FetchedBody } from "./body-fetch.ts";
import { answerChunk, answerManifests } from "./body-server.ts";
import { ByteSearch } from "./byte-search.ts";
import { ChunkLeases } from "./chunk-leases.ts";
import type { HeldLogs } from "./held-logs.ts";
import { HintSender } from "./hint-sender.ts";
import { findOwnFork, type OwnForkDeps } from "./own-fork.ts";
import { type CheckedPage, checkPage, type PageCheckDeps } from "./page-check.ts";
import { type LogOwner, PageServer } from "./page-server.ts";
import { takePage } from "./page-taker.ts";
import { ParkedFetch } from "./parked-fetch.ts";
import { PassedOver } from "./passed-over.ts";
import { type AskPeer, PeerCalls } from "./peer-calls.ts";
import type { PeerLie } from "./peer-lie.ts";
import type { PeerRoute } from "./peer-server.ts";
import type { PeerWatch } from "./peer-watch.ts";
import { Puller, type PullReport } from "./puller.ts";
import type { Quarantine } from "./quarantine.ts";
import { type GivenUp, type MovedCounts, NOTHING_MOVED } from "./status.ts";
import type { Hint } from "./wire-pages.ts";

export type ReplicationDeps = {
  readonly replica: Replica;
  /** Every member of the cluster, this site included. */
  readonly sites: () => Iterable<MemberSite>;
  /** Who this site is; read anew for every message. */
  readonly owner: LogOwner;
  readonly ask: AskPeer;
  readonly clock: Clock;
  readonly random: Random;
  readonly hash: Hash;
  readonly log: Log;
  readonly watch: PeerWatch;
  readonly quarantine: Quarantine;
  /** Whether a bucket shows rows before their bytes are here. */
  readonly showsRowsFirst?: (bucket: BucketName) => boolean;
  /** A link has become usable, or unusable. */
  readonly linkChanged?: () => void;
  /** A peer's log begins too late for this site: rows are needed. */
  readonly belowFloor: (peer: SiteRecord, origins: readonly OriginId[]) => void;
  /**
   * A peer has operations of this very origin that this site does not know of, signed by this site:
   * it was set back to an earlier state. From this operation on, what is here was written since.
   */
  readonly setBack?: (peer: SiteRecord, from: Seq) => void;
  /** Logs that wait because rows are being taken over; meanwhile nothing parked is fetched. */
  readonly held?: () => HeldLogs | undefined;
};

export type ReplicationSettings = {
  /** From each peer; undefined: without bound. */
  readonly bytesPerSecond: Rate;
};

export type PushReport = { readonly peer: SiteRecord; readonly operationsBehind: number };

/** How long after a commit the list of members is looked at again. */
const MEMBERS_MS = 250;
const PUSH_LOOK_MS = 50;
const SMALL_BODY_BYTES = 256 * 1024;

type Link = { readonly puller: Puller; readonly calls: PeerCalls };

/**
 * Moves operations between this site and its peers: one puller for each of them, and answers for
 * their pullers. Which peers there are follows from the records of sites in the store. Nothing
 * happens at a site without peers. Invariant: there is one link for each active peer.
 */
export class Replication {
  readonly counts: { -readonly [Name in keyof MovedCounts]: number } = { ...NOTHING_MOVED };
  readonly #deps: ReplicationDeps;
  readonly #settings: ReplicationSettings;
  readonly #links = new Map<SiteId, Link>();
  readonly #pages: PageServer;
  readonly #leases: ChunkLeases;
  readonly #hints: HintSender;
  readonly #parked: ParkedFetch;
  readonly #search: ByteSearch;
  /** Counts what peers failed to give that others may have. */
  readonly passedOver: PassedOver;
  #forget: () => void = () => undefined;
  #look: Cancel | undefined;
  #stopped = false;
  #forked = false;

  constructor(deps: ReplicationDeps, settings: ReplicationSettings) {
    this.#deps = deps;
    this.#settings = settings;
    const { replica, clock, log, hash, owner, watch, held } = deps;
    this.passedOver = new PassedOver({ log, watch });
    this.#leases = new ChunkLeases({ clock, hold: (chunks) => replica.leaseChunks(chunks) });
    this.#pages = new PageServer({
      ...{ replica, owner, clock, hash, leases: this.#leases },
      told: (peer, told) => this.#told(peer, told),
      answered: (peer, told) => this.#hints.told(peer.id, told),
      diverged: (peer, origins) => this.#diverged(peer, origins),
      served: (_peer, bytes) => {
        this.counts.bytesServed += bytes;
      },
    });
    this.#hints = new HintSender({
      ...{ replica, clock },
      peers: () => [...this.#links.values()].map(({ calls }) => calls),
      isAwaitedBy: (peer) => this.#pages.isAwaitedBy(peer),
    });
    this.#search = new ByteSearch({
      ...{ replica, hash, sites: deps.sites, passedOver: this.passedOver },
      self: () => owner.siteId,
      callsOf: (first) => this.callsOf(first),
      lied: (peer, lie) => this.#lied(peer, lie),
      fetched: (bytes) => {
        this.counts.chunkBytesTaken += bytes;
      },
    });
    const isHeld = () => held?.() !== undefined;
    this.#parked = new ParkedFetch({ replica, clock, log, search: this.#search, isHeld });
  }

  /** What peers may ask of this site. */
  get routes(): readonly PeerRoute[] {
    const { replica } = this.#deps;
    const served = (_peer: SiteRecord, bytes: number): void => {
      this.counts.bytesServed += bytes;
    };
    const bodies = { replica, leases: this.#leases, served };
    const post = { method: "POST", bodyBytesMax: SMALL_BODY_BYTES } as const;
    return [
      { ...post, path: "/v1/repl/pull", answer: (call) => this.#pages.answerPull(call) },
      { ...post, path: "/v1/repl/hint", answer: (call) => this.#pages.answerHint(call) },
      { ...post, path: "/v1/repl/manifests", answer: (call) => answerManifests(bodies, call) },
      {
        ...{ method: "GET", bodyBytesMax: 0, path: "/v1/repl/chunk" },
        answer: (call) => answerChunk(bodies, call),
      },
    ];
  }

  start(): void {
    this.#forget = this.#deps.replica.onCommit(() => this.#committed());
    this.#parked.start();
    this.#followMembers();
  }

  /**
   * Resolves once all peers have told that they know no more of this site's own log than is here;
   * never, when one of them cannot be asked.
   */
  async vouched(): Promise<void> {
    await Promise.all([...this.#links.values()].map(({ puller }) => puller.vouched));
  }

  /** Ends, at all sites, what is parked here and whose bytes no site has. */
  giveUpParked(): Promise<GivenUp> {
    return this.#parked.giveUp();
  }

  /** Ends everything that is under way; what was taken stays. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#forget();
    this.#look?.();
    this.#hints.stop();
    this.#pages.close();
    this.#leases.close();
    await Promise.all([...this.#links.values()].map(({ puller }) => puller.stop()));
    await this.#parked.stop();
    this.#links.clear();
  }

  /** What operators are shown. */
  get moved(): MovedCounts {
    const { count: passedOver } = this.passedOver;
    return { ...this.counts, passedOver, leases: this.#leases.count };
  }

  /** Pulls from one peer, or from all, until nothing is missing of what they had. */
  async pullNow(peer?: SiteId): Promise<readonly PullReport[]> {
    this.#followMembers();
    const links = [...this.#links.values()].filter(
      ({ calls }) => (peer ?? calls.site) === calls.site,
    );
    const reports = await Promise.all(links.map(({ puller }) => puller.pullNow()));
    this.#parked.retry();
    return reports;
  }

  /**
   * Tells peers that there is news and waits until they have applied what this site had written,
   * or the time is over; gives how far each was behind at the end.
   */
  async push(waitMs: number): Promise<readonly PushReport[]> {
    const { clock, replica } = this.#deps;
    this.#followMembers();
    const goal = replica.applied();
    const untilMs = clock.monotonicMs() + waitMs;
    // A peer that does not answer may take longer than the caller wants to wait.
    void this.#hints.push();
    for (;;) {
      const reports = this.#behind(goal);
      const done = reports.every(({ operationsBehind }) => operationsBehind === 0);
      if (done || clock.monotonicMs() >= untilMs || this.#stopped) return reports;
      await clock.sleep(PUSH_LOOK_MS);
    }
  }

  /** The bytes of a body that this site lacks, from whichever peer has them. */
  fetch(...wish: Parameters<ByteSearch["body"]>): Promise<FetchedBody> {
    return this.#search.body(...wish);
  }

  /** Peers that can be asked now, the given one first, those that do not answer last. */
  callsOf(first?: SiteId): readonly PeerCalls[] {
    const links = [...this.#links.values()].filter(({ puller }) => !puller.isSuspended);
    const rank = ({ calls: { site }, puller }: Link): number => {
      if (this.#deps.watch.facts(site).link === "unreachable") return 3;
      if (site === first) return 0;
      return puller.isConnected ? 1 : 2;
    };
    return links.sort((left, right) => rank(left) - rank(right)).map(({ calls }) => calls);
  }

  #behind(goal: Vector): PushReport[] {
    return [...this.#links.values()].map(({ calls: { peer } }) => {
      const { applied, holes } = this.#deps.watch.facts(peer.id);
      const has = applied === undefined ? NOTHING_APPLIED : { applied, holes };
      return { peer, operationsBehind: countMissingOf(has, goal) };
    });
  }

  #committed(): void {
    this.#hints.committed();
    this.#look ??= this.#deps.clock.after(MEMBERS_MS, () => {
      this.#look = undefined;
      this.#followMembers();
    });
  }

  /** Begins links to new members and ends those to members that are gone or have moved. */
  #followMembers(): void {
    if (this.#stopped) return;
    const active = new Map<SiteId, MemberSite>();
    for (const site of this.#deps.sites()) {
      if (site.id !== this.#deps.owner.siteId && site.state === "active") active.set(site.id, site);
    }
    for (const [id, { puller, calls }] of this.#links) {
      const now = active.get(id);
      if (now !== undefined && isSame(now, calls.peer)) continue;
      this.#links.delete(id);
      if (now === undefined) this.#deps.watch.forget(id);
      void puller.stop();
    }
    for (const [id, site] of active) if (!this.#links.has(id)) this.#begin(site);
  }

  #begin(site: MemberSite): void {
    const { clock, random, log, watch, quarantine, replica, ask } = this.#deps;
    const bandwidth = new Bandwidth(clock, this.#settings.bytesPerSecond);
    const calls = new PeerCalls({ ask, bandwidth, nowMs: () => clock.nowMs() }, site);
    const puller = new Puller({
      ...{ replica, clock, random, log, watch, quarantine, calls },
      own: () => this.#deps.owner.origin,
      check: ({ entries, head, bytes }) => {
        this.counts.pageBytesTaken += bytes;
        const { owner, hash, sites } = this.#deps;
        // A peer may have been removed while it was asked: then nothing that it says counts.
        const members = sites();
        if (!isActive(members, site.id)) return NOTHING;
        const known = { received: replica.received(), sites: members, written: site.origins };
        const page = { entries, heads: head.heads, ...known };
        return checkPage(checkedBy(owner, hash), page);
      },
      findFork: (signal) => this.#findFork(calls, signal),
      take: async (page, from, signal) => {
        const { showsRowsFirst = NEVER } = this.#deps;
        // At most a second's worth, so that small operations do not wait behind bodies on a slow
        // line.
        const fetchNowBytes = bandwidth.bytesAtOnce(LIMITS.replicationFetchNowBytes);
        const taken = await takePage(
          { replica, showsRowsFirst, fetchNowBytes, fetch: (...wish) => this.fetch(...wish) },
          page,
          from,
          signal,
        );
        this.counts.operationsTaken += taken.operations;
        if (taken.parked > 0) this.#parked.look();
        return taken;
      },
      telling: (peer, has) => this.#hints.told(peer, has),
      servedElsewhere: (peer) => this.#servedElsewhere(peer),
      changed: () => this.#linkChanged(site.id),
      belowFloor: this.#deps.belowFloor,
      ...(this.#deps.held === undefined ? {} : { held: this.#deps.held }),
    });
    this.#links.set(site.id, { puller, calls });
    puller.start();
  }

  /** Origins of other peers: they arrive directly over their own links while these are usable. */
  #servedElsewhere(peer: SiteId): ReadonlySet<OriginId> {
    const served = new Set<OriginId>();
    for (const { puller, calls } of this.#links.values()) {
      if (calls.site === peer || !puller.isConnected) continue;
      for (const origin of calls.peer.origins) served.add(origin);
    }
    return served;
  }

  #linkChanged(site: SiteId): void {
    for (const [id, { puller }] of this.#links) if (id !== site) puller.restart();
    this.#parked.retry();
    this.#deps.linkChanged?.();
  }

  #told(peer: SiteRecord, told: Hint): void {
    this.#deps.watch.told(peer, told);
    this.#deps.replica.acknowledge(peer.id, told.applied, told.received);
    this.#links.get(peer.id)?.puller.hinted();
  }

  #diverged(peer: SiteRecord, origins: readonly OriginId[]): void {
    const message = `it has another history of ${origins.join(", ")}: one of the two is a copy`;
    this.#deps.watch.failed(peer.id, message);
    if (origins.includes(this.#deps.owner.origin)) this.#links.get(peer.id)?.puller.doubted();
  }

  /** Nothing comes after it: who was set back begins anew. */
  async #findFork(calls: PeerCalls, signal: AbortSignal): Promise<void> {
    const { replica, owner, hash, sites, setBack } = this.#deps;
    const own = owner.origin;
    const check: OwnForkDeps["check"] = ({ entries, head: { heads } }, received) => {
      const known = { received, sites: sites(), written: [] };
      return checkPage(checkedBy(owner, hash), { entries, heads, ...known });
    };
    const from = await findOwnFork({ replica, calls, check }, signal);
    if (from === undefined || this.#forked) return;
    if (from === "below-floor") return this.#deps.belowFloor(calls.peer, [own]);
    this.#forked = true;
    setBack?.(calls.peer, from);
  }

  #lied(peer: SiteId, lie: PeerLie): void {
    this.counts.lies += 1;
    this.#deps.watch.failed(peer, lie.message);
    this.#links.get(peer)?.puller.suspect(lie);
  }
}

function checkedBy({ clusterId, origin, withdrawn }: LogOwner, hash: Hash): PageCheckDeps {
  return { clusterId, own: origin, withdrawn, hash };
}

function isActive(sites: Iterable<MemberSite>, id: SiteId): boolean {
  for (const site of sites) if (site.id === id) return site.state === "active";
  return false;
}

const NEVER = (): boolean => false;
const NOTHING: CheckedPage = { entries: [], heads: [], unknown: [], diverged: [] };

/** Whether a link can go on with a record as it is now. */
function isSame(now: SiteRecord, before: SiteRecord): boolean {
  return JSON.stringify(now) === JSON.stringify(before);
}

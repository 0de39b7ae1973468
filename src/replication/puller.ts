import { appliedSetOf } from "../core/applied-set.ts";
import { ignore } from "../core/ignore.ts";
import type { OriginId, SiteId } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import type { SiteRecord } from "../core/site-record.ts";
import type { Replica } from "../storage/replica.ts";
import { backoffMs } from "./backoff.ts";
import type { HeldLogs } from "./held-logs.ts";
import type { CheckedPage } from "./page-check.ts";
import type { TakenPage } from "./page-taker.ts";
import type { PeerCalls, PulledPage } from "./peer-calls.ts";
import type { PeerLie } from "./peer-lie.ts";
import { PullHolds } from "./pull-holds.ts";
import { PullQuestions, type PullQuestionsDeps } from "./pull-questions.ts";
import { PullStanding, type PullStandingDeps } from "./pull-standing.ts";
import { Rest } from "./rest.ts";
import { knownHeads } from "./wire-pages.ts";

export type PullerDeps = PullStandingDeps & {
  readonly replica: Pick<Replica, "received" | "applied" | "holes">;
  readonly calls: PeerCalls;
  readonly check: (page: PulledPage) => CheckedPage;
  readonly take: (page: CheckedPage, from: SiteId, signal: AbortSignal) => Promise<TakenPage>;
  /** Called with what a request says that this site has applied. */
  readonly telling: PullQuestionsDeps["telling"];
  /** This site's own origin, about which no peer knows anything new. */
  readonly own: () => OriginId;
  /** Origins that arrive directly from their own site over another link. */
  readonly servedElsewhere: (peer: SiteId) => ReadonlySet<OriginId>;
  /** Logs that wait because rows are being taken over: they are pulled again afterwards. */
  readonly held?: () => HeldLogs | undefined;
  /** Looks for the place where the peer's copy of this site's own log and that log part. */
  readonly findFork: (signal: AbortSignal) => Promise<void>;
};

/** What one round with a peer brought, for those who asked for it by hand. */
export type PullReport = {
  readonly peer: SiteRecord;
  readonly operations: number;
  readonly bytes: number;
  readonly parked: number;
  /** Why this site still lacks something that the peer had; undefined when it lacks nothing. */
  readonly problem: string | undefined;
};

type Round = {
  readonly page: PulledPage;
  readonly taken: TakenPage;
  readonly checked: CheckedPage;
};
type Wish = { readonly resolve: (report: PullReport) => void };

const NONE: ReadonlySet<OriginId> = new Set();
const WAIT_MS = 20_000;
/**
 * While other links serve some origins, a request waits at most this long, to see whether they
 * really do.
 */
const WAIT_SKIPPING_MS = 5000;
const NEEDS_ROWS_MS = 15_000;
/** A fork of our own log that could not be found is looked for again after this time. */
const FORK_MS = 60_000;
/**
 * While rows are being taken over, no operations are requested; this is how often it is checked
 * whether they still are, and how often the peer is asked how it stands.
 */
const HELD_MS = 500;
const GREET_MS = 15_000;
/**
 * A peer counts as busy when it sends at least BUSY_OPERATIONS, one in BUSY_EVERY_MS or more often.
 * The next request then waits until GATHER_MS behind the last one: a page costs as much as many
 * operations.
 */
const BUSY_OPERATIONS = 8;
const BUSY_EVERY_MS = 4;
const GATHER_MS = 40;
const ROUNDS_BY_HAND_MAX = 100_000;
/**
 * How many rounds of `pullNow` may bring nothing although something is missing: another link may
 * have brought it.
 */
const IDLE_ROUNDS_MAX = 5;

/**
 * Pulls from one peer for as long as it is a member: asks for what is beyond this site's vector,
 * waits there for news, checks what arrives and takes it. A peer that fails or lies is left alone
 * for as long as its standing says. Invariant: one request for operations is under way at a time.
 */
export class Puller {
  readonly #deps: PullerDeps;
  /** Whether the peer's copy of our own log seems to be another one than ours. */
  #doubted = false;
  #doubtedMs = Number.NEGATIVE_INFINITY;
  #greetedMs = Number.NEGATIVE_INFINITY;
  readonly #stop = new AbortController();
  readonly #rest: Rest;
  readonly #holds: PullHolds;
  readonly #standing: PullStanding;
  readonly #wishes: Wish[] = [];
  readonly #questions: PullQuestions;
  #running: Promise<void> = Promise.resolve();
  /** Answers in a row that arrived at once and brought nothing. */
  #hasty = 0;
  #suspicion: PeerLie | undefined;
  #vouch: () => void = ignore;
  /** Resolves once the peer has told that it knows no more of this site's own log than is here. */
  readonly vouched = new Promise<void>((resolve) => {
    this.#vouch = resolve;
  });

  constructor(deps: PullerDeps) {
    this.#deps = deps;
    this.#rest = new Rest(deps.clock);
    this.#holds = new PullHolds(deps.clock);
    this.#questions = new PullQuestions(deps);
    this.#standing = new PullStanding(deps, this.#holds);
  }

  get peer(): SiteRecord {
    return this.#deps.calls.peer;
  }

  /** Whether what the peer's site writes comes over this link. */
  get isConnected(): boolean {
    return this.#standing.isConnected;
  }

  /** Whether it said what cannot be true, and has not answered well since. */
  get isSuspended(): boolean {
    return this.#standing.isSuspended;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.restart();
    this.#rest.end();
    await this.#running;
    const report = this.#report({}, "the site is stopping");
    for (const { resolve } of this.#wishes.splice(0)) resolve(report);
  }

  /** The peer has shown that it can be reached: a wait after a failure ends. */
  hinted(): void {
    if (!this.isSuspended) this.#rest.end();
  }

  /** It says that its copy of this site's own log is another one. */
  doubted(): void {
    this.#doubted = true;
    this.restart();
    this.#rest.end();
  }

  /** Bytes that it gave for others were not what their hash says. */
  suspect(lie: PeerLie): void {
    this.#suspicion = lie;
    this.restart();
    this.#rest.end();
  }

  /** Sends a new request, because what to ask for has changed. */
  restart(): void {
    this.#questions.takeBack();
  }

  /** Pulls until this site has everything that the peer had when it was asked; never rejects. */
  pullNow(): Promise<PullReport> {
    return new Promise((resolve) => {
      this.#wishes.push({ resolve });
      this.restart();
      this.#rest.end();
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const wishes = this.#wishes.splice(0);
      let waitMs = 0;
      try {
        this.#accuse();
        if (this.#isForkDue()) await this.#lookForFork();
        if (wishes.length > 0) {
          const report = await this.#pullUntilEqual();
          for (const { resolve } of wishes) resolve(report);
        } else waitMs = await this.#pullOnce();
      } catch (failure) {
        const problem = this.#explain(failure);
        for (const { resolve } of wishes) resolve(this.#report({}, problem));
        waitMs = this.#standing.waitMs(failure);
      }
      if (waitMs > 0 && this.#wishes.length === 0 && !signal.aborted) {
        await this.#rest.take(waitMs);
      }
    }
  }

  #accuse(): void {
    const suspicion = this.#suspicion;
    this.#suspicion = undefined;
    if (suspicion !== undefined) throw suspicion;
  }

  #isForkDue(): boolean {
    return this.#doubted && this.#deps.clock.monotonicMs() - this.#doubtedMs >= FORK_MS;
  }

  async #lookForFork(): Promise<void> {
    this.#doubted = false;
    await this.#deps.findFork(this.#stop.signal);
    // The look was whole: one that broke off is repeated with the next page that doubts.
    this.#doubtedMs = this.#deps.clock.monotonicMs();
  }

  /** One request, perhaps one that waits at the peer; returns how long to wait before the next. */
  async #pullOnce(): Promise<number> {
    if (this.#deps.held?.() === "all") return await this.#greet();
    const skip = this.#skip(true);
    const usualMs = skip.size > 1 ? WAIT_SKIPPING_MS : WAIT_MS;
    const dueMs = this.#deps.quarantine.nextMs() ?? usualMs;
    // The first request after a failure does not wait at the peer: its answer tells that all is
    // well again.
    const waitMs = this.isConnected ? Math.min(usualMs, dueMs) : 0;
    const startedMs = this.#deps.clock.monotonicMs();
    const round = await this.#ask(skip, waitMs);
    if (round === undefined) return 0;
    if (round.page.head.outcome === "below-floor") return NEEDS_ROWS_MS;
    const refused = round.checked.unknown.length + round.taken.refused.size;
    // A peer that has nothing lets us wait. One that says so at once, or was removed, must not be
    // asked in a tight loop.
    const waitedMs = this.#deps.clock.monotonicMs() - startedMs;
    const isEmpty = round.page.entries.length === 0 || round.checked.entries.length + refused === 0;
    const isHasty = isEmpty && waitedMs < waitMs / 2;
    this.#hasty = isHasty ? this.#hasty + 1 : 0;
    if (isHasty) return backoffMs(this.#deps.random, this.#hasty);
    const { operations } = round.taken;
    if (refused === 0 || operations > 0) {
      const isBusy = operations >= Math.max(BUSY_OPERATIONS, waitedMs / BUSY_EVERY_MS);
      return isBusy && !round.page.head.more ? Math.max(0, GATHER_MS - waitedMs) : 0;
    }
    return this.#standing.nothingTaken();
  }

  /**
   * Asks the peer how it stands, while nothing is pulled: its clock is a witness of this site's
   * also then, and what it knows of this site's own log. Returns how long to wait.
   */
  async #greet(): Promise<number> {
    const { calls, clock, replica, own } = this.#deps;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#greetedMs < GREET_MS) return HELD_MS;
    this.#greetedMs = nowMs;
    const received = knownHeads([replica.received().get(own())]);
    const wish = { received, ...appliedSetOf(replica), only: [own()], skip: [], waitMs: 0 };
    const page = await calls.pull(wish, this.#stop.signal, 1);
    this.#deps.watch.told(this.peer, page.head);
    const isDoubted = page.head.diverged.includes(own()) || this.#lostHere(page).length > 0;
    if (!isDoubted) this.#vouch();
    return HELD_MS;
  }

  async #pullUntilEqual(): Promise<PullReport> {
    let goal: Vector | undefined;
    const sums = { operations: 0, bytes: 0, parked: 0 };
    let idle = 0;
    if (this.#deps.held?.() === "all") return this.#report(sums, "rows are being taken over");
    this.#holds.forgive();
    for (let rounds = 0; rounds < ROUNDS_BY_HAND_MAX; rounds++) {
      const skip = this.#skip(false);
      const round = await this.#ask(skip, 0);
      if (round === undefined) break;
      sums.operations += round.taken.operations;
      sums.parked += round.taken.parked;
      sums.bytes += round.page.bytes;
      goal ??= round.page.head.received;
      const missing = this.#firstMissing(goal);
      if (missing === undefined) return this.#report(sums, undefined);
      const problem = this.#holds.reasonOf(missing);
      if (problem !== undefined) return this.#report(sums, problem);
      if (round.page.head.outcome === "below-floor") {
        return this.#report(sums, "the peer's log begins too late: rows are needed");
      }
      if (round.taken.operations === 0 && idle++ >= IDLE_ROUNDS_MAX) break;
      if (skip.has(missing) && missing !== this.#deps.own())
        return this.#report(sums, `operations of ${missing} are held back`);
    }
    return this.#report(sums, "the peer gave up before all had come");
  }

  #firstMissing(goal: Vector): OriginId | undefined {
    const received = this.#deps.replica.received();
    for (const [origin, seq] of goal) if ((received.get(origin)?.seq ?? 0) < seq) return origin;
    return undefined;
  }

  /** Undefined when the question was taken back. */
  async #ask(skip: ReadonlySet<OriginId>, waitMs: number): Promise<Round | undefined> {
    const { check, take } = this.#deps;
    if (this.#stop.signal.aborted) return undefined;
    const page = await this.#questions.next({ skip, waitMs });
    if (page === undefined) return undefined;
    this.#heard(page);
    const checked = check(page);
    if (this.#bringsHeld(checked)) return undefined;
    const diverged = [...page.head.diverged, ...checked.diverged, ...this.#lostHere(page)];
    this.#standing.diverged(diverged);
    if (diverged.includes(this.#deps.own())) this.#doubted = true;
    else this.#vouch();
    const isWhole = diverged.length === 0 && checked.unknown.length === 0;
    // There is more behind it: the peer reads and sends that while this page is taken.
    if (isWhole && page.head.more) this.#questions.askAhead(checked.heads, { skip, waitMs });
    const taken = await take(checked, this.peer.id, this.#stop.signal);
    this.#standing.refused(taken);
    const isTaken = taken.refused.size === 0 || taken.operations > 0;
    this.#standing.answered(page, checked, { isDiverged: diverged.length > 0, isTaken });
    return { page, taken, checked };
  }

  #heard({ head }: PulledPage): void {
    const { watch, replica } = this.#deps;
    watch.told(this.peer, head);
    const received = replica.received();
    this.#holds.heard(head.received, (origin) => received.get(origin)?.seq ?? 0);
  }

  /** A site whose own log others know better has been set back, or runs twice. */
  #lostHere({ head }: PulledPage): readonly OriginId[] {
    const { replica } = this.#deps;
    const own = this.#deps.own();
    const here = replica.received().get(own)?.seq ?? 0;
    return (head.received.get(own) ?? 0) <= here ? [] : [own];
  }

  #skip(leaveToOthers: boolean): ReadonlySet<OriginId> {
    const { quarantine, servedElsewhere } = this.#deps;
    const elsewhere = leaveToOthers ? servedElsewhere(this.peer.id) : NONE;
    const skip = this.#holds.skip(elsewhere).add(this.#deps.own());
    for (const { origin } of quarantine.list()) skip.add(origin);
    const held = this.#deps.held?.();
    if (held !== undefined && held !== "all") for (const origin of held) skip.add(origin);
    return skip;
  }

  /** Whether an answer brings what has to wait: the question is older than the taking over. */
  #bringsHeld({ heads }: CheckedPage): boolean {
    const held = this.#deps.held?.();
    if (held === undefined || held === "all") return held === "all";
    return heads.some(({ origin }) => held.has(origin));
  }

  #explain(failure: unknown): string {
    this.#questions.takeBack();
    if (this.#stop.signal.aborted) return "the site is stopping";
    return this.#standing.failed(failure);
  }

  #report(
    sums: Partial<Pick<PullReport, "operations" | "bytes" | "parked">>,
    problem: string | undefined,
  ): PullReport {
    return { operations: 0, bytes: 0, parked: 0, ...sums, peer: this.peer, problem };
  }
}

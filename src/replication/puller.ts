import { StorageFault } from "../core/faults.ts";
import type { OriginId, SiteId } from "../core/names.ts";
import { operationHeader } from "../core/operation-codec.ts";
import type { Vector } from "../core/records.ts";
import type { SiteRecord } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import type { Replica } from "../storage/replica.ts";
import { backoffMs } from "./backoff.ts";
import { dotOf } from "./log-entries.ts";
import type { CheckedPage } from "./page-check.ts";
import type { TakenPage } from "./page-taker.ts";
import type { PeerCalls, PulledPage } from "./peer-calls.ts";
import { PeerFault } from "./peer-fault.ts";
import { PeerLie } from "./peer-lie.ts";
import type { PeerWatch } from "./peer-watch.ts";
import { PullHolds } from "./pull-holds.ts";
import { PullQuestions } from "./pull-questions.ts";
import type { Quarantine } from "./quarantine.ts";
import { Rest } from "./rest.ts";
import { TroubleLog } from "./trouble-log.ts";

export type PullerDeps = {
  readonly replica: Pick<Replica, "received" | "applied">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly watch: PeerWatch;
  readonly quarantine: Quarantine;
  readonly calls: PeerCalls;
  readonly check: (page: PulledPage) => CheckedPage;
  readonly take: (page: CheckedPage, from: SiteId, signal: AbortSignal) => Promise<TakenPage>;
  /** Called with what a request says that this site has applied. */
  readonly telling: (peer: SiteId, applied: Vector) => void;
  /** This site's own origin: nobody has anything to tell it about that. */
  readonly own: () => OriginId;
  /** Origins that come straight from their own site over another link. */
  readonly servedElsewhere: (peer: SiteId) => ReadonlySet<OriginId>;
  /** The link has become usable, or unusable: what others leave to it changes. */
  readonly changed: () => void;
  /** The peer's log begins later than this site's knowledge ends. */
  readonly belowFloor: (peer: SiteRecord, origins: readonly OriginId[]) => void;
  /** Whether all rows of a peer are being taken over: its log is gone on with afterwards. */
  readonly held?: () => boolean;
};

/** What one round with a peer brought, for those who asked for it by hand. */
export type PullReport = {
  readonly peer: SiteRecord;
  readonly operations: number;
  readonly bytes: number;
  readonly parked: number;
  /** Why it is not equal with what the peer had; undefined when it is. */
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
/** While other links serve some origins, this one looks now and then whether they really do. */
const WAIT_SKIPPING_MS = 5000;
const SUSPENDED_MS = 60_000;
const SUSPENDED_MS_MAX = 15 * 60_000;
const NEEDS_ROWS_MS = 15_000;
/** While rows are taken over, nothing is asked for; so often it is looked whether they are. */
const HELD_MS = 500;
/**
 * A peer is busy that has so many operations, and one in so many milliseconds: then the next
 * question waits until so long behind this one, for a page costs as much as many operations.
 */
const BUSY_OPERATIONS = 8;
const BUSY_EVERY_MS = 4;
const GATHER_MS = 40;
const ROUNDS_BY_HAND_MAX = 100_000;
/** Rounds by hand that brought nothing, though something is missing; others may have brought it. */
const IDLE_ROUNDS_MAX = 5;

/**
 * Pulls from one peer for as long as it is a member: asks for what lies beyond this site's vector,
 * waits there for news, checks and takes what comes. Failures are waited out with full jitter; a
 * peer that lied is left alone for a minute at first, up to a quarter of an hour, and shown as
 * suspended. Invariant: one request for operations is under way at a time.
 */
export class Puller {
  readonly #deps: PullerDeps;
  /** That a peer has more of our own log than we have is its word; that we signed it is proof. */
  #proof: "wanted" | "asked for" | undefined;
  readonly #stop = new AbortController();
  readonly #rest: Rest;
  readonly #holds: PullHolds;
  readonly #troubles: TroubleLog;
  readonly #wishes: Wish[] = [];
  readonly #questions: PullQuestions;
  #running: Promise<void> = Promise.resolve();
  #failures = 0;
  #lies = 0;
  /** Answers in a row that came at once and brought nothing. */
  #hasty = 0;
  #connected = false;
  #suspicion: PeerLie | undefined;

  constructor(deps: PullerDeps) {
    this.#deps = deps;
    this.#rest = new Rest(deps.clock);
    this.#holds = new PullHolds(deps.clock);
    this.#questions = new PullQuestions(deps);
    this.#troubles = new TroubleLog(deps);
  }

  get peer(): SiteRecord {
    return this.#deps.calls.peer;
  }

  /** Whether what the peer's site writes comes over this link. */
  get isConnected(): boolean {
    return this.#connected;
  }

  /** Whether it said what cannot be true, and has not answered well since. */
  get isSuspended(): boolean {
    return this.#lies > 0;
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
    if (this.#lies === 0) this.#rest.end();
  }

  /** Bytes that it gave for others were not what their hash says. */
  suspect(lie: PeerLie): void {
    this.#suspicion = lie;
    this.restart();
    this.#rest.end();
  }

  /** Asks anew, because what is to be asked for has changed. */
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
        if (wishes.length > 0) {
          const report = await this.#pullUntilEqual();
          for (const { resolve } of wishes) resolve(report);
        } else waitMs = await this.#pullOnce();
      } catch (failure) {
        const problem = this.#explain(failure);
        for (const { resolve } of wishes) resolve(this.#report({}, problem));
        waitMs = this.#waitAfter(failure);
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

  /** One question, also one that waits at the peer; gives how long to wait before the next. */
  async #pullOnce(): Promise<number> {
    if (this.#deps.held?.() === true) return HELD_MS;
    const skip = this.#skip(true);
    const usualMs = skip.size > 1 ? WAIT_SKIPPING_MS : WAIT_MS;
    const dueMs = this.#deps.quarantine.nextMs() ?? usualMs;
    // The first question after a failure does not wait: the answer tells that all is well again.
    const waitMs = this.#connected ? Math.min(usualMs, dueMs) : 0;
    const startedMs = this.#deps.clock.monotonicMs();
    const round = await this.#ask(skip, waitMs);
    if (round === undefined) return 0;
    if (round.page.head.outcome === "below-floor") return NEEDS_ROWS_MS;
    const refused = round.checked.unknown.length + round.taken.refused.size;
    // Who has nothing lets us wait; who says so at once, or was removed, is not asked in a circle.
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
    this.#failures += 1;
    return backoffMs(this.#deps.random, this.#failures);
  }

  async #pullUntilEqual(): Promise<PullReport> {
    let goal: Vector | undefined;
    const sums = { operations: 0, bytes: 0, parked: 0 };
    let idle = 0;
    if (this.#deps.held?.() === true) return this.#report(sums, "rows are being taken over");
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
    const diverged = [...page.head.diverged, ...checked.diverged, ...this.#lostHere(page)];
    this.#refuseDiverged(diverged);
    const isWhole = diverged.length === 0 && checked.unknown.length === 0;
    // There is more behind it: the peer reads and sends that while this page is taken.
    if (isWhole && page.head.more) this.#questions.askAhead(checked.heads, { skip, waitMs });
    const taken = await take(checked, this.peer.id, this.#stop.signal);
    this.#noteRefusals(taken);
    this.#working(page, checked, diverged.length > 0);
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
    if ((head.received.get(own) ?? 0) <= here) return [];
    this.#proof ??= "wanted";
    return [own];
  }

  #working({ head }: PulledPage, checked: CheckedPage, isDiverged: boolean): void {
    const { watch, belowFloor, changed } = this.#deps;
    this.#lies = 0;
    if (head.outcome === "below-floor") {
      watch.link(this.peer.id, "needs-bootstrap");
      belowFloor(this.peer, head.floors);
      return;
    }
    watch.link(this.peer.id, isDiverged ? "suspended" : "connected");
    if (checked.entries.length > 0 || checked.unknown.length === 0) this.#failures = 0;
    if (this.#connected) return;
    this.#connected = true;
    changed();
  }

  #skip(leaveToOthers: boolean): ReadonlySet<OriginId> {
    const { quarantine, servedElsewhere } = this.#deps;
    const elsewhere = leaveToOthers ? servedElsewhere(this.peer.id) : NONE;
    const skip = this.#holds.skip(elsewhere).add(this.#deps.own());
    for (const { origin } of quarantine.list()) skip.add(origin);
    if (this.#proof === "wanted") {
      skip.delete(this.#deps.own());
      this.#proof = "asked for";
    }
    return skip;
  }

  #refuseDiverged(origins: readonly OriginId[]): void {
    for (const origin of origins) {
      const reason = `the peer has another history of origin ${origin}: one of them is a copy`;
      this.#refuse(origin, reason, "restore that site under a new origin, or remove it");
    }
  }

  #noteRefusals({ refused }: TakenPage): void {
    for (const [origin, { entry, why }] of refused) {
      if (why.reason === "clock") {
        const { hlc } = operationHeader(entry.encoded);
        this.#deps.quarantine.refuse(dotOf(entry.encoded), hlc, this.peer.id);
      } else if (why.reason !== "gap" && why.reason !== "bytes") {
        this.#refuse(origin, why.message, "see the log of both sites");
      }
    }
  }

  #refuse(origin: OriginId, reason: string, hint: string): void {
    this.#holds.refuse(origin, reason);
    this.#deps.watch.failed(this.peer.id, reason);
    this.#troubles.tell(this.peer, reason, hint);
  }

  #explain(failure: unknown): string {
    const message = failure instanceof Error ? failure.message : String(failure);
    const { watch, changed } = this.#deps;
    this.#questions.takeBack();
    if (this.#stop.signal.aborted) return "the site is stopping";
    watch.failed(this.peer.id, message);
    if (failure instanceof PeerLie) {
      this.#lies += 1;
      watch.link(this.peer.id, "suspended");
      this.#troubles.tell(
        this.peer,
        message,
        "nothing of it was taken; the peer is left alone for a while",
      );
    } else if (failure instanceof StorageFault) {
      this.#troubles.tell(
        this.peer,
        message,
        failure.hint ?? "this site cannot store what the peer has",
      );
    } else {
      watch.link(this.peer.id, "unreachable");
      const hint = failure instanceof PeerFault ? failure.hint : undefined;
      this.#troubles.tell(this.peer, message, hint ?? "it is tried again by itself");
    }
    if (this.#connected) {
      this.#connected = false;
      changed();
    }
    return message;
  }

  #waitAfter(failure: unknown): number {
    this.#failures += 1;
    const isLie = failure instanceof PeerLie;
    if (!isLie) return backoffMs(this.#deps.random, this.#failures);
    return Math.min(SUSPENDED_MS_MAX, SUSPENDED_MS * 2 ** Math.min(this.#lies - 1, 10));
  }

  #report(
    sums: Partial<Pick<PullReport, "operations" | "bytes" | "parked">>,
    problem: string | undefined,
  ): PullReport {
    return { operations: 0, bytes: 0, parked: 0, ...sums, peer: this.peer, problem };
  }
}

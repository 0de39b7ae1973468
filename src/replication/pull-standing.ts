import { StorageFault } from "../core/faults.ts";
import type { OriginId } from "../core/names.ts";
import { operationHeader } from "../core/operation-codec.ts";
import type { SiteRecord } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import { backoffMs } from "./backoff.ts";
import { dotOf } from "./log-entries.ts";
import type { CheckedPage } from "./page-check.ts";
import type { TakenPage } from "./page-taker.ts";
import type { PeerCalls, PulledPage } from "./peer-calls.ts";
import { PeerFault } from "./peer-fault.ts";
import { PeerLie } from "./peer-lie.ts";
import type { PeerWatch } from "./peer-watch.ts";
import type { PullHolds } from "./pull-holds.ts";
import type { Quarantine } from "./quarantine.ts";
import { TroubleLog } from "./trouble-log.ts";

export type PullStandingDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly watch: PeerWatch;
  readonly quarantine: Quarantine;
  readonly calls: Pick<PeerCalls, "peer">;
  /** The link has become usable, or unusable: what others leave to it changes. */
  readonly changed: () => void;
  /** The peer's log begins beyond the end of what this site knows. */
  readonly belowFloor: (peer: SiteRecord, origins: readonly OriginId[]) => void;
};

const SUSPENDED_MS = 60_000;
const SUSPENDED_MS_MAX = 15 * 60_000;

/**
 * The standing of a peer, which follows from how it answers: what operators are told about it, and
 * how long it is left alone. Failures are waited out with full jitter, lies for a minute at first,
 * up to a quarter of an hour.
 */
export class PullStanding {
  readonly #deps: PullStandingDeps;
  readonly #holds: PullHolds;
  readonly #troubles: TroubleLog;
  #failures = 0;
  #lies = 0;
  #connected = false;

  constructor(deps: PullStandingDeps, holds: PullHolds) {
    this.#deps = deps;
    this.#holds = holds;
    this.#troubles = new TroubleLog(deps);
  }

  /** Whether what the peer's site writes arrives over this link. */
  get isConnected(): boolean {
    return this.#connected;
  }

  /** Whether it said what cannot be true, and has not answered well since. */
  get isSuspended(): boolean {
    return this.#lies > 0;
  }

  /** It answered with a page in which nothing was wrong; `isTaken`: unless all was refused. */
  answered(
    { head }: PulledPage,
    checked: CheckedPage,
    { isDiverged, isTaken }: { readonly isDiverged: boolean; readonly isTaken: boolean },
  ): void {
    const { watch, belowFloor, changed } = this.#deps;
    this.#lies = 0;
    if (head.outcome === "below-floor") {
      watch.link(this.#peer.id, "needs-bootstrap");
      belowFloor(this.#peer, head.floors);
      return;
    }
    watch.link(this.#peer.id, isDiverged ? "suspended" : "connected");
    if (!this.#holds.isRefusing) watch.answeredWell(this.#peer.id);
    const isGood = checked.entries.length > 0 || checked.unknown.length === 0;
    if (isGood && isTaken) this.#failures = 0;
    if (this.#connected) return;
    this.#connected = true;
    changed();
  }

  /** It has another history of these. */
  diverged(origins: readonly OriginId[]): void {
    for (const origin of origins) {
      const reason = `the peer has another history of origin ${origin}: one of them is a copy`;
      this.#refuse(origin, reason, "restore that site under a new origin, or remove it");
    }
  }

  /** Some of its operations were not taken. */
  refused({ refused }: TakenPage): void {
    for (const [origin, { entry, why }] of refused) {
      if (why.reason === "clock") {
        const { hlc } = operationHeader(entry.encoded);
        this.#deps.quarantine.refuse(dotOf(entry.encoded), hlc, this.#peer.id);
      } else if (why.reason !== "gap" && why.reason !== "bytes") {
        this.#refuse(origin, why.message, "see the log of both sites");
      }
    }
  }

  /** Nothing that it sent could be taken; returns how long to wait. */
  nothingTaken(): number {
    this.#failures += 1;
    return backoffMs(this.#deps.random, this.#failures);
  }

  /**
   * Notes a failure: the peer could not be asked, or lied, or this site cannot store what it has.
   * Returns it as a sentence.
   */
  failed(failure: unknown): string {
    const message = failure instanceof Error ? failure.message : String(failure);
    const { watch, changed } = this.#deps;
    watch.failed(this.#peer.id, message);
    if (failure instanceof PeerFault && failure.wallMs !== undefined) {
      watch.clock(this.#peer, failure.wallMs);
    }
    if (failure instanceof PeerLie) {
      this.#lies += 1;
      watch.link(this.#peer.id, "suspended");
      this.#tell(message, "nothing of it was taken; the peer is left alone for a while");
    } else if (failure instanceof StorageFault) {
      this.#tell(message, failure.hint ?? "this site cannot store what the peer has");
    } else {
      watch.link(this.#peer.id, "unreachable");
      const hint = failure instanceof PeerFault ? failure.hint : undefined;
      this.#tell(message, hint ?? "it is tried again by itself");
    }
    if (this.#connected) {
      this.#connected = false;
      changed();
    }
    return message;
  }

  /** How long to wait after a failure. */
  waitMs(failure: unknown): number {
    if (!(failure instanceof PeerLie)) return this.nothingTaken();
    this.#failures += 1;
    return Math.min(SUSPENDED_MS_MAX, SUSPENDED_MS * 2 ** Math.min(this.#lies - 1, 10));
  }

  get #peer(): SiteRecord {
    return this.#deps.calls.peer;
  }

  #refuse(origin: OriginId, reason: string, hint: string): void {
    this.#holds.refuse(origin, reason);
    this.#deps.watch.failed(this.#peer.id, reason);
    this.#tell(reason, hint);
  }

  #tell(problem: string, hint: string): void {
    this.#troubles.tell(this.#peer, problem, hint);
  }
}

import { type AppliedSet, appliedSetOf, NOTHING_APPLIED, sameHoles } from "../core/applied-set.ts";
import type { OriginId, SiteId } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import type { Cancel, Clock } from "../ports/clock.ts";
import type { Replica } from "../storage/replica.ts";
import { seqsOf } from "./log-entries.ts";
import type { PeerCalls } from "./peer-calls.ts";

export type HintSenderDeps = {
  readonly replica: Pick<Replica, "origin" | "received" | "applied" | "holes">;
  readonly clock: Clock;
  /** Peers that can be reached, as far as is known. */
  readonly peers: () => readonly Pick<PeerCalls, "site" | "hint">[];
  /** Whether the peer waits here for news, and so needs no hint. */
  readonly isAwaitedBy: (peer: SiteId) => boolean;
};

type Told = {
  has: AppliedSet;
  received: Vector;
  sending: boolean;
  answeredMs: number;
};

/** Commits within this time are announced by one hint. */
const NEWS_MS = 20;
/**
 * What has been applied travels with the next request; a hint tells it only to a peer that gets
 * none.
 */
const APPLIED_MS = 300;
/** A peer that was answered within this time asks again by itself. */
const ANSWERED_MS = 1000;
const NOTHING: Vector = new Map();

/**
 * Sends hints to peers that are not waiting here: that there is news, and what this site has
 * applied of what arrived over other links. A lost hint does no harm, because every peer asks by
 * itself.
 */
export class HintSender {
  readonly #deps: HintSenderDeps;
  readonly #told = new Map<SiteId, Told>();
  readonly #stop = new AbortController();
  #news: Cancel | undefined;
  #applied: Cancel | undefined;

  constructor(deps: HintSenderDeps) {
    this.#deps = deps;
  }

  stop(): void {
    this.#stop.abort();
    this.#news?.();
    this.#applied?.();
  }

  /** There are new operations here. */
  committed(): void {
    if (this.#stop.signal.aborted || this.#deps.peers().length === 0) return;
    this.#tellSoon(NEWS_MS);
    this.#applied ??= this.#deps.clock.after(APPLIED_MS, () => {
      this.#applied = undefined;
      this.#tellAll(true);
    });
  }

  /** A request or an answer of ours has told the peer this. */
  told(
    peer: SiteId,
    { applied, holes, received }: AppliedSet & { readonly received?: Vector },
  ): void {
    const told = this.#of(peer);
    told.has = { applied, holes };
    if (received === undefined) return;
    told.received = received;
    told.answeredMs = this.#deps.clock.monotonicMs();
  }

  /** Tells all of them now, whether they wait or not. */
  async push(): Promise<void> {
    const sending = this.#deps.peers().map((peer) => this.#send(peer));
    await Promise.all(sending);
  }

  #tellSoon(ms: number): void {
    this.#news ??= this.#deps.clock.after(ms, () => {
      this.#news = undefined;
      this.#tellAll(false);
    });
  }

  #tellAll(withApplied: boolean): void {
    const { replica, peers, isAwaitedBy, clock } = this.#deps;
    const nowMs = clock.monotonicMs();
    const received = seqsOf(replica.received());
    const has = withApplied ? appliedSetOf(replica) : undefined;
    for (const peer of peers()) {
      const told = this.#of(peer.site);
      if (told.sending) continue;
      const isNews = !isAwaitedBy(peer.site) && differ(received, told.received, undefined);
      const isApplied = has !== undefined && isOther(has, told.has, replica.origin);
      const isBusy = nowMs - told.answeredMs < ANSWERED_MS;
      if (isApplied || (isNews && !isBusy)) void this.#send(peer);
      else if (isNews) this.#tellSoon(ANSWERED_MS);
    }
  }

  async #send(peer: Pick<PeerCalls, "site" | "hint">): Promise<void> {
    const { replica } = this.#deps;
    const told = this.#of(peer.site);
    const has = appliedSetOf(replica);
    const hint = { received: seqsOf(replica.received()), ...has };
    told.sending = true;
    try {
      await peer.hint(hint, this.#stop.signal);
      told.received = hint.received;
      told.has = has;
    } catch {
      // Its puller asks when it can; the link's state is told by ours.
    } finally {
      told.sending = false;
    }
  }

  #of(peer: SiteId): Told {
    const known = this.#told.get(peer);
    if (known !== undefined) return known;
    const told = {
      has: NOTHING_APPLIED,
      received: NOTHING,
      sending: false,
      answeredMs: -ANSWERED_MS,
    };
    this.#told.set(peer, told);
    return told;
  }
}

function isOther(now: AppliedSet, before: AppliedSet, without: OriginId): boolean {
  return differ(now.applied, before.applied, without) || !sameHoles(now.holes, before.holes);
}

function differ(now: Vector, before: Vector, without: OriginId | undefined): boolean {
  for (const [origin, seq] of now) {
    if (origin !== without && before.get(origin) !== seq) return true;
  }
  return false;
}

import { type AppliedSet, NO_HOLES } from "../core/applied-set.ts";
import type { SiteId } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { LinkState, PeerFacts } from "./status.ts";

/** What a peer says of itself with every message. */
export type PeerWord = AppliedSet & {
  readonly received: Vector;
  /** Its wall clock, in Unix milliseconds. */
  readonly wallMs: number;
};

export type PeerWatchDeps = {
  readonly clock: Pick<Clock, "nowMs" | "monotonicMs">;
  readonly log: Pick<Log, "warn">;
};

type Seen = {
  link: LinkState;
  word: PeerWord | undefined;
  heardMonotonicMs: number | undefined;
  lastError: PeerFacts["lastError"];
  skews: Array<{ readonly atMs: number; readonly skewMs: number }>;
  warnedMs: number;
};

const SKEW_WARN_MS = 250;
const SKEW_SAMPLES_MAX = 16;
/** Samples older than this do not count, so that a clock that was set right soon looks right. */
const SKEW_AGE_MS = 120_000;
/**
 * A peer needs this many samples before its clock counts: a single message may have been delayed by
 * a broken link.
 */
const VOTE_SAMPLES_MIN = 3;
const WARN_AGAIN_MS = 3600 * 1000;
const MESSAGE_CHARS_MAX = 500;

/**
 * What is known of each peer from what it says and how it answers. Nothing here is durable: a peer
 * that has not been heard since the start is unknown. Invariant: the last word of a peer counts,
 * even when it takes back an earlier one.
 */
export class PeerWatch {
  readonly #deps: PeerWatchDeps;
  readonly #seen = new Map<SiteId, Seen>();

  constructor(deps: PeerWatchDeps) {
    this.#deps = deps;
  }

  /** A peer has spoken, asking or answering. */
  told(peer: { readonly id: SiteId; readonly name: string }, word: PeerWord): void {
    const seen = this.#of(peer.id);
    seen.word = word;
    seen.heardMonotonicMs = this.#deps.clock.monotonicMs();
    this.clock(peer, word.wallMs);
  }

  /** A peer has told its wall clock, perhaps in a refusal because the two clocks differ. */
  clock(peer: { readonly id: SiteId; readonly name: string }, wallMs: number): void {
    const { clock } = this.#deps;
    const seen = this.#of(peer.id);
    const atMs = clock.monotonicMs();
    const skews = seen.skews.filter((sample) => atMs - sample.atMs < SKEW_AGE_MS);
    seen.skews = [...skews, { atMs, skewMs: wallMs - clock.nowMs() }].slice(-SKEW_SAMPLES_MAX);
    this.#warnOfSkew(peer, seen, atMs);
  }

  /** How the link to a peer stands now. */
  link(peer: SiteId, state: LinkState): void {
    this.#of(peer).link = state;
  }

  /** Something went wrong with a peer; the message is shown to operators. */
  failed(peer: SiteId, message: string): void {
    const atMs = this.#deps.clock.nowMs();
    const cut = message.slice(0, MESSAGE_CHARS_MAX);
    this.#of(peer).lastError = { message: cut, atMs, overMs: undefined };
  }

  /** A peer has answered and nothing was wrong with it: what went wrong before is over. */
  answeredWell(peer: SiteId): void {
    const seen = this.#of(peer);
    const { lastError } = seen;
    if (lastError === undefined || lastError.overMs !== undefined) return;
    seen.lastError = { ...lastError, overMs: this.#deps.clock.nowMs() };
  }

  /** Forgets a site that is no peer any more. */
  forget(peer: SiteId): void {
    this.#seen.delete(peer);
  }

  /** What is known of a peer. */
  facts(peer: SiteId): PeerFacts {
    const seen = this.#seen.get(peer);
    return {
      link: seen?.link ?? "connecting",
      applied: seen?.word?.applied,
      holes: seen?.word?.holes ?? NO_HOLES,
      received: seen?.word?.received,
      heardMonotonicMs: seen?.heardMonotonicMs,
      skewMs: seen === undefined ? undefined : skewOf(seen),
      lastError: seen?.lastError,
    };
  }

  /**
   * How far the clocks of peers are ahead of this site's, in milliseconds, for peers with enough
   * recent samples.
   */
  skews(): number[] {
    const nowMs = this.#deps.clock.monotonicMs();
    const skews: number[] = [];
    for (const seen of this.#seen.values()) {
      const fresh = seen.skews.filter(({ atMs }) => nowMs - atMs < SKEW_AGE_MS);
      if (fresh.length < VOTE_SAMPLES_MIN) continue;
      skews.push(Math.max(...fresh.map(({ skewMs }) => skewMs)));
    }
    return skews;
  }

  #of(peer: SiteId): Seen {
    const known = this.#seen.get(peer);
    if (known !== undefined) return known;
    const seen: Seen = {
      ...{ link: "connecting", word: undefined, heardMonotonicMs: undefined },
      ...{ lastError: undefined, skews: [], warnedMs: Number.NEGATIVE_INFINITY },
    };
    this.#seen.set(peer, seen);
    return seen;
  }

  #warnOfSkew(peer: { id: SiteId; name: string }, seen: Seen, atMs: number): void {
    const skewMs = skewOf(seen) ?? 0;
    if (Math.abs(skewMs) <= SKEW_WARN_MS || atMs - seen.warnedMs < WARN_AGAIN_MS) return;
    // A single delayed message says nothing about a clock.
    if (skewMs < 0 && seen.skews.length < SKEW_SAMPLES_MAX / 2) return;
    seen.warnedMs = atMs;
    this.#deps.log.warn(
      { peer: peer.name, site: peer.id, skewMs },
      "the clocks of two sites differ: see that both follow the same time server",
    );
  }
}

/**
 * Every message is late by its travel time, so the sample that travelled fastest is the best one.
 */
function skewOf({ skews }: Pick<Seen, "skews">): number | undefined {
  return skews.length === 0 ? undefined : Math.max(...skews.map(({ skewMs }) => skewMs));
}

import type { OriginId } from "../core/names.ts";
import type { Vector } from "../core/records.ts";
import type { Clock } from "../ports/clock.ts";

/** After being behind for this long, origins of another link are pulled over this one as well. */
const RELAY_PATIENCE_MS = 2000;
/** Origins that were refused are asked for again after this. */
const REFUSED_MS = 30_000;

/**
 * Which origins are not asked of one peer for now: those that were refused a moment ago, and those
 * that arrive over other links in time.
 */
export class PullHolds {
  readonly #clock: Clock;
  /** Until when (monotonic), and why. */
  readonly #refused = new Map<OriginId, { readonly untilMs: number; readonly reason: string }>();
  /** Since when the peer has more of an origin than this site. */
  readonly #behindSinceMs = new Map<OriginId, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes how far the peer says it is. */
  heard(peer: Vector, here: (origin: OriginId) => number): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [origin, seq] of peer) {
      if (here(origin) >= seq) this.#behindSinceMs.delete(origin);
      else if (!this.#behindSinceMs.has(origin)) this.#behindSinceMs.set(origin, nowMs);
    }
  }

  refuse(origin: OriginId, reason: string): void {
    const untilMs = this.#clock.monotonicMs() + REFUSED_MS;
    this.#refused.set(origin, { untilMs, reason });
  }

  /** Whether something of the peer was refused a moment ago, and is not asked for. */
  get isRefusing(): boolean {
    return this.#refused.size > 0;
  }

  /** Why an origin was refused a moment ago; undefined when it was not. */
  reasonOf(origin: OriginId): string | undefined {
    return this.#refused.get(origin)?.reason;
  }

  /** An operator wants everything to be tried again. */
  forgive(): void {
    this.#refused.clear();
  }

  /** Origins not to be asked for; those of `elsewhere` only while they do come from there. */
  skip(elsewhere: ReadonlySet<OriginId>): Set<OriginId> {
    const nowMs = this.#clock.monotonicMs();
    const skip = new Set<OriginId>();
    for (const origin of elsewhere) {
      const sinceMs = this.#behindSinceMs.get(origin) ?? nowMs;
      if (nowMs - sinceMs < RELAY_PATIENCE_MS) skip.add(origin);
    }
    for (const [origin, { untilMs }] of this.#refused) {
      if (untilMs > nowMs) skip.add(origin);
      else this.#refused.delete(origin);
    }
    return skip;
  }
}

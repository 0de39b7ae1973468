import { formatHlc, type Hlc, hlcMs } from "../core/hlc.ts";
import type { OriginId, SiteId } from "../core/names.ts";
import type { Dot } from "../core/records.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";

/** An origin whose operations are dated in the future. */
export type HeldOrigin = {
  readonly origin: OriginId;
  /** The first operation that is not taken, and its reading of the clock. */
  readonly dot: Dot;
  readonly hlc: Hlc;
  /** The peer that handed it over, which need not be its origin. */
  readonly from: SiteId;
  /** Wall clock here when it was seen first, in Unix milliseconds. */
  readonly sinceMs: number;
  /** How far it is ahead of this site's clock now. */
  readonly aheadMs: number;
};

export type QuarantineDeps = {
  /** The one by which operations are refused: this site's, as far as that is believed. */
  readonly clock: Pick<Clock, "nowMs">;
  readonly log: Pick<Log, "error">;
  /** How far ahead an operation may be, in milliseconds. */
  readonly driftMsMax: number;
};

type Held = Omit<HeldOrigin, "aheadMs">;

/**
 * How long an origin stays quiet in the log: each of its operations is refused, but it is reported
 * once.
 */
const SILENCE_MS = 3600 * 1000;

/**
 * Origins whose operations are too far in the future to be taken, whoever relays them. They are
 * asked for again as soon as time has caught up. Invariant: an origin is in the table from its
 * first refusal until it is due.
 */
export class Quarantine {
  readonly #deps: QuarantineDeps;
  readonly #held = new Map<OriginId, Held>();
  /** When each origin was last refused, in Unix milliseconds. */
  readonly #refusedMs = new Map<OriginId, number>();
  /** Refusals since the start. */
  refusals = 0;

  constructor(deps: QuarantineDeps) {
    this.#deps = deps;
  }

  /** Notes an operation that was refused for its time. */
  refuse(dot: Dot, hlc: Hlc, from: SiteId): void {
    const { clock, log, driftMsMax } = this.#deps;
    this.refusals += 1;
    const { origin } = dot;
    const nowMs = clock.nowMs();
    const sinceMs = this.#held.get(origin)?.sinceMs ?? nowMs;
    this.#held.set(origin, { origin, dot, hlc, from, sinceMs });
    const lastMs = this.#refusedMs.get(origin) ?? Number.NEGATIVE_INFINITY;
    this.#refusedMs.set(origin, nowMs);
    if (Math.abs(nowMs - lastMs) < SILENCE_MS) return;
    log.error(
      {
        ...{ origin, seq: dot.seq, from, hlc: formatHlc(hlc) },
        aheadMs: hlcMs(hlc) - nowMs,
        driftMsMax,
      },
      "operations of a site whose clock is ahead are held back until that time has come",
    );
  }

  /** Whether an origin's operations are not to be asked for now. */
  isHeld(origin: OriginId): boolean {
    const held = this.#held.get(origin);
    if (held === undefined) return false;
    if (this.#aheadMs(held) > this.#deps.driftMsMax) return true;
    this.#held.delete(origin);
    return false;
  }

  /** Everything that is held back now. */
  list(): readonly HeldOrigin[] {
    const held = [...this.#held.values()].filter(({ origin }) => this.isHeld(origin));
    return held.map((one) => ({ ...one, aheadMs: this.#aheadMs(one) }));
  }

  /** When the first of them will be due, in milliseconds from now; undefined when none is held. */
  nextMs(): number | undefined {
    const waits = this.list().map(({ aheadMs }) => aheadMs - this.#deps.driftMsMax);
    return waits.length === 0 ? undefined : Math.max(1, Math.min(...waits));
  }

  #aheadMs({ hlc }: Pick<Held, "hlc">): number {
    return hlcMs(hlc) - this.#deps.clock.nowMs();
  }
}

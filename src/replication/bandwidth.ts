import type { Clock } from "../ports/clock.ts";

/** Bytes per second, always or by the wall clock in Unix milliseconds; undefined: without bound. */
export type Rate = number | undefined | ((wallMs: number) => number | undefined);

/** No wait is longer, so that a rate that changes with the hour is noticed. */
const WAIT_MS_MAX = 60_000;

/**
 * Bounds bytes per second (a token bucket): whoever has taken more than there was waits until that
 * is paid back. At most one second's worth is saved up, so that a pause is not followed by a flood.
 * Bytes taken while there was no bound are never paid back.
 */
export class Bandwidth {
  readonly #clock: Clock;
  readonly #rate: Rate;
  #available: number;
  #countedMs: number;

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock;
    this.#rate = rate;
    this.#available = this.#bytesPerSecond() ?? 0;
    this.#countedMs = clock.monotonicMs();
  }

  /** The most to ask for at once, so that one answer is never more than a second's worth. */
  bytesAtOnce(wantedBytes: number): number {
    const rate = this.#bytesPerSecond();
    return rate === undefined ? wantedBytes : Math.max(1, Math.min(wantedBytes, Math.ceil(rate)));
  }

  /** Counts bytes that have arrived; the next `ready` waits for them. */
  spend(bytes: number): void {
    if (this.#refill() !== undefined) this.#available -= bytes;
  }

  /** Resolves when something may be asked for again, or the signal aborts. */
  async ready(signal: AbortSignal): Promise<void> {
    if (this.#rate === undefined) return;
    for (;;) {
      const rate = this.#refill();
      if (rate === undefined || this.#available >= 0 || signal.aborted) return;
      const owedMs = Math.ceil((-this.#available / rate) * 1000);
      await this.#clock.sleep(Math.min(owedMs, WAIT_MS_MAX), signal);
    }
  }

  #bytesPerSecond(): number | undefined {
    return typeof this.#rate === "function" ? this.#rate(this.#clock.nowMs()) : this.#rate;
  }

  /** Adds what has become available since the last call; returns the rate in force. */
  #refill(): number | undefined {
    const rate = this.#bytesPerSecond();
    const nowMs = this.#clock.monotonicMs();
    const gained = ((nowMs - this.#countedMs) / 1000) * (rate ?? 0);
    this.#countedMs = nowMs;
    this.#available = rate === undefined ? 0 : Math.min(rate, this.#available + gained);
    return rate;
  }
}

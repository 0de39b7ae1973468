import type { Clock } from "../ports/clock.ts";

/**
 * Bounds bytes per second: who has taken more than there was waits until it is paid back. What is
 * saved up is never more than a second's worth, so that a pause is not followed by a flood.
 */
export class Bandwidth {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number | undefined;
  #available: number;
  #countedMs: number;

  /** @param bytesPerSecond undefined: without bound. */
  constructor(clock: Clock, bytesPerSecond: number | undefined) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#available = bytesPerSecond ?? 0;
    this.#countedMs = clock.monotonicMs();
  }

  /** The most to ask for at once, so that one answer is never more than a second's worth. */
  bytesAtOnce(wantedBytes: number): number {
    const rate = this.#bytesPerSecond;
    return rate === undefined ? wantedBytes : Math.max(1, Math.min(wantedBytes, Math.ceil(rate)));
  }

  /** Takes what has come; the next `ready` waits for it. */
  spend(bytes: number): void {
    this.#refill();
    this.#available -= bytes;
  }

  /** Resolves when something may be asked for again, or the signal aborts. */
  async ready(signal: AbortSignal): Promise<void> {
    const rate = this.#bytesPerSecond;
    if (rate === undefined) return;
    for (this.#refill(); this.#available < 0 && !signal.aborted; this.#refill()) {
      await this.#clock.sleep(Math.ceil((-this.#available / rate) * 1000), signal);
    }
  }

  #refill(): void {
    const rate = this.#bytesPerSecond;
    if (rate === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    const gained = ((nowMs - this.#countedMs) / 1000) * rate;
    this.#countedMs = nowMs;
    this.#available = Math.min(rate, this.#available + gained);
  }
}

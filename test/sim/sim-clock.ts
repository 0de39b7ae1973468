import type { Cancel, Clock } from "../../src/ports/clock.ts";

type Timer = { readonly dueMs: number; readonly order: number; readonly callback: () => void };

/**
 * Time that passes only when a test says so. The wall clock may drift from the monotonic one and
 * jump; timers follow the monotonic clock, as the system's do.
 */
export class SimClock implements Clock {
  #elapsedMs = 0;
  #wallMs: number;
  #wallSetAtMs = 0;
  #drift = 1;
  #order = 0;
  #timers: Timer[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#wallMs = startMs;
  }

  nowMs(): number {
    return Math.floor(this.#wallMs + (this.#elapsedMs - this.#wallSetAtMs) * this.#drift);
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(ms: number, callback: () => void): Cancel {
    const dueMs = this.#elapsedMs + Math.max(0, ms);
    const timer = { dueMs, order: this.#order++, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        signal?.removeEventListener("abort", finish);
        resolve();
      };
      const cancel = this.after(ms, finish);
      signal?.addEventListener("abort", finish);
    });
  }

  /** Wall-clock seconds per monotonic second from now on; 1 is a perfect clock. */
  setDrift(rate: number): void {
    this.#rebase(this.nowMs());
    this.#drift = rate;
  }

  /** The wall clock is set forward or back; no timer notices. */
  jump(ms: number): void {
    this.#rebase(this.nowMs() + ms);
  }

  /** How many timers wait. */
  get pendingTimers(): number {
    return this.#timers.length;
  }

  /** Lets time pass; timers fire in the order they are due, each at its own moment. */
  async advance(ms: number): Promise<void> {
    await turns();
    const untilMs = this.#elapsedMs + ms;
    for (let next = this.#due(untilMs); next !== undefined; next = this.#due(untilMs)) {
      const timer = next;
      this.#elapsedMs = Math.max(this.#elapsedMs, timer.dueMs);
      this.#timers = this.#timers.filter((other) => other !== timer);
      timer.callback();
      await turns();
    }
    this.#elapsedMs = untilMs;
    await turns();
  }

  /** Passes on to the next timer; false when none waits. */
  async advanceToNext(): Promise<boolean> {
    const next = this.#due(Number.POSITIVE_INFINITY);
    if (next === undefined) return false;
    await this.advance(next.dueMs - this.#elapsedMs);
    return true;
  }

  #due(untilMs: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs > untilMs) continue;
      const earlier = first === undefined || timer.dueMs < first.dueMs;
      if (earlier || (timer.dueMs === first?.dueMs && timer.order < first.order)) first = timer;
    }
    return first;
  }

  #rebase(wallMs: number): void {
    this.#wallMs = wallMs;
    this.#wallSetAtMs = this.#elapsedMs;
  }
}

/** Until everything that a timer began waits for the next one: setImmediate lets all promises go. */
function turns(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

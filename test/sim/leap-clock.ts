import type { Cancel, Clock } from "../../src/ports/clock.ts";

/**
 * Time that leaps: no timer ever fires, so that nothing happens but what a schedule asks for. A
 * machine keeps its clock over restarts.
 */
export class LeapClock implements Clock {
  #elapsedMs = 0;
  #offsetMs = 1_700_000_000_000;

  nowMs(): number {
    return this.#offsetMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(): Cancel {
    return () => undefined;
  }

  sleep(): Promise<void> {
    return new Promise(() => undefined);
  }

  /** Lets time pass. */
  leap(ms: number): void {
    this.#elapsedMs += ms;
  }

  /** Sets the wall clock forward or back. */
  jump(ms: number): void {
    this.#offsetMs += ms;
  }
}

/** Time. The only place where the program asks what time it is or waits for it to pass. */
export interface Clock {
  /** Wall clock in Unix milliseconds; may jump either way. */
  nowMs(): number;
  /** Monotonic milliseconds (fractions allowed) from an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Resolves after at least `ms`; resolves early (never rejects) when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once after at least `ms`, unless cancelled. Does not keep the process alive. */
  after(ms: number, callback: () => void): Cancel;
}

/** Cancels what was scheduled. Calling it twice, or too late, does nothing. */
export type Cancel = () => void;

/**
 * A write faster than this counts as fast. Using another thread takes a third of that by itself.
 */
const FAST_MS = 1;
/** After a slow write this many fast ones have to be seen again. */
const TRIALS = 32;

/**
 * Whether a disk has been so fast lately that this thread may wait for it: the last small writes
 * were all fast. After a slow one, which cost one wait, other threads write again.
 */
export class WritePace {
  #trials = TRIALS;

  get isFast(): boolean {
    return this.#trials === 0;
  }

  /** A small write took so long, wherever it was done. */
  note(elapsedMs: number): void {
    if (elapsedMs > FAST_MS) this.#trials = TRIALS;
    else if (this.#trials > 0) this.#trials -= 1;
  }
}

/** Handing a write to another thread and hearing of it takes a third of this. */
const FAST_MS = 1;
/** After a slow write so many fast ones have to be seen again. */
const TRIALS = 32;

/**
 * Whether a disk has been so fast lately that a thread may well wait for it: all of the last small
 * writes were. A slow one costs one wait, and then others do the waiting again.
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

import type { Clock } from "../ports/clock.ts";

/** A rest that others may end. Invariant: one is taken at a time. */
export class Rest {
  readonly #clock: Pick<Clock, "after">;
  #end: () => void = () => undefined;

  constructor(clock: Pick<Clock, "after">) {
    this.#clock = clock;
  }

  /** Resolves after so many milliseconds, or as soon as it is ended. */
  async take(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(ms, resolve);
      this.#end = () => {
        cancel();
        resolve();
      };
    });
    this.#end = () => undefined;
  }

  /** Ends the rest that is being taken; one that begins later is not ended by it. */
  end(): void {
    this.#end();
  }
}

import type { Clock } from "../ports/clock.ts";

/** A wait that others may end. Invariant: one wait is under way at a time. */
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

  /** Ends the wait under way; a later one is not affected. */
  end(): void {
    this.#end();
  }
}

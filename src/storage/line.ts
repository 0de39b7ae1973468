import { ignore } from "../core/ignore.ts";

/** Does tasks one after the other, in the order in which they were asked for. */
export class Line {
  /** Never rejects. */
  #last: Promise<unknown> = Promise.resolve();

  /** Resolves, or rejects, as the task does; one that fails keeps nobody behind it waiting. */
  run<Result>(task: () => Result | Promise<Result>): Promise<Result> {
    const done = this.#last.then(task);
    this.#last = done.then(ignore, ignore);
    return done;
  }

  /** Resolves when all that was asked for until now has ended. */
  async idle(): Promise<void> {
    await this.#last;
  }
}

import { ignore } from "../core/ignore.ts";

/**
 * Lets writes of clients wait while a start asks the peers what they know of this site's own log. A
 * disk that was set back to a snapshot has lost the end of it; a write that took such a place would
 * be acknowledged, refused by every peer, and given up when the site begins anew.
 */
export class WriteHold {
  #waiting: Promise<void> | undefined;
  #release: () => void = ignore;

  /** What a write has to wait for; undefined when it may go on. */
  get waiting(): Promise<void> | undefined {
    return this.#waiting;
  }

  begin(): void {
    this.#waiting ??= new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  end(): void {
    this.#waiting = undefined;
    this.#release();
  }
}

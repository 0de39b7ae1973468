/**
 * Room for fetches that run at once: so many in all, and one more for each site or origin that has
 * none, up to a bound. So what one that does not answer should give takes no room that others need.
 */
export class FetchRoom<Name> {
  readonly #usual: number;
  readonly #most: number;
  readonly #running = new Map<Name, number>();
  #all = 0;

  constructor(usual: number, most: number) {
    this.#usual = usual;
    this.#most = most;
  }

  isFor(name: Name): boolean {
    if (this.#all < this.#usual) return true;
    return !this.#running.has(name) && this.#all < this.#most;
  }

  take(name: Name): void {
    this.#all += 1;
    this.#running.set(name, (this.#running.get(name) ?? 0) + 1);
  }

  leave(name: Name): void {
    this.#all -= 1;
    const left = (this.#running.get(name) ?? 1) - 1;
    if (left > 0) this.#running.set(name, left);
    else this.#running.delete(name);
  }
}

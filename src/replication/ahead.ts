import { ignore } from "../core/ignore.ts";

export type AheadDeps<Item, Found> = {
  readonly items: readonly Item[];
  /** How many are under way or wait to be taken. */
  readonly atOnce: number;
  /** Whether an item is worth beginning before its turn. */
  readonly isWorthIt: (item: Item) => boolean;
  /** An item behind which nothing is begun before it has been taken: it decides about them. */
  readonly isFence: (item: Item) => boolean;
  readonly find: (item: Item) => Promise<Found>;
  /** Lets go of what was found and is wanted by nobody. */
  readonly discard: (found: Found) => void;
};

/**
 * Finds something for each of a row of items, in their order, and begins with later ones while
 * earlier ones are under way: each takes a journey over the line. Invariant: what was begun is
 * either taken or discarded.
 */
export class Ahead<Item, Found> {
  readonly #deps: AheadDeps<Item, Found>;
  readonly #begun = new Map<number, Promise<Found>>();
  /** Up to here it has been looked at what is worth beginning. */
  #seen = 0;

  constructor(deps: AheadDeps<Item, Found>) {
    this.#deps = deps;
  }

  /**
   * What is found for the item at a place; places are taken in order. `isOpen`: later ones may be
   * begun now.
   */
  take(at: number, item: Item, isOpen: boolean): Promise<Found> {
    if (isOpen) this.#beginFrom(at);
    const found = this.#begun.get(at) ?? this.#deps.find(item);
    this.#begun.delete(at);
    return found;
  }

  /** Waits for what was begun and not taken, and lets go of it. */
  async end(): Promise<void> {
    const left = [...this.#begun.values()];
    this.#begun.clear();
    await Promise.all(left.map((found) => found.then(this.#deps.discard, ignore)));
  }

  #beginFrom(at: number): void {
    const { items, atOnce, isWorthIt, isFence, find } = this.#deps;
    if (this.#seen < at) this.#seen = at;
    while (this.#begun.size < atOnce) {
      const item = items[this.#seen];
      if (item === undefined || (isFence(item) && this.#seen > at)) return;
      if (isWorthIt(item)) {
        const found = find(item);
        // Whoever takes it hears of a failure; until then nobody listens.
        found.catch(ignore);
        this.#begun.set(this.#seen, found);
      }
      this.#seen += 1;
    }
  }
}

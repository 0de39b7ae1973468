/** One name's requests under way. */
export type Seat = { readonly name: string; count: number };

/** Names kept for their next request; those with requests under way come on top. */
const IDLE_NAMES_MAX = 1024;

/**
 * Counts requests under way by name. Invariant: a name is remembered while it has a request under
 * way, so memory is bounded by the requests under way and the idle names kept.
 */
export class Seats {
  readonly #max: number;
  readonly #seats = new Map<string, Seat>();

  /** @param max requests that one name may have under way; 0 is as many as it likes. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Takes a seat, to be left once; undefined when this name has all it may have. Hot path. */
  take(name: string): Seat | undefined {
    let seat = this.#seats.get(name);
    if (seat === undefined) {
      seat = { name, count: 0 };
      this.#seats.set(name, seat);
    }
    if (this.#max > 0 && seat.count >= this.#max) return undefined;
    seat.count++;
    return seat;
  }

  leave(seat: Seat): void {
    seat.count--;
    if (seat.count === 0 && this.#seats.size > IDLE_NAMES_MAX) this.#seats.delete(seat.name);
  }

  get size(): number {
    return this.#seats.size;
  }
}

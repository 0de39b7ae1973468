/** A bounded record of durations in milliseconds: buckets that grow by an eighth. */
export class Quantiles {
  readonly #counts = new Uint32Array(192);
  #total = 0;

  add(ms: number): void {
    const index = this.#indexOf(ms);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total += 1;
  }

  /** The upper bound of the bucket that holds the quantile; 0 when nothing was recorded. */
  at(quantile: number): number {
    let left = Math.ceil(this.#total * quantile);
    for (const [index, count] of this.#counts.entries()) {
      left -= count;
      if (count > 0 && left <= 0) return Number((0.01 * 1.125 ** index).toFixed(3));
    }
    return 0;
  }

  #indexOf(ms: number): number {
    const index = Math.ceil(Math.log(Math.max(ms, 0.01) / 0.01) / Math.log(1.125));
    return Math.min(Math.max(index, 0), this.#counts.length - 1);
  }
}

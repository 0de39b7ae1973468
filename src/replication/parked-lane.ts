import type { Seq } from "../core/names.ts";

/** An operation that is tried, and how often it was before. */
export type Try = { readonly seq: Seq; readonly failures: number };

const FIRST_WAIT_MS = 2000;
const LONGEST_WAIT_MS = 5 * 60 * 1000;
type Due = { readonly dueMs: number; readonly seq: Seq | undefined; readonly at: number };
const NONE_DUE: Due = { dueMs: Number.POSITIVE_INFINITY, seq: undefined, at: 0 };

/** So often a wait doubles until it is the longest. */
const DOUBLED_MAX = 8;

/**
 * Which of an origin's parked operations is tried next: by turns the first that was not tried yet,
 * and one that failed and has waited. A choice costs the same however many there are. Invariant:
 * who waits for as long as others stands in one line with them, in the order of when it is due.
 */
export class ParkedLane {
  /** Up to here all have been tried. */
  #behind = 0;
  /** When those that failed are due (monotonic), by how often they did. */
  readonly #lines = Array.from({ length: DOUBLED_MAX + 1 }, () => new Map<Seq, number>());
  #isTurnOfFailed = true;

  /** @param find the first parked operation behind a place in the log. */
  next(nowMs: number, find: (behind: number) => Seq | undefined): Try | undefined {
    this.#isTurnOfFailed = !this.#isTurnOfFailed;
    if (this.#isTurnOfFailed) return this.#takeFailed(nowMs) ?? this.#takeNew(find);
    return this.#takeNew(find) ?? this.#takeFailed(nowMs);
  }

  /** It is tried again later, the later the more often it failed. */
  failed({ seq, failures }: Try, nowMs: number): void {
    const doubled = Math.min(failures, DOUBLED_MAX);
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** doubled);
    this.#lines[doubled]?.set(seq, nowMs + waitMs);
  }

  /** All that failed are due. */
  forgive(): void {
    for (const line of this.#lines) for (const seq of line.keys()) line.set(seq, 0);
  }

  /** How long until one that failed is due. */
  restMs(nowMs: number): number {
    return Math.max(0, this.#firstDue().dueMs - nowMs);
  }

  #takeNew(find: (behind: number) => Seq | undefined): Try | undefined {
    const seq = find(this.#behind);
    if (seq === undefined) return undefined;
    this.#behind = seq;
    return { seq, failures: 0 };
  }

  #takeFailed(nowMs: number): Try | undefined {
    const { dueMs, seq, at } = this.#firstDue();
    if (seq === undefined || dueMs > nowMs) return undefined;
    this.#lines[at]?.delete(seq);
    return { seq, failures: at + 1 };
  }

  #firstDue(): Due {
    let first: Due = NONE_DUE;
    for (const [at, line] of this.#lines.entries()) {
      for (const [seq, dueMs] of line) {
        if (dueMs < first.dueMs) first = { dueMs, seq, at };
        break;
      }
    }
    return first;
  }
}

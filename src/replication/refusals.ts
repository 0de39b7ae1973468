import type { Log } from "../ports/log.ts";

/** Why a message of a peer was not taken. */
export const REFUSAL_REASONS = [
  ...(["unsigned", "unknown-site", "removed-site", "wrong-cluster", "wrong-site"] as const),
  ...(["clock", "replayed", "altered", "too-large", "malformed", "token", "clone"] as const),
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

const REMEMBERED_MAX = 1024;

/** Counts what was refused, and logs it once for each peer and reason. */
export class Refusals {
  readonly #log: Log;
  readonly #counts = new Map<RefusalReason, number>();
  readonly #logged = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** How often each reason was met since the start. */
  counts(): ReadonlyMap<RefusalReason, number> {
    return this.#counts;
  }

  /** @param from what the peer says it is, or its address; @param detail for people. */
  note(from: string, reason: RefusalReason, detail: string): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
    const name = `${from} ${reason}`;
    if (this.#logged.has(name)) return;
    // Whoever invents senders must not fill the memory; then some are logged a second time.
    if (this.#logged.size >= REMEMBERED_MAX) this.#logged.clear();
    this.#logged.add(name);
    this.#log.warn({ from, reason, detail }, "a message of a peer was refused");
  }
}

import type { SiteRecord } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";

const AGAIN_MS = 3600 * 1000;
const PROBLEMS_MAX = 100;

/** Tells operators of the same trouble with a peer once an hour, however often it is met. */
export class TroubleLog {
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  /** When each was told last, monotonic. */
  readonly #toldMs = new Map<string, number>();

  constructor(deps: { readonly clock: Clock; readonly log: Log }) {
    this.#deps = deps;
  }

  /** Logs why nothing comes from a peer, and what can be done. */
  tell({ id, name }: SiteRecord, problem: string, hint: string): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const lastMs = this.#toldMs.get(problem);
    if (lastMs !== undefined && nowMs - lastMs < AGAIN_MS) return;
    if (this.#toldMs.size >= PROBLEMS_MAX) this.#toldMs.clear();
    this.#toldMs.set(problem, nowMs);
    const fields = { peer: name, site: id, problem, hint };
    this.#deps.log.warn(fields, "operations of a peer do not come");
  }
}

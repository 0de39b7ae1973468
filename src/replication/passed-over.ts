import type { SiteId } from "../core/names.ts";
import type { Log } from "../ports/log.ts";
import { PeerFault } from "./peer-fault.ts";
import { PeerLie } from "./peer-lie.ts";
import type { PeerWatch } from "./peer-watch.ts";

/** Things that any peer may have, so that another peer can be asked when one fails. */
export type Wanted = "a chunk" | "a list of chunks" | "an operation" | "right bytes";

const STATES_MAX = 1000;

/**
 * Counts peers that failed to give what others may have as well. The reader goes on to the next
 * peer, so nobody would hear of it otherwise. A peer that begins to fail is logged, and again when
 * it fails in another way, or after it has answered. Invariant: what is in `#told` was logged and
 * has continued since.
 */
export class PassedOver {
  readonly #deps: { readonly log: Pick<Log, "warn">; readonly watch: Pick<PeerWatch, "failed"> };
  readonly #told = new Map<string, string>();
  #count = 0;

  constructor(deps: {
    readonly log: Pick<Log, "warn">;
    readonly watch: Pick<PeerWatch, "failed">;
  }) {
    this.#deps = deps;
  }

  /** How often a peer was passed over since the start. */
  get count(): number {
    return this.#count;
  }

  /** A peer failed, and the next one is asked. */
  note(site: SiteId, wanted: Wanted, failure: unknown): void {
    this.#count += 1;
    const message = failure instanceof Error ? failure.message : String(failure);
    this.#deps.watch.failed(site, message);
    const state = `${site} ${wanted}`;
    const kind = kindOf(failure);
    if (this.#told.get(state) === kind) return;
    if (this.#told.size >= STATES_MAX) this.#told.clear();
    this.#told.set(state, kind);
    this.#deps.log.warn(
      { peer: site, wanted, kind, failure: message },
      "a peer did not give what it was asked for: the others are asked",
    );
  }

  /** A peer was asked: it failed, or answered, whether it has it or not. */
  asked(site: SiteId, wanted: Wanted, failure: unknown): void {
    if (failure === undefined) this.answered(site, wanted);
    else this.note(site, wanted, failure);
  }

  /** A peer answered, whether it has it or not. */
  answered(site: SiteId, wanted: Wanted): void {
    this.#told.delete(`${site} ${wanted}`);
  }
}

function kindOf(failure: unknown): string {
  if (failure instanceof PeerFault) return failure.kind;
  if (failure instanceof PeerLie) return "lie";
  return failure instanceof Error ? failure.name : "failure";
}

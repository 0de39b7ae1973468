import { StorageFault, type StorageFaultKind } from "../core/faults.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";

/** The request that a failure met. */
export type FailedRequest = {
  readonly requestId: string;
  readonly operation: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
};

/** Whether a fault is a state that all requests meet until it is over, rather than an accident. */
const IS_STATE = {
  corrupt: false,
  "disk-full": true,
  io: false,
  locked: false,
  unsupported: false,
  closed: true,
  unreachable: true,
  busy: true,
  clock: true,
} as const satisfies Record<StorageFaultKind, boolean>;

const AGAIN_MS = 60_000;
const STATES_MAX = 100;

/**
 * Tells operators why requests failed: of each accident, and of a state that all requests meet once
 * a minute. Clients of a full disk try again and again, and a log must not be what fills the rest.
 */
export class FailureLog {
  readonly #deps: { readonly clock: Pick<Clock, "monotonicMs">; readonly log: Pick<Log, "error"> };
  /** When each state was told last (monotonic), and how often it was met since. */
  readonly #told = new Map<string, { readonly atMs: number; untold: number }>();

  constructor(deps: {
    readonly clock: Pick<Clock, "monotonicMs">;
    readonly log: Pick<Log, "error">;
  }) {
    this.#deps = deps;
  }

  /** Logs what really happened, which the client is not told. */
  tell({ requestId, operation, bucket, key }: FailedRequest, failure: unknown): void {
    const request = { requestId, operation, bucket, key };
    if (failure instanceof StorageFault && IS_STATE[failure.kind])
      this.#tellState(request, failure);
    else {
      const message = "a request could not be answered as it should have been";
      this.#deps.log.error({ ...request, err: failure }, message);
    }
  }

  #tellState(request: FailedRequest, { kind, message, hint }: StorageFault): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const state = `${kind} ${message}`;
    const last = this.#told.get(state);
    if (last !== undefined && nowMs - last.atMs < AGAIN_MS) {
      last.untold += 1;
      return;
    }
    if (this.#told.size >= STATES_MAX) this.#told.clear();
    this.#told.set(state, { atMs: nowMs, untold: 0 });
    const more = last === undefined || last.untold === 0 ? {} : { untold: last.untold };
    this.#deps.log.error(
      { ...request, kind, failure: message, hint, ...more },
      "requests cannot be answered as they should be",
    );
  }
}

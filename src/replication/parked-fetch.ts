import { LIMITS } from "../core/limits.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { Dot, Operation } from "../core/records.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { IncomingOperation, LogEntry, Replica } from "../storage/replica.ts";
import type { FetchedBody } from "./body-fetch.ts";
import { needOf } from "./page-taker.ts";
import { Rest } from "./rest.ts";

export type ParkedFetchDeps = {
  readonly replica: Pick<Replica, "parked" | "parkedEntry" | "ingest" | "onCommit">;
  readonly clock: Clock;
  readonly log: Log;
  readonly fetch: (operation: Operation, signal: AbortSignal) => Promise<FetchedBody>;
  /** Fetches the operation with its small body, from any peer that has it. */
  readonly fetchEntry: (
    dot: Dot,
    encoded: Uint8Array,
    signal: AbortSignal,
  ) => Promise<LogEntry | undefined>;
  /** Whether a later operation replaced a put, so that its bytes are not needed. */
  readonly superseded: (operation: Operation, isGone: boolean) => boolean;
};

type Wait = { attempts: number; dueMs: number };

const FIRST_WAIT_MS = 2000;
const LONGEST_WAIT_MS = 5 * 60 * 1000;
const IDLE_MS = 60_000;

/**
 * Fetches the bytes of parked operations in the background: large bodies that must not delay
 * others, and bodies that no peer had. Parked operations are durable, so a restart continues where
 * this stopped. Invariant: an operation is in `#busy` while its bytes are being fetched.
 */
export class ParkedFetch {
  readonly #deps: ParkedFetchDeps;
  readonly #waits = new Map<string, Wait>();
  readonly #busy = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  readonly #rest: Rest;
  #running: Promise<void> = Promise.resolve();

  constructor(deps: ParkedFetchDeps) {
    this.#deps = deps;
    this.#rest = new Rest(deps.clock);
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Ends what is under way; what was fetched of a body so far is given up. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#rest.end();
    await this.#running;
    await Promise.all(this.#busy.values());
  }

  /** Something has changed: an operation was parked, or a peer can be reached again. */
  retry(): void {
    for (const wait of this.#waits.values()) wait.dueMs = 0;
    this.#rest.end();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const restMs = this.#startDue();
      await this.#rest.take(restMs);
    }
  }

  /**
   * Starts fetches that are due, as far as there is room; returns how long until the next one is.
   */
  #startDue(): number {
    const nowMs = this.#deps.clock.monotonicMs();
    const parked = this.#deps.replica.parked();
    const names = new Set(parked.map(({ dot }) => nameOf(dot)));
    for (const name of [...this.#waits.keys()]) if (!names.has(name)) this.#waits.delete(name);
    let restMs = IDLE_MS;
    for (const { dot } of parked) {
      const name = nameOf(dot);
      const dueMs = this.#waits.get(name)?.dueMs ?? 0;
      if (this.#busy.has(name)) continue;
      if (dueMs > nowMs) restMs = Math.min(restMs, dueMs - nowMs);
      else if (this.#busy.size < LIMITS.replicationFetchesMax) this.#begin(dot, name);
    }
    return restMs;
  }

  #begin(dot: Dot, name: string): void {
    const fetching = this.#fetchOne(dot)
      .catch((failure: unknown) => this.#explain(dot, failure))
      .then((done) => {
        this.#busy.delete(name);
        if (done) this.#waits.delete(name);
        else this.#postpone(name);
        this.#rest.end();
      });
    this.#busy.set(name, fetching);
  }

  #postpone(name: string): void {
    const attempts = (this.#waits.get(name)?.attempts ?? 0) + 1;
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempts - 1, 20));
    this.#waits.set(name, { attempts, dueMs: this.#deps.clock.monotonicMs() + waitMs });
  }

  /** Whether the operation is not parked any more. */
  async #fetchOne(dot: Dot): Promise<boolean> {
    const { replica, superseded, fetchEntry } = this.#deps;
    const { signal } = this.#stop;
    const entry = await replica.parkedEntry(dot);
    if (entry === undefined) return true;
    const operation = decodeOperation(entry.encoded);
    const need = needOf(entry);
    if (need.kind === "body") {
      const whole = await fetchEntry(dot, entry.encoded, signal);
      if (whole !== undefined) return this.#take(whole, { kind: "whole", manifests: [] });
      return superseded(operation, false) && this.#take(entry, { kind: "void" });
    }
    const fetched = await this.#deps.fetch(operation, signal);
    if (fetched.outcome === "whole") {
      const taken = await this.#take(entry, { kind: "whole", manifests: fetched.manifests });
      if (!taken) for (const { staged } of fetched.manifests) staged?.discard();
      return taken;
    }
    const isGone = fetched.outcome === "gone" && superseded(operation, true);
    return isGone && this.#take(entry, { kind: "void" });
  }

  async #take(entry: LogEntry, state: IncomingOperation["state"]): Promise<boolean> {
    const [outcome] = await this.#deps.replica.ingest([{ ...entry, state }], []);
    return outcome !== undefined && outcome.outcome !== "refused" && outcome.outcome !== "parked";
  }

  #explain(dot: Dot, failure: unknown): boolean {
    if (!this.#stop.signal.aborted) {
      const message = failure instanceof Error ? failure.message : String(failure);
      this.#deps.log.debug(
        { ...dot, failure: message },
        "bytes of a parked operation did not come",
      );
    }
    return false;
  }
}

function nameOf({ origin, seq }: Dot): string {
  return `${origin} ${seq}`;
}

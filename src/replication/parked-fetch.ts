import { LIMITS } from "../core/limits.ts";
import type { OriginId, Seq } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { Dot } from "../core/records.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { IncomingOperation, LogEntry, Replica } from "../storage/replica.ts";
import type { ByteSearch } from "./byte-search.ts";
import { FetchRoom } from "./fetch-room.ts";
import { needOf } from "./page-taker.ts";
import { ParkedLane, type Try } from "./parked-lane.ts";
import { Rest } from "./rest.ts";
import type { GivenUp } from "./status.ts";

export type ParkedFetchDeps = {
  readonly replica: Pick<
    Replica,
    "received" | "parked" | "parkedEntry" | "ingest" | "superseded" | "giveUp"
  >;
  readonly clock: Clock;
  readonly log: Log;
  /** The operation with its small body, or its large one, from whoever has it. */
  readonly search: Pick<ByteSearch, "entry" | "ofOperation">;
  /** Whether all rows of a peer are being taken over, which may end what is parked. */
  readonly isHeld?: (() => boolean) | undefined;
};

/** What came of a look for the bytes of an operation. */
type Look =
  /** It is not parked any more. */
  | { readonly outcome: "done" }
  /** Every member was asked, and none has them. */
  | { readonly outcome: "gone" }
  /** Somebody who may have them could not be asked. */
  | { readonly outcome: "unreachable"; readonly reason: string }
  /** They are here, and the log did not take it. */
  | { readonly outcome: "waits"; readonly reason: string };

const DONE: Look = { outcome: "done" };
const GONE: Look = { outcome: "gone" };
const WAITS_FOR_GROUP: Look = { outcome: "waits", reason: "others of its group are parked" };
const UNHEARD = "a site that may have its bytes could not be asked";
const VOID: IncomingOperation["state"] = { kind: "void" };

/**
 * Who parks something says so. Looking all the same reads the index, which writes to LMDB's table
 * of readers, and the disk of a site at rest is to stay idle.
 */
const IDLE_MS = 60 * 60 * 1000;
/** How often it is looked whether rows are still being taken over. */
const HELD_MS = 5000;

/**
 * Fetches the bytes of parked operations beside everything else: large bodies that must not keep
 * others waiting, and those that nobody had. Parked operations are durable, so a restart goes on
 * where this ended. There may be very many: none is looked at before its turn, and each origin has
 * turns of its own. Invariant: what is being fetched stands in `#fetching`.
 */
export class ParkedFetch {
  readonly #deps: ParkedFetchDeps;
  /** The one that had no turn for longest stands first. */
  readonly #lanes = new Map<OriginId, ParkedLane>();
  readonly #fetching = new Set<Promise<void>>();
  readonly #room = new FetchRoom<OriginId>(
    LIMITS.replicationFetchesMax,
    LIMITS.replicationFetchesOfAllMax,
  );
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
    await Promise.all(this.#fetching);
  }

  /** Operations were parked. */
  look(): void {
    this.#rest.end();
  }

  /** A peer can be reached again: what failed is tried anew. */
  retry(): void {
    for (const lane of this.#lanes.values()) lane.forgive();
    this.look();
  }

  /**
   * Asks every member once more for the bytes of what is parked, and ends what none of them has, at
   * all sites: a site that burnt down took it along. It stops when one cannot be asked: that one
   * could not be asked for the next either.
   */
  async giveUp(): Promise<GivenUp> {
    const parked = this.#deps.replica.parked();
    const reasons = new Set<string>();
    let ended = 0;
    for (const { dot } of parked) {
      const look = await this.#lookFor(dot);
      const problem = look.outcome === "gone" ? await this.#giveUpOne(dot) : reasonOf(look);
      if (problem === undefined) ended += 1;
      else reasons.add(problem);
      if (look.outcome === "unreachable") break;
    }
    this.retry();
    return { ended, kept: parked.length - ended, reasons: [...reasons].sort() };
  }

  /** Why it stays parked; undefined when it does not. */
  async #giveUpOne(dot: Dot): Promise<string | undefined> {
    const { replica } = this.#deps;
    const isOver = (await replica.giveUp(dot)) || (await replica.parkedEntry(dot)) === undefined;
    return isOver ? undefined : "it is part of a rename or a restore";
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const restMs = this.#deps.isHeld?.() === true ? HELD_MS : this.#startDue();
      await this.#rest.take(restMs);
    }
  }

  /**
   * Starts fetches that are due, as far as there is room; returns how long until the next one is.
   */
  #startDue(): number {
    for (const origin of this.#deps.replica.received().keys()) {
      if (!this.#lanes.has(origin)) this.#lanes.set(origin, new ParkedLane());
    }
    let restMs = IDLE_MS;
    for (const [origin, lane] of [...this.#lanes]) {
      restMs = Math.min(restMs, this.#startOf(origin, lane));
    }
    return restMs;
  }

  #startOf(origin: OriginId, lane: ParkedLane): number {
    const { replica, clock } = this.#deps;
    const find = (behind: number): Seq | undefined =>
      replica.parked({ origin, behind, countMax: 1 })[0]?.dot.seq;
    while (this.#room.isFor(origin)) {
      const nowMs = clock.monotonicMs();
      const next = lane.next(nowMs, find);
      if (next === undefined) return lane.restMs(nowMs);
      this.#lanes.delete(origin);
      this.#lanes.set(origin, lane);
      this.#begin(lane, { origin, seq: next.seq }, next);
    }
    // The end of one that is being fetched ends the rest.
    return IDLE_MS;
  }

  #begin(lane: ParkedLane, dot: Dot, tried: Try): void {
    this.#room.take(dot.origin);
    const fetching: Promise<void> = this.#lookFor(dot)
      .catch((failure: unknown) => this.#explain(dot, failure))
      .then((look) => {
        this.#room.leave(dot.origin);
        this.#fetching.delete(fetching);
        if (look?.outcome !== "done") lane.failed(tried, this.#deps.clock.monotonicMs());
        this.#rest.end();
      });
    this.#fetching.add(fetching);
  }

  /** Takes the operation when its bytes are found, or when it needs none any more. */
  async #lookFor(dot: Dot): Promise<Look> {
    const { replica, search } = this.#deps;
    const { signal } = this.#stop;
    const entry = await replica.parkedEntry(dot);
    if (entry === undefined) return DONE;
    const operation = decodeOperation(entry.encoded);
    const need = needOf(entry);
    if (need.kind === "body") {
      const found = await search.entry(dot, entry.encoded, signal);
      if (typeof found === "object") return this.#take(found, { kind: "whole", manifests: [] });
      if (replica.superseded(operation, found === "gone")) return this.#take(entry, VOID);
      return found === "gone" ? GONE : { outcome: "unreachable", reason: UNHEARD };
    }
    const found = await search.ofOperation(operation, signal);
    if (found.outcome === "whole") {
      const look = await this.#take(entry, { kind: "whole", manifests: found.manifests });
      if (look.outcome !== "done") for (const { staged } of found.manifests) staged?.discard();
      return look;
    }
    const isNeedless = found.outcome === "gone" && replica.superseded(operation, true);
    return isNeedless ? this.#take(entry, VOID) : found;
  }

  async #take(entry: LogEntry, state: IncomingOperation["state"]): Promise<Look> {
    const [outcome] = await this.#deps.replica.ingest([{ ...entry, state }], []);
    if (outcome?.outcome === "refused") return { outcome: "waits", reason: outcome.message };
    if (outcome === undefined || outcome.outcome === "parked") return WAITS_FOR_GROUP;
    return DONE;
  }

  #explain(dot: Dot, failure: unknown): undefined {
    if (!this.#stop.signal.aborted) {
      const message = failure instanceof Error ? failure.message : String(failure);
      this.#deps.log.debug(
        { ...dot, failure: message },
        "bytes of a parked operation did not come",
      );
    }
    return undefined;
  }
}

function reasonOf(look: Look): string | undefined {
  return "reason" in look ? look.reason : undefined;
}

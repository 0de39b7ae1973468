import type { AppliedSet } from "../core/applied-set.ts";
import { hlcMs } from "../core/hlc.ts";
import { type OriginId, SEQ_ZERO, type Seq } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { Operation, Vector } from "../core/records.ts";
import type { LogEntry, Replica } from "../storage/replica.ts";
import { type CountedOperation, type Lag, LagLedger, type MissingDetail } from "./lag-ledger.ts";

export type LagCounterDeps = {
  readonly replica: Pick<Replica, "received" | "readLog">;
  /** Lets requests go first, between two pages of a log that has to be counted. */
  readonly rest: () => Promise<void>;
  /** How many operations are kept one by one; for tests. */
  readonly operationsMax?: number;
};

/** Some milliseconds of counting. */
const PAGE_BYTES = 256 * 1024;
/**
 * How often a block is restored for one question: it needs one block of each origin, and restoring
 * one may drop another.
 */
const RESTORES_MAX = 64;

/**
 * Counts from the log what peers have not applied, when somebody asks. What every peer has is not
 * read, so a question costs nothing in quiet times; what was counted is not read twice.
 */
export class LagCounter {
  readonly #replica: LagCounterDeps["replica"];
  readonly #rest: LagCounterDeps["rest"];
  readonly #ledger: LagLedger;
  #counting: Promise<void> | undefined;

  constructor({ replica, rest, operationsMax }: LagCounterDeps) {
    this.#replica = replica;
    this.#rest = rest;
    this.#ledger = new LagLedger(operationsMax);
  }

  /**
   * Counts everything up to now beyond the least of these vectors, all of which the log reaches
   * back to.
   */
  count(vectors: readonly Vector[]): Promise<void> {
    // Whoever asks while a count is running needs what was added since it began, so another one
    // follows it.
    const before = this.#counting ?? Promise.resolve();
    const counting = before.then(
      () => this.#count(vectors),
      () => this.#count(vectors),
    );
    this.#counting = counting;
    return counting;
  }

  /** What a site lacks whose vector was counted, without the operations of some origins. */
  async behind(has: AppliedSet, without: ReadonlySet<OriginId>): Promise<Lag | undefined> {
    for (let tries = 0; tries < RESTORES_MAX; tries++) {
      const found = this.#ledger.behind(has, without);
      if (!("after" in found)) return found;
      await this.#restore(found);
    }
    return undefined;
  }

  async #count(vectors: readonly Vector[]): Promise<void> {
    const floor = this.#leastOf(vectors);
    this.#ledger.keepBeyond(floor);
    for (;;) {
      const page = await this.#replica.readLog(this.#ledger.beyond(floor), PAGE_BYTES);
      if (page.outcome === "below-floor") return;
      for (const entry of page.entries) this.#ledger.add(countedOf(entry));
      if (!page.more || page.entries.length === 0) return;
      await this.#rest();
    }
  }

  /** What every one of these has. */
  #leastOf(vectors: readonly Vector[]): Map<OriginId, Seq> {
    const least = new Map<OriginId, Seq>();
    for (const [origin, head] of this.#replica.received()) {
      let { seq } = head;
      for (const vector of vectors) {
        const has = vector.get(origin) ?? SEQ_ZERO;
        if (has < seq) seq = has;
      }
      least.set(origin, seq);
    }
    return least;
  }

  async #restore({ origin, after, last }: MissingDetail): Promise<void> {
    // Of the other origins nothing is read: they are asked for from their heads on.
    const from = new Map(
      [...this.#replica.received()].map(([other, head]) => [other, head.seq] as const),
    );
    const operations: CountedOperation[] = [];
    for (from.set(origin, after); ; ) {
      const page = await this.#replica.readLog(from, PAGE_BYTES);
      if (page.outcome === "below-floor" || page.entries.length === 0) break;
      for (const entry of page.entries) {
        const counted = countedOf(entry);
        if (counted.origin !== origin || counted.seq > last) continue;
        operations.push(counted);
        from.set(origin, counted.seq);
      }
      if ((from.get(origin) ?? 0) >= last) break;
    }
    this.#ledger.restore({ origin, after, last }, operations);
  }
}

function countedOf({ encoded }: LogEntry): CountedOperation {
  const operation = decodeOperation(encoded);
  const { dot, hlc, body } = operation;
  const bucket = "bucket" in body ? body.bucket : undefined;
  return { ...dot, bucket, bytes: bodyBytesOf(operation), hlcMs: hlcMs(hlc) };
}

/** Bytes of the body that belongs to an operation. */
export function bodyBytesOf({ body }: Operation): number {
  if (body.kind !== "object-put") return 0;
  const stored = body.object.body;
  if (stored.kind === "inline") return stored.bytes;
  return stored.manifests.reduce((sum, { bytes }) => sum + bytes, 0);
}

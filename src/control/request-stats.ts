import { LIMITS } from "../core/limits.ts";
import type { RequestObserver, RequestSummary } from "../core/request-summary.ts";
import type { Clock } from "../ports/clock.ts";
import { LatencyHistogram, latencyBucketOf, slotAt } from "./latency-histogram.ts";

/** What is counted for one operation, bucket or access key. */
export type TrafficRow = {
  count: number;
  inBytes: number;
  outBytes: number;
  durationMs: number;
  /** By AWS's error code; for operations. */
  readonly errors: Map<string, number>;
  /** By operation; for buckets. */
  readonly operations: Map<string, number>;
  readonly latency: LatencyHistogram;
};

/** Where names beyond the limit are counted together. A bucket of that name is counted there. */
export const REST = "other";

/** Rows with the most traffic, and everything else in one row under REST. */
export type TrafficTop = ReadonlyMap<string, TrafficRow>;

/**
 * Counts finished requests by operation, bucket and access key. Memory is bounded whatever names
 * clients invent; a request costs less than a microsecond.
 */
export class RequestStats implements RequestObserver {
  readonly #clock: Clock;
  readonly #operations = new TrafficTable();
  readonly #buckets = new TrafficTable();
  readonly #keys = new TrafficTable();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  finished(summary: RequestSummary): void {
    const slot = this.slot();
    const latencyBucket = latencyBucketOf(summary.durationMs);
    const operation = this.#operations.row(summary.operation);
    count(operation, summary, latencyBucket, slot);
    if (summary.errorCode !== undefined) increment(operation.errors, summary.errorCode);
    if (summary.bucket !== undefined) {
      const bucket = this.#buckets.row(summary.bucket);
      count(bucket, summary, latencyBucket, slot);
      increment(bucket.operations, summary.operation);
    }
    if (summary.accessKey !== undefined) {
      count(this.#keys.row(summary.accessKey), summary, latencyBucket, slot);
    }
  }

  /** The slot of time now, for `LatencyHistogram.lastMinute`. */
  slot(): number {
    return slotAt(this.#clock.monotonicMs());
  }

  operations(): TrafficTop {
    return this.#operations.top();
  }

  /** Also buckets that do not exist: whoever shows them knows which do. */
  buckets(): TrafficTop {
    return this.#buckets.top();
  }

  keys(): TrafficTop {
    return this.#keys.top();
  }
}

/**
 * Rows by name. Twice as many as are shown may be counted before the quieter half is folded into
 * the rest, so that a new name has a chance to become a busy one and folding stays rare.
 */
class TrafficTable {
  readonly #rows = new Map<string, TrafficRow>();
  readonly #rest = emptyRow();

  row(name: string): TrafficRow {
    const known = this.#rows.get(name);
    if (known !== undefined) return known;
    if (name === REST) return this.#rest;
    if (this.#rows.size >= 2 * LIMITS.statsNamesMax) this.#fold();
    const row = emptyRow();
    this.#rows.set(name, row);
    return row;
  }

  top(): TrafficTop {
    const sorted = this.#busiestFirst();
    const shown = new Map(sorted.slice(0, LIMITS.statsNamesMax));
    const rest = emptyRow();
    fold(this.#rest, rest);
    for (const [, row] of sorted.slice(LIMITS.statsNamesMax)) fold(row, rest);
    if (rest.count > 0) shown.set(REST, rest);
    return shown;
  }

  #fold(): void {
    for (const [name, row] of this.#busiestFirst().slice(LIMITS.statsNamesMax)) {
      fold(row, this.#rest);
      this.#rows.delete(name);
    }
  }

  #busiestFirst(): Array<[string, TrafficRow]> {
    return [...this.#rows].sort(([, left], [, right]) => trafficOf(right) - trafficOf(left));
  }
}

function emptyRow(): TrafficRow {
  return {
    count: 0,
    inBytes: 0,
    outBytes: 0,
    durationMs: 0,
    errors: new Map(),
    operations: new Map(),
    latency: new LatencyHistogram(),
  };
}

// A request weighs as much as 4 KiB of body: both the chatty and the bulky ones are worth showing.
function trafficOf(row: TrafficRow): number {
  return row.inBytes + row.outBytes + row.count * 4096;
}

function count(
  row: TrafficRow,
  summary: RequestSummary,
  latencyBucket: number,
  slot: number,
): void {
  row.count += 1;
  row.inBytes += summary.inBytes;
  row.outBytes += summary.outBytes;
  row.durationMs += summary.durationMs;
  row.latency.add(latencyBucket, slot);
}

function fold(from: TrafficRow, into: TrafficRow): void {
  into.count += from.count;
  into.inBytes += from.inBytes;
  into.outBytes += from.outBytes;
  into.durationMs += from.durationMs;
  into.latency.absorb(from.latency);
  for (const [name, by] of from.errors) increment(into.errors, name, by);
  for (const [name, by] of from.operations) increment(into.operations, name, by);
}

function increment(counts: Map<string, number>, name: string, by = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}

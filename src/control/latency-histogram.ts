/** Latency quantiles in milliseconds; empty when nothing was measured. */
export type LatencyQuantiles = { p50?: number; p95?: number; p99?: number };

/** Buckets grow by 15 %, from 0.02 ms to a quarter of an hour: an error of at most that much. */
const BUCKET_COUNT = 128;
const FIRST_BUCKET_MS = 0.02;
const GROWTH = 1.15;
const LOG_GROWTH = Math.log(GROWTH);

/** The last 60 s are kept as slots, so that the oldest ten seconds can be dropped at once. */
const SLOT_COUNT = 6;
const SLOT_MS = 10_000;

/** The slot of time that a moment lies in; count it once per request. */
export function slotAt(monotonicMs: number): number {
  return Math.floor(monotonicMs / SLOT_MS);
}

/** The bucket of a duration; compute it once per request, however many histograms count it. */
export function latencyBucketOf(ms: number): number {
  if (!(ms > FIRST_BUCKET_MS)) return 0;
  return Math.min(BUCKET_COUNT - 1, Math.ceil(Math.log(ms / FIRST_BUCKET_MS) / LOG_GROWTH));
}

/** Durations since the start and over the last minute, in memory of a fixed size (4 KiB). */
export class LatencyHistogram {
  readonly #sinceStart = new Uint32Array(BUCKET_COUNT);
  readonly #slots = Array.from({ length: SLOT_COUNT }, () => new Uint32Array(BUCKET_COUNT));
  readonly #slotTimes = new Float64Array(SLOT_COUNT).fill(-1);

  add(bucket: number, slot: number): void {
    this.#sinceStart[bucket] = (this.#sinceStart[bucket] ?? 0) + 1;
    const at = slot % SLOT_COUNT;
    const counts = this.#slots[at];
    if (counts === undefined) return;
    if (this.#slotTimes[at] !== slot) {
      counts.fill(0);
      this.#slotTimes[at] = slot;
    }
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }

  /** Adds what another one counted since the start; its last minute is forgotten. */
  absorb(other: LatencyHistogram): void {
    for (const [bucket, count] of other.#sinceStart.entries()) {
      this.#sinceStart[bucket] = (this.#sinceStart[bucket] ?? 0) + count;
    }
  }

  sinceStart(): LatencyQuantiles {
    return quantilesOf(this.#sinceStart);
  }

  lastMinute(slot: number): LatencyQuantiles {
    const sum = new Uint32Array(BUCKET_COUNT);
    for (const [at, counts] of this.#slots.entries()) {
      const time = this.#slotTimes[at] ?? -1;
      if (time < 0 || time <= slot - SLOT_COUNT) continue;
      for (const [bucket, count] of counts.entries()) sum[bucket] = (sum[bucket] ?? 0) + count;
    }
    return quantilesOf(sum);
  }
}

function quantilesOf(counts: Uint32Array): LatencyQuantiles {
  let total = 0;
  for (const count of counts) total += count;
  if (total === 0) return {};
  const at = (quantile: number): number => quantileOf(counts, Math.ceil(total * quantile));
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

// The upper bound of the bucket that holds the n-th smallest duration, in whole microseconds.
function quantileOf(counts: Uint32Array, rank: number): number {
  let seen = 0;
  for (const [bucket, count] of counts.entries()) {
    seen += count;
    if (seen >= rank) return Number((FIRST_BUCKET_MS * GROWTH ** bucket).toFixed(3));
  }
  return Number((FIRST_BUCKET_MS * GROWTH ** (BUCKET_COUNT - 1)).toFixed(3));
}

export type TokenBucketSettings = {
  /** Tokens of a full bucket; 0 switches the table off. */
  readonly burst: number;
  /** Time in which an empty bucket fills up. */
  readonly refillMs: number;
  /** Names remembered at once; beyond it the one that was quiet longest is forgotten. */
  readonly entriesMax: number;
};

type Bucket = { tokens: number; atMs: number };

/**
 * Counts something against names that come from outside, in bounded memory. A name has a bucket
 * only while something was counted against it that has not been forgiven: a full bucket is dropped.
 */
export class TokenBuckets {
  readonly #settings: TokenBucketSettings;
  readonly #buckets = new Map<string, Bucket>();

  constructor(settings: TokenBucketSettings) {
    this.#settings = settings;
  }

  /** Names with something against them; 0 lets a hot path pass without looking further. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Whether nothing is held against a name. */
  isClean(name: string, nowMs: number): boolean {
    return this.#refilled(name, nowMs) === undefined;
  }

  /** Whether a name has used up everything it had. */
  isExhausted(name: string, nowMs: number): boolean {
    const bucket = this.#refilled(name, nowMs);
    return bucket !== undefined && bucket.tokens < 1;
  }

  /** Takes one token from a name. */
  take(name: string, nowMs: number): void {
    const { burst, entriesMax } = this.#settings;
    if (burst <= 0) return;
    const bucket = this.#refilled(name, nowMs) ?? { tokens: burst, atMs: nowMs };
    bucket.tokens = Math.max(0, bucket.tokens - 1);
    // Set anew, so that the order of the map is the order of the last offence.
    this.#buckets.delete(name);
    if (this.#buckets.size >= entriesMax) {
      const quietest = this.#buckets.keys().next();
      if (quietest.done !== true) this.#buckets.delete(quietest.value);
    }
    this.#buckets.set(name, bucket);
  }

  /** Milliseconds until a name has a token again. */
  waitMs(name: string, nowMs: number): number {
    const bucket = this.#refilled(name, nowMs);
    if (bucket === undefined || bucket.tokens >= 1) return 0;
    const { burst, refillMs } = this.#settings;
    return Math.ceil(((1 - bucket.tokens) * refillMs) / burst);
  }

  #refilled(name: string, nowMs: number): Bucket | undefined {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) return undefined;
    const { burst, refillMs } = this.#settings;
    // A clock that was set back gives nothing and takes nothing.
    const elapsedMs = Math.max(0, nowMs - bucket.atMs);
    bucket.tokens += (elapsedMs * burst) / refillMs;
    bucket.atMs = nowMs;
    if (bucket.tokens < burst) return bucket;
    this.#buckets.delete(name);
    return undefined;
  }
}

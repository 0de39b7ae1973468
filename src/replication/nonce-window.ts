export type NonceVerdict = "fresh" | "replayed" | "clock";

/**
 * Remembers what each key has signed lately, so that a message is taken once. A message counts for
 * `windowMs` around its date; what is older or from the future is refused by its date alone. The
 * memory of a key is bounded: when it is full the oldest dates are forgotten and refused from then
 * on, so that forgetting never lets a message in again.
 */
export class NonceWindow {
  readonly #windowMs: number;
  readonly #noncesMax: number;
  readonly #byKey = new Map<string, KeyMemory>();

  constructor(limits: { readonly windowMs: number; readonly noncesMax: number }) {
    this.#windowMs = limits.windowMs;
    this.#noncesMax = limits.noncesMax;
  }

  /** Judges a message whose signature is right, and remembers it when it is fresh. */
  judge(
    key: string,
    message: { readonly nonce: string; readonly dateMs: number },
    nowMs: number,
  ): NonceVerdict {
    if (Math.abs(message.dateMs - nowMs) > this.#windowMs) return "clock";
    const memory = this.#memoryOf(key);
    if (message.dateMs <= memory.floorMs || memory.dates.has(message.nonce)) return "replayed";
    if (memory.dates.size >= this.#noncesMax) forgetOld(memory, nowMs - this.#windowMs);
    if (message.dateMs <= memory.floorMs) return "replayed";
    memory.dates.set(message.nonce, message.dateMs);
    return "fresh";
  }

  #memoryOf(key: string): KeyMemory {
    let memory = this.#byKey.get(key);
    if (memory === undefined) {
      memory = { dates: new Map(), floorMs: Number.NEGATIVE_INFINITY };
      this.#byKey.set(key, memory);
    }
    return memory;
  }
}

type KeyMemory = {
  readonly dates: Map<string, number>;
  /** Messages dated up to here are refused: they may have been forgotten. */
  floorMs: number;
};

/** Forgets what its date refuses anyway, and at least a quarter of what is remembered. */
function forgetOld(memory: KeyMemory, expiredMs: number): void {
  const dates = [...memory.dates.values()].sort((left, right) => left - right);
  const quarter = dates[Math.floor(dates.length / 4)] ?? expiredMs;
  const upTo = Math.max(quarter, expiredMs);
  memory.floorMs = Math.max(memory.floorMs, upTo);
  for (const [nonce, dateMs] of memory.dates) {
    if (dateMs <= upTo) memory.dates.delete(nonce);
  }
}

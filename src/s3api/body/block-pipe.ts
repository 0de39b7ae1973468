import type { Exchange } from "../../http/exchange.ts";
import type { StreamHasher } from "../../ports/hash.ts";

/** Receives a body in order. A returned promise must resolve before the next write. */
export interface BodyTarget {
  /** The bytes must stay unchanged until the promise resolves; at once if there is none. */
  write(bytes: Uint8Array): Promise<void> | undefined;
}

const BLOCK_BYTES = 256 * 1024;

export type BlockPipeParts = {
  readonly exchange: Pick<Exchange, "pause" | "resume">;
  readonly target: BodyTarget;
  readonly hasher: StreamHasher;
};

/**
 * Carries a body to its target and its hasher in two alternating blocks: while one is being
 * written and hashed, the other fills. When both are full the client is told to wait, so memory
 * per request is two blocks and the few bytes that come after `pause()`.
 */
export class BlockPipe {
  readonly #parts: BlockPipeParts;
  #filling: Buffer | undefined;
  #used = 0;
  #spare: Buffer | undefined;
  /** Never rejects; a failure is kept and told by `failed`. */
  #sending: Promise<void> | undefined;
  #overflow: Buffer[] = [];
  #paused = false;
  #failure: { readonly cause: unknown } | undefined;
  #tellFailed: (failure: unknown) => void = () => undefined;
  /** Rejects when the target or the hasher fails; never resolves. */
  readonly failed: Promise<never>;

  constructor(parts: BlockPipeParts) {
    this.#parts = parts;
    this.failed = new Promise((_resolve, reject) => {
      this.#tellFailed = reject;
    });
    // Whoever races against it hears of it; nobody else needs to.
    this.failed.catch(() => undefined);
  }

  /** Copies the bytes. */
  append(data: Uint8Array): void {
    if (this.#failure !== undefined) return;
    if (this.#overflow.length > 0) {
      this.#overflow.push(Buffer.from(data));
      return;
    }
    let at = 0;
    while (at < data.length) {
      if (this.#used === BLOCK_BYTES) {
        if (this.#sending !== undefined) {
          this.#overflow.push(Buffer.from(data.subarray(at)));
          break;
        }
        this.#send();
      }
      this.#filling ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
      const end = Math.min(data.length, at + BLOCK_BYTES - this.#used);
      this.#filling.set(data.subarray(at, end), this.#used);
      this.#used += end - at;
      at = end;
    }
    if (this.#used < BLOCK_BYTES) return;
    if (this.#sending === undefined) this.#send();
    else this.#pause();
  }

  /** Resolves when everything appended has been written and hashed. */
  async finish(): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.cause;
      if (this.#sending !== undefined) await this.#sending;
      else if (this.#used > 0) this.#send();
      else return;
    }
  }

  /** Takes no more; resolves when the target and the hasher are no longer at work. */
  async abort(): Promise<void> {
    this.#failure ??= { cause: new Error("the body was given up") };
    this.#overflow = [];
    await this.#sending;
  }

  #send(): void {
    const block = this.#filling;
    if (block === undefined) return;
    const bytes = block.subarray(0, this.#used);
    this.#filling = this.#spare;
    this.#spare = undefined;
    this.#used = 0;
    this.#sending = this.#deliver(bytes).then(
      () => {
        this.#sending = undefined;
        this.#spare = block;
        this.#continue();
      },
      (failure: unknown) => {
        this.#sending = undefined;
        this.#fail(failure);
      },
    );
  }

  async #deliver(bytes: Buffer): Promise<void> {
    const [written, hashed] = await Promise.allSettled([
      this.#parts.target.write(bytes),
      this.#parts.hasher.update(bytes),
    ]);
    if (written.status === "rejected") throw written.reason;
    if (hashed.status === "rejected") throw hashed.reason;
  }

  #continue(): void {
    if (this.#failure !== undefined) return;
    const waiting = this.#overflow;
    this.#overflow = [];
    if (waiting.length === 0 && this.#used === BLOCK_BYTES) this.#send();
    for (const piece of waiting) this.append(piece);
    const room = this.#overflow.length === 0 && this.#used < BLOCK_BYTES;
    if (!this.#paused || !room) return;
    this.#paused = false;
    this.#parts.exchange.resume();
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#parts.exchange.pause();
  }

  #fail(failure: unknown): void {
    this.#failure ??= { cause: failure };
    this.#overflow = [];
    this.#tellFailed(failure);
  }
}

import { StorageFault } from "../../core/faults.ts";
import { ignore } from "../../core/ignore.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { StreamHasher } from "../../ports/hash.ts";
import type { BodyWriter } from "../../storage/store.ts";

type HashedWriter = ReturnType<NonNullable<BodyWriter["hashWith"]>>;

/** Receives a body in order. A returned promise must resolve before the next write. */
export interface BodyTarget {
  /** The bytes must stay unchanged until the promise resolves; at once if there is none. */
  write(bytes: Uint8Array): Promise<void> | undefined;
  /**
   * Lets a hasher read the body where it is stored, if it is stored as it came. Such a target
   * copies what is written before `write` returns.
   */
  hashWith?(hasher: StreamHasher): HashedWriter;
}

const BLOCK_BYTES = 256 * 1024;
/** The client is paused when this many blocks are full. */
const FULL_BLOCKS_MAX = 2;
/**
 * Blocks that may still arrive after `pause()`: an engine reads on while its socket's buffer is
 * full, and a client on this machine can keep it full for a while.
 */
const LATE_BLOCKS_MAX = 1024;
/** Blocks kept for the next body: copying to memory that was used before is much faster. */
const POOLED_BLOCKS = 32;

const pool: Buffer[] = [];

export type BlockPipeParts = {
  readonly exchange: Pick<Exchange, "pause" | "resume">;
  readonly target: BodyTarget;
  /** The hasher: one beside the target, or the target's own. */
  readonly hasher: StreamHasher | HashedWriter;
  /** Full blocks that may wait; LATE_BLOCKS_MAX unless given. */
  readonly lateBlocksMax?: number;
};

/**
 * Carries a body to its target and its hasher in blocks: while one is being written and hashed, the
 * next ones fill. When too many are full the client is paused, so that the memory of a request is a
 * few blocks and what still arrives after `pause()`.
 */
export class BlockPipe {
  readonly #parts: BlockPipeParts;
  #filling: Buffer | undefined;
  #used = 0;
  /** Full blocks in order; none of them is being sent. */
  readonly #full: Buffer[] = [];
  /** Never rejects; a failure is kept and told by `failed`. */
  #sending: Promise<void> | undefined;
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
    // Those who race against it hear of it; nobody else needs to.
    this.failed.catch(ignore);
  }

  /** Copies the bytes. */
  append(data: Uint8Array): void {
    if (this.#failure !== undefined || this.#isTaken(data)) return;
    let at = 0;
    while (at < data.length) {
      this.#filling ??= pool.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
      const end = Math.min(data.length, at + BLOCK_BYTES - this.#used);
      this.#filling.set(data.subarray(at, end), this.#used);
      this.#used += end - at;
      at = end;
      if (this.#used === BLOCK_BYTES) this.#filled(this.#filling);
    }
    this.#pump();
    if (this.#full.length >= FULL_BLOCKS_MAX) this.#pause();
    if (this.#full.length > (this.#parts.lateBlocksMax ?? LATE_BLOCKS_MAX)) {
      this.#fail(new StorageFault("busy", "a client sends faster than it can be told to wait"));
    }
  }

  /** Resolves when everything appended has been written and hashed. */
  async finish(): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.cause;
      if (this.#sending !== undefined) await this.#sending;
      else if (this.#filling !== undefined) this.#send(this.#filling, this.#used);
      else return;
    }
  }

  /** Takes no more; resolves when the target and the hasher are no longer at work. */
  async abort(): Promise<void> {
    this.#failure ??= { cause: new Error("the body was given up") };
    this.#drop();
    await this.#sending;
  }

  /**
   * Whether a target that copies has taken the bytes, which it can do when none wait before them.
   */
  #isTaken(data: Uint8Array): boolean {
    const { hasher, target } = this.#parts;
    if (isStream(hasher) || this.#filling !== undefined || this.#full.length > 0) return false;
    if (this.#sending !== undefined && !hasher.takes(data.length)) return false;
    const taken = target.write(data);
    if (taken === undefined) return true;
    this.#wait(this.#sending === undefined ? taken : Promise.all([this.#sending, taken]));
    this.#pause();
    return true;
  }

  #filled(block: Buffer): void {
    this.#full.push(block);
    this.#filling = undefined;
    this.#used = 0;
  }

  #pump(): void {
    if (this.#sending !== undefined) return;
    const block = this.#full.shift();
    if (block !== undefined) this.#send(block, BLOCK_BYTES);
    else if (this.#filling !== undefined && !isStream(this.#parts.hasher)) {
      // What comes next need not be kept then.
      this.#send(this.#filling, this.#used);
    }
  }

  #send(block: Buffer, used: number): void {
    if (block === this.#filling) {
      this.#filling = undefined;
      this.#used = 0;
    }
    this.#wait(this.#deliver(block.subarray(0, used)), block);
  }

  #wait(sent: Promise<unknown>, block?: Buffer): void {
    const sending: Promise<void> = sent.then(
      () => {
        if (block !== undefined) release(block);
        if (this.#sending !== sending) return;
        this.#sending = undefined;
        this.#continue();
      },
      (failure: unknown) => {
        if (this.#sending === sending) this.#sending = undefined;
        this.#fail(failure);
      },
    );
    this.#sending = sending;
  }

  async #deliver(bytes: Buffer): Promise<void> {
    const { target, hasher } = this.#parts;
    const [written, hashed] = await Promise.allSettled([
      target.write(bytes),
      isStream(hasher) ? hasher.update(bytes) : undefined,
    ]);
    if (written.status === "rejected") throw written.reason;
    if (hashed.status === "rejected") throw hashed.reason;
  }

  #continue(): void {
    if (this.#failure !== undefined) return;
    this.#pump();
    if (this.#full.length < FULL_BLOCKS_MAX) this.#resume();
  }

  #resume(): void {
    if (!this.#paused) return;
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
    this.#drop();
    // Bytes that still arrive are dropped; the next request on this connection is behind them.
    this.#resume();
    this.#tellFailed(failure);
  }

  #drop(): void {
    for (const block of this.#full.splice(0)) release(block);
    if (this.#filling !== undefined) release(this.#filling);
    this.#filling = undefined;
    this.#used = 0;
  }
}

function isStream(hasher: StreamHasher | HashedWriter): hasher is StreamHasher {
  return "update" in hasher;
}

/** Only memory that nobody reads or writes any more may come here. */
function release(block: Buffer): void {
  if (pool.length < POOLED_BLOCKS) pool.push(block);
}

import { LIMITS } from "../../core/limits.ts";
import type { WriteToken } from "../../core/write-token.ts";
import type { Cancel, Clock } from "../../ports/clock.ts";
import type { Replica } from "../../storage/replica.ts";
import { S3Error } from "../errors.ts";

/** Tells how far every site's writes have been applied here. */
export type AppliedSource = Pick<Replica, "applied" | "onCommit">;

/** A request that waits for a write of another site. */
export type WaitWish = {
  readonly token: WriteToken;
  /** The longest it waits, in milliseconds; 0 asks without waiting. */
  readonly waitMs: number;
  /** A signature has shown who asks. */
  readonly signed: boolean;
  /** Calls back when nobody waits for the answer any more. */
  readonly onAbort: (callback: () => void) => void;
};

type Waiter = { readonly token: WriteToken; readonly finish: (isApplied: boolean) => void };

/**
 * Requests that wait until writes of other sites have been applied here. Nothing is listened to
 * while nobody waits. Invariant: a waiter is in the set exactly as long as its promise is open.
 */
export class AppliedWaits {
  readonly #source: AppliedSource;
  readonly #clock: Pick<Clock, "after">;
  readonly #waiters = new Set<Waiter>();
  #unsigned = 0;
  #unlisten: (() => void) | undefined;

  constructor(source: AppliedSource, clock: Pick<Clock, "after">) {
    this.#source = source;
    this.#clock = clock;
  }

  /** How many requests wait. */
  get waiting(): number {
    return this.#waiters.size;
  }

  isApplied({ origin, seq }: WriteToken): boolean {
    return (this.#source.applied().get(origin) ?? 0) >= seq;
  }

  /**
   * Resolves when the write has been applied here.
   *
   * @throws S3Error ServiceUnavailable with Retry-After when that took too long, and SlowDown when
   * too many requests wait already. Unsigned ones share half of the room.
   */
  async until(wish: WaitWish): Promise<void> {
    if (this.isApplied(wish.token)) return;
    if (wish.waitMs === 0) throw notYetApplied();
    const isFull = this.#waiters.size >= LIMITS.appliedWaitersMax;
    if (isFull || (!wish.signed && this.#unsigned >= LIMITS.appliedWaitersMax / 2)) {
      throw new S3Error("SlowDown", { headers: [["Retry-After", "1"]] });
    }
    if (!wish.signed) this.#unsigned += 1;
    const isApplied = await this.#wait(wish);
    if (!wish.signed) this.#unsigned -= 1;
    if (!isApplied) throw notYetApplied();
  }

  #wait({ token, waitMs, onAbort }: WaitWish): Promise<boolean> {
    return new Promise((resolve) => {
      let cancel: Cancel | undefined;
      const waiter: Waiter = {
        token,
        finish: (isApplied) => {
          if (!this.#waiters.delete(waiter)) return;
          cancel?.();
          if (this.#waiters.size === 0) this.#stopListening();
          resolve(isApplied);
        },
      };
      this.#waiters.add(waiter);
      this.#unlisten ??= this.#source.onCommit(() => this.#committed());
      cancel = this.#clock.after(waitMs, () => waiter.finish(false));
      onAbort(() => waiter.finish(false));
    });
  }

  #committed(): void {
    const applied = this.#source.applied();
    for (const waiter of [...this.#waiters]) {
      const { origin, seq } = waiter.token;
      if ((applied.get(origin) ?? 0) >= seq) waiter.finish(true);
    }
  }

  #stopListening(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
  }
}

function notYetApplied(): S3Error {
  return new S3Error("ServiceUnavailable", {
    message: "The write that x-atoll-after names has not arrived at this site yet.",
    headers: [["Retry-After", "1"]],
  });
}

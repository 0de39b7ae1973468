import { ignore } from "../core/ignore.ts";
import type { SiteId } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import type { LogicalRows } from "../storage/logical-rows.ts";
import { backoffMs } from "./backoff.ts";
import { NO_LEASE } from "./bootstrap.ts";
import { saysRemoved } from "./peer-fault.ts";
import { type RowWish, sourceOf } from "./row-wish.ts";

export type BootstrapLoopDeps = {
  readonly rows: Pick<LogicalRows, "bootstrap" | "setFloors">;
  /** Other members that are active. */
  readonly peers: () => readonly MemberSite[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Whether all that any other member has is here already. */
  readonly hasAll: () => boolean;
  /** One try: rejects when it brings less than everything. */
  readonly takeOver: (peer: MemberSite, merges: boolean, signal: AbortSignal) => Promise<void>;
};

/**
 * Tries until all rows of a peer are here: an interruption costs a step, not the bootstrap. Between
 * tries that have brought nothing yet this site serves its own rows, so that of two sites that want
 * each other's rows one goes first; one that joined empty has none to give (`NO_LEASE`).
 */
export class BootstrapLoop {
  readonly #deps: BootstrapLoopDeps;
  #running: Promise<void> | undefined;
  /** The peer whose rows it tries to take over; undefined when there is none any more. */
  #wanted: RowWish | undefined;
  /** Ends the current try, or the wait for the next one. */
  #try = new AbortController();
  #isStopped = false;
  /**
   * The last reason why a wish was given up: reported once, for it may last as long as the peer's
   * own bootstrap.
   */
  #whyGivenUp: string | undefined;

  constructor(deps: BootstrapLoopDeps) {
    this.#deps = deps;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Tries this from now on; the rows of another peer are abandoned. */
  want(wish: RowWish): void {
    if (this.#isStopped) return;
    const before = this.#wanted;
    if (this.#running === undefined) {
      this.#wanted = wish;
      this.#running = this.#untilDone();
    } else if (before?.site !== wish.site || before.isAny) {
      this.#wanted = wish;
      this.#try.abort(new Error("another peer's are asked for"));
    }
  }

  /** Wants nothing any more; resolves when the current try has ended. */
  async leaveOff(why: string): Promise<void> {
    this.#wanted = undefined;
    this.#try.abort(new Error(why));
    await this.#running;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#try.abort();
    await this.#running;
  }

  async #untilDone(): Promise<void> {
    const { clock, random, log, peers } = this.#deps;
    for (let failures = 0; ; failures++) {
      const wanted = this.#wanted;
      if (wanted === undefined || this.#isStopped) break;
      this.#try = new AbortController();
      const { signal } = this.#try;
      const peer = sourceOf(wanted, peers(), { begunAt: this.#begunAt, failures });
      try {
        if (peer === undefined) throw new Error("there is no other member");
        await this.#deps.takeOver(peer, wanted.merges, signal);
        if (this.#wanted === wanted) this.#wanted = undefined;
      } catch (failure) {
        if (signal.aborted) continue;
        const message = failure instanceof Error ? failure.message : String(failure);
        const from = peer?.id ?? wanted.site;
        const end = this.#endOf(wanted, peer, failure);
        if (end !== undefined && (await this.#givesUp(wanted, { from, message, end }))) continue;
        log.warn({ peer: from, failure: message }, "a bootstrap was interrupted; it goes on");
        await clock.sleep(backoffMs(random, failures + 1), signal).catch(ignore);
      }
    }
    // Cleared in the same turn that finds nothing wanted: a later wish begins a new loop.
    this.#running = undefined;
  }

  /** The site that has begun to give its rows; undefined as long as they are only wanted. */
  get #begunAt(): SiteId | undefined {
    const bootstrap = this.#deps.rows.bootstrap();
    return bootstrap?.lease === NO_LEASE ? undefined : bootstrap?.site;
  }

  /**
   * Lets go of what nobody will give, unless some of it is here. A merge that nobody asked for: the
   * peer's next answer begins it again. A site that is alone, or was removed, has all that it will
   * ever have.
   */
  async #givesUp(
    wanted: RowWish,
    told: { readonly from: SiteId; readonly message: string; readonly end: string },
  ): Promise<boolean> {
    const { from, message, end } = told;
    const { rows, log } = this.#deps;
    if (this.#begunAt !== undefined) return false;
    try {
      if (rows.bootstrap() !== undefined) await rows.setFloors([]);
    } catch (failure) {
      log.warn({ err: failure }, "that no rows are taken over could not be noted");
      return false;
    }
    if (message !== this.#whyGivenUp) log.info({ peer: from, failure: message }, end);
    this.#whyGivenUp = message;
    if (this.#wanted === wanted) this.#wanted = undefined;
    return true;
  }

  /** Why a wish that nothing came of is over; undefined when another try may bring something. */
  #endOf(wish: RowWish, peer: MemberSite | undefined, failure: unknown): string | undefined {
    if (wish.merges) return "a peer's rows are to be taken over later";
    if (peer === undefined) return "no rows are taken over: this site is alone";
    if (saysRemoved(failure)) return REMOVED;
    return wish.isAny && this.#deps.hasAll() ? NEEDLESS : undefined;
  }
}

const NEEDLESS = "no rows are taken over: the logs have brought all that they stand for";
const REMOVED = "no rows are taken over: this site was removed from its cluster";

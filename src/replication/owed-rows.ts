import type { MemberSite } from "../core/site-record.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { LogicalRows } from "../storage/logical-rows.ts";
import { rangeOf, rowAt } from "./row-at.ts";
import type { VerifyStep, VerifyWish } from "./verify.ts";

export type OwedRowsDeps = {
  readonly rows: Pick<LogicalRows, "owed" | "settleOwed" | "read" | "bootstrap">;
  readonly clock: Clock;
  readonly log: Log;
  /** Other members that are active. */
  readonly peers: () => readonly MemberSite[];
  /** Compares a range of rows with a peer, and takes what is missing here. */
  readonly verify: (peer: MemberSite, wish: VerifyWish) => Promise<VerifyStep>;
};

/** The logs have to come before sites can be compared. */
const FIRST_MS = 60_000;
const AGAIN_MS = 15 * 60_000;

/**
 * Asks all members again and again for rows that a bootstrap had to leave out, because their bytes
 * were damaged where they came from: another member may have them by now, or that one been mended.
 */
export class OwedRows {
  readonly #deps: OwedRowsDeps;
  #cancel: (() => void) | undefined;
  #stopped = false;
  /** Resolves when nothing is being asked; never rejects. */
  #asking: Promise<unknown> = Promise.resolve();

  constructor(deps: OwedRowsDeps) {
    this.#deps = deps;
  }

  /** Asks in a while, if rows are owed. */
  look(afterMs = FIRST_MS): void {
    this.#cancel?.();
    if (this.#stopped || this.#deps.rows.owed().length === 0) return;
    this.#cancel = this.#deps.clock.after(afterMs, () => {
      this.#asking = this.ask().catch((failure: unknown) => {
        this.#deps.log.warn({ err: failure }, "rows that were left out could not be asked for");
      });
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#asking;
  }

  /** Asks every member now, and later again for what nobody could give. */
  async ask(): Promise<void> {
    const { rows, log } = this.#deps;
    try {
      // It brings rows by itself, or says anew what is owed.
      if (rows.bootstrap() !== undefined) return;
      const settled = new Set<string>();
      for (const position of rows.owed()) {
        if (await this.#isSettled(position)) settled.add(position);
      }
      if (settled.size > 0) await rows.settleOwed(settled);
      const owed = rows.owed().length;
      if (settled.size > 0)
        log.info({ settled: settled.size, owed }, "rows came that were left out");
      if (owed > 0) log.warn({ owed }, "no member could give the bytes of rows that were left out");
    } finally {
      this.look(AGAIN_MS);
    }
  }

  /** Whether a row has come, or every member has said that it has none. */
  async #isSettled(position: string): Promise<boolean> {
    const { rows, peers, verify, log } = this.#deps;
    const range = rangeOf(position);
    const isHere = () => rowAt(rows, position) !== undefined;
    if (isHere()) return true;
    const members = peers();
    let isKnown = members.length === 0;
    for (const peer of members) {
      if (this.#stopped) return false;
      try {
        const { differences } = await verify(peer, { range, repair: true, deep: false });
        if (isHere()) return true;
        if (differences.length > 0) isKnown = true;
      } catch (failure) {
        log.info({ peer: peer.id, err: failure }, "a member could not be asked for a row");
        isKnown = true;
      }
    }
    return !isKnown;
  }
}

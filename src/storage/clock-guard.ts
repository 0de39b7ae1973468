import { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";

/** Against what the clock of this site has been found wrong. */
export type ClockWitness = "monotonic" | "peers";

export type ClockState =
  | { readonly kind: "trusted" }
  | {
      /** Writes of clients wait for an operator. */
      readonly kind: "jumped";
      readonly witness: ClockWitness;
      /** How far ahead it was when that was noticed, in milliseconds. */
      readonly aheadMs: number;
      readonly sinceMs: number;
    };

export type ClockGuardDeps = {
  readonly clock: Pick<Clock, "nowMs" | "monotonicMs">;
  readonly log: Pick<Log, "error" | "warn">;
};

const TRUSTED: ClockState = { kind: "trusted" };

/**
 * Watches this site's own wall clock once it has peers. A clock that jumps forward would stamp
 * writes that no peer takes, and that beat everything written later elsewhere; so time is then
 * given out as it would have gone on, and writes are refused until the clock is set right or an
 * operator says that it is. A site without peers takes its clock as it is.
 *
 * Invariant: while it is armed, a reading is never further ahead of the last accepted one than the
 * monotonic clock has moved on, and the drift that is allowed.
 */
export class ClockGuard {
  readonly #deps: ClockGuardDeps;
  readonly #driftMsMax: number;
  #isArmed = false;
  #baseWallMs = 0;
  #baseMonotonicMs = 0;
  #state: ClockState = TRUSTED;
  /** An operator has said that the peers are wrong; until they agree again. */
  #isPeersIgnored = false;

  /** @param driftMsMax how far ahead a clock may be before it is not believed. */
  constructor(deps: ClockGuardDeps, driftMsMax: number = LIMITS.clockDriftMsMax) {
    this.#deps = deps;
    this.#driftMsMax = driftMsMax;
  }

  get state(): ClockState {
    return this.#state;
  }

  /** From now on the clock is watched. Hot paths of sites without peers ask nothing but this. */
  arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#rebase();
  }

  /** Wall clock in Unix milliseconds, as far as it is believed. */
  nowMs(): number {
    const { clock } = this.#deps;
    const wallMs = clock.nowMs();
    if (!this.#isArmed) return wallMs;
    const expectedMs = this.#baseWallMs + (clock.monotonicMs() - this.#baseMonotonicMs);
    const aheadMs = wallMs - expectedMs;
    if (aheadMs > this.#driftMsMax) {
      this.#stop("monotonic", aheadMs);
      return Math.floor(expectedMs);
    }
    // It has been set right again.
    if (this.#state.kind === "jumped" && this.#state.witness === "monotonic") this.#trust();
    return wallMs;
  }

  /**
   * Looks at the clock, regularly: follows small corrections, and asks the peers.
   *
   * @param skewsMs how far the clocks of peers heard lately are ahead of this one.
   */
  look(skewsMs: readonly number[]): void {
    if (!this.#isArmed) return;
    this.nowMs();
    const isHeld = this.#state.kind === "jumped" && this.#state.witness === "monotonic";
    if (!isHeld) this.#rebase();
    const behind = skewsMs.filter((skewMs) => skewMs < -this.#driftMsMax);
    // More than half of the sites, this one counted: one mad peer alone stops nobody.
    const isOutvoted = behind.length > (skewsMs.length + 1) / 2;
    if (!isOutvoted) {
      this.#isPeersIgnored = false;
      if (this.#state.kind === "jumped" && this.#state.witness === "peers") this.#trust();
    } else if (!this.#isPeersIgnored) {
      this.#stop("peers", -Math.max(...behind));
    }
  }

  /** An operator says that the clock is right as it is. Whether anything waited for that. */
  accept(): boolean {
    const { kind } = this.#state;
    if (kind === "trusted") return false;
    this.#isPeersIgnored = this.#state.witness === "peers";
    this.#rebase();
    this.#trust();
    return true;
  }

  /** Why a client's write is refused now; undefined when it is not. */
  refusal(): StorageFault | undefined {
    if (!this.#isArmed) return undefined;
    // The look that notices is that of the first write, not that of the next second.
    this.nowMs();
    if (this.#state.kind === "trusted") return undefined;
    return new StorageFault("clock", "this site's clock has jumped ahead, and writes wait", {
      hint: "Set the clock right, or say that it is with `atoll clock accept`.",
    });
  }

  #rebase(): void {
    this.#baseWallMs = this.#deps.clock.nowMs();
    this.#baseMonotonicMs = this.#deps.clock.monotonicMs();
  }

  #stop(witness: ClockWitness, aheadMs: number): void {
    if (this.#state.kind === "jumped") return;
    const sinceMs = this.#deps.clock.nowMs();
    this.#state = { kind: "jumped", witness, aheadMs, sinceMs };
    this.#deps.log.error(
      { witness, aheadMs: Math.round(aheadMs) },
      "this site's clock has jumped ahead: writes wait until it is set right or accepted",
    );
  }

  #trust(): void {
    this.#state = TRUSTED;
    this.#deps.log.warn({}, "this site's clock is believed again: writes go on");
  }
}

/** A clock whose wall time is that which the guard believes. */
export function believedClock(clock: Clock, guard: ClockGuard): Clock {
  return {
    nowMs: () => guard.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    after: (ms, callback) => clock.after(ms, callback),
  };
}

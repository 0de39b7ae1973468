import type { Seed } from "./seed.ts";

/** Operations that change what a power cut would leave; the others are only counted as calls. */
export type StepKind =
  | "create"
  | "write"
  | "sync"
  | "truncate"
  | "rename"
  | "link"
  | "remove"
  | "make-directory"
  | "sync-directory"
  | "kv-write"
  | "kv-sync"
  | "kv-backup";
export type CallKind = StepKind | "open" | "read" | "list" | "stat" | "file-system" | "kv-open";

export type SimCall = {
  readonly kind: CallKind;
  readonly path: string;
  /** Number of this call, from 1. */
  readonly call: number;
  /** Number of this step, from 1; 0 for calls that change nothing. */
  readonly step: number;
};

/** short-write: part of the bytes arrive, then the call fails with ENOSPC. */
export type InjectedFault = "EIO" | "ENOSPC" | "EMFILE" | "short-write";

/** What every operation of a machine without power ends with. */
export class PowerCut extends Error {
  override readonly name = "PowerCut";
  constructor() {
    super("power cut");
  }
}

const READ_KINDS: ReadonlySet<CallKind> = new Set<CallKind>([
  "open",
  "read",
  "list",
  "stat",
  "file-system",
  "kv-open",
]);

/**
 * Counts what a simulated machine does, and stops it or lets a call fail where a test wants it.
 * `calls` counts everything, `steps` only what can change the disk.
 */
export class SimSteps {
  calls = 0;
  steps = 0;
  /** True from the moment of the cut. */
  stopped = false;
  readonly #listeners: Array<(call: SimCall) => void> = [];
  readonly #faults = new Map<number, InjectedFault>();
  readonly #matchers: Array<(call: SimCall) => InjectedFault | undefined> = [];
  #cutAt = Number.POSITIVE_INFINITY;
  #hang = false;
  #resolveCut: () => void = () => undefined;
  /** Resolves at the moment of the cut. */
  readonly cut: Promise<void> = new Promise((resolve) => {
    this.#resolveCut = resolve;
  });

  onStep(listener: (call: SimCall) => void): void {
    this.#listeners.push(listener);
  }

  /** Stops the machine inside step n: its effect is pending, whole, in part or not at all. */
  cutPowerAt(step: number, options?: { readonly hang?: boolean }): void {
    this.#cutAt = step;
    this.#hang = options?.hang ?? false;
  }

  /** Stops the machine now. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.#resolveCut();
  }

  /** Lets call number n fail, once. */
  failCall(call: number, fault: InjectedFault): void {
    this.#faults.set(call, fault);
  }

  /** Lets every call fail for which the function names a fault. */
  failWhen(matcher: (call: SimCall) => InjectedFault | undefined): void {
    this.#matchers.push(matcher);
  }

  /** Counts a call; says what should go wrong with it. Throws PowerCut when there is no power. */
  enter(kind: CallKind, path: string): InjectedFault | "cut" | undefined {
    if (this.stopped) throw new PowerCut();
    const isStep = !READ_KINDS.has(kind);
    this.calls += 1;
    if (isStep) this.steps += 1;
    const call = { kind, path, call: this.calls, step: isStep ? this.steps : 0 };
    for (const listener of this.#listeners) listener(call);
    if (isStep && this.steps >= this.#cutAt) {
      this.stop();
      return "cut";
    }
    const planned = this.#faults.get(call.call);
    if (planned !== undefined) return planned;
    for (const matcher of this.#matchers) {
      const fault = matcher(call);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  /** How an operation ends that the cut has caught: with a PowerCut, or never. */
  async lost(): Promise<never> {
    if (this.#hang) await new Promise(() => undefined);
    throw new PowerCut();
  }

  /** Lets other operations go first, as many turns as the seed says; then the cut may have come. */
  async settle(seed: Seed): Promise<void> {
    for (let turns = seed.int(4); turns >= 0; turns--) await undefined;
    if (this.stopped) await this.lost();
  }
}

/** The `code` that a fault shows. */
export function faultCode(fault: InjectedFault): string {
  return fault === "short-write" ? "ENOSPC" : fault;
}

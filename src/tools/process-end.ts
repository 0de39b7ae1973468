import type { Clock } from "../ports/clock.ts";
import { systemClock } from "../ports/system-clock.ts";

/** Why a process ends: it was asked to, or something failed after which it must. */
export type EndReason =
  | { readonly kind: "asked" }
  | { readonly kind: "failed"; readonly failure: unknown };

export type ProcessEnd = {
  /** Resolves with the first reason. */
  readonly reason: Promise<EndReason>;
  /** Ends the process for a failure. */
  readonly fail: (failure: unknown) => void;
};

/** One wish may come twice: whoever ends a group of processes tells a server and its parent. */
const SAME_WISH_MS = 1000;

/**
 * Watches for what ends a server: the first SIGTERM or SIGINT asks it to, one that comes a second
 * later or more ends it at once. A failure that nobody handled leaves the program in an unknown
 * state, so it ends too.
 */
export function watchProcessEnd({
  clock = systemClock,
  endNow = killSelf,
}: {
  readonly clock?: Pick<Clock, "monotonicMs">;
  readonly endNow?: () => void;
} = {}): ProcessEnd {
  let settle: (reason: EndReason) => void = endNow;
  const reason = new Promise<EndReason>((resolve) => {
    settle = resolve;
  });
  let askedMs: number | undefined;
  const onSignal = (): void => {
    const nowMs = clock.monotonicMs();
    if (askedMs !== undefined && nowMs - askedMs >= SAME_WISH_MS) endNow();
    askedMs ??= nowMs;
    settle({ kind: "asked" });
  };
  const fail = (failure: unknown): void => settle({ kind: "failed", failure });
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  return { reason, fail };
}

/** What a command is told that waits when somebody presses Ctrl-C. */
export const INTERRUPTED = new Error("it was interrupted");

/**
 * Has the next SIGINT reject `happened` with INTERRUPTED instead of ending the process, so that a
 * command can say what becomes of its work; one more ends it at once. `stop` is to be called last.
 */
export function watchInterrupt(): { readonly happened: Promise<never>; readonly stop: () => void } {
  let interrupt: () => void = () => undefined;
  const happened = new Promise<never>((_, reject) => {
    interrupt = () => reject(INTERRUPTED);
  });
  // A command that ends first has nobody who waits for it.
  happened.catch(() => undefined);
  process.once("SIGINT", interrupt);
  return { happened, stop: () => void process.off("SIGINT", interrupt) };
}

/** Calls back for every SIGHUP, which then no longer ends the process. */
export function onHangup(callback: () => void): void {
  process.on("SIGHUP", callback);
}

/** Ends this process at once. Nothing acknowledged is lost; nothing that hangs is in the way. */
export function killSelf(): void {
  process.kill(process.pid, "SIGKILL");
}

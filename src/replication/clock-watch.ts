import type { Cancel, Clock } from "../ports/clock.ts";
import type { ClockGuard } from "../storage/clock-guard.ts";

export type ClockWatchDeps = {
  readonly clock: Pick<Clock, "after">;
  readonly guard: Pick<ClockGuard, "arm" | "look">;
  readonly hasPeers: () => boolean;
  /** Grows whenever something has been written here, a peer among it. */
  readonly activity: () => number;
  /** How far the clocks of peers heard lately are ahead of this one, in milliseconds. */
  readonly skews: () => readonly number[];
};

const LOOK_MS = 1000;
/** Looks for peers go on so long after something was written, until it is in the index for sure. */
const LOOKS_AFTER_ACTIVITY = 10;

/**
 * Looks at this site's clock every second once it has peers; before, it only looks for peers, and
 * only where something has been written: who reads the index of a site at rest keeps its disk at
 * work. Gives a function that ends it.
 */
export function watchClock(deps: ClockWatchDeps): () => void {
  const { clock, guard, hasPeers, activity, skews } = deps;
  let cancel: Cancel = () => undefined;
  let hadPeers = false;
  let seen = activity();
  let looksLeft = LOOKS_AFTER_ACTIVITY;
  const look = (): void => {
    const now = activity();
    looksLeft = now === seen ? looksLeft - 1 : LOOKS_AFTER_ACTIVITY;
    seen = now;
    if (looksLeft >= 0) hadPeers ||= hasPeers();
    if (hadPeers) {
      guard.arm();
      guard.look(skews());
    }
    cancel = clock.after(LOOK_MS, look);
  };
  look();
  return () => cancel();
}

import type { Cancel, Clock } from "../ports/clock.ts";
import type { ClockGuard } from "../storage/clock-guard.ts";

export type ClockWatchDeps = {
  readonly clock: Pick<Clock, "after">;
  readonly guard: Pick<ClockGuard, "arm" | "look">;
  readonly hasPeers: () => boolean;
  /** How far the clocks of peers heard lately are ahead of this one, in milliseconds. */
  readonly skews: () => readonly number[];
};

const LOOK_MS = 1000;

/**
 * Looks at this site's clock every second once it has peers; before, it only looks for peers.
 * Gives a function that ends it.
 */
export function watchClock({ clock, guard, hasPeers, skews }: ClockWatchDeps): () => void {
  let cancel: Cancel = () => undefined;
  let hadPeers = false;
  const look = (): void => {
    hadPeers ||= hasPeers();
    if (hadPeers) {
      guard.arm();
      guard.look(skews());
    }
    cancel = clock.after(LOOK_MS, look);
  };
  look();
  return () => cancel();
}

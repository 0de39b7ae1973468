import type { Cancel, Clock } from "../ports/clock.ts";
import type { Heap } from "../ports/heap.ts";

const LOOK_MS = 5000;
/** Of one core. */
const QUIET_SHARE = 0.02;
/** What is not worth a pause stays until it is more. */
const WORTH_BYTES = 32 * 1024 * 1024;

/**
 * Gives back, once work has ended, what it has left of garbage and free pages: V8 only collects
 * while something is allocated, and a server that rests would hold it for as long as it does.
 */
export function giveBackWhenQuiet(clock: Clock, heap: Heap): Cancel {
  let leftBytes = 0;
  let before = { atMs: clock.monotonicMs(), workedMs: heap.workedMs() };
  let cancel = clock.after(LOOK_MS, look);
  function look(): void {
    cancel = clock.after(LOOK_MS, look);
    const now = { atMs: clock.monotonicMs(), workedMs: heap.workedMs() };
    const share = (now.workedMs - before.workedMs) / (now.atMs - before.atMs);
    before = now;
    if (share > QUIET_SHARE || heap.heldBytes() - leftBytes < WORTH_BYTES) return;
    heap.giveBack();
    leftBytes = heap.heldBytes();
  }
  return () => cancel();
}

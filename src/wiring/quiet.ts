import type { Cancel, Clock } from "../ports/clock.ts";
import type { Hash } from "../ports/hash.ts";
import type { Heap } from "../ports/heap.ts";

const LOOK_MS = 2000;
/** Threads that were not needed for so many looks are ended. */
const LOOKS_PER_REST = 4;
/** Of one core. */
const QUIET_SHARE = 0.02;
/** What is not worth a pause stays until it is more. */
const WORTH_BYTES = 32 * 1024 * 1024;

/**
 * Gives back, once work has ended, what it has left of threads, garbage and free pages: V8 only
 * collects while something is allocated, and a server that rests would hold it for as long as it
 * does.
 */
export function giveBackWhenQuiet(clock: Clock, heap: Heap, hash: Pick<Hash, "rest">): Cancel {
  let leftBytes = 0;
  let looks = 0;
  /** Whether memory that threads had was let go of, which is not seen in the heap. */
  let ended = false;
  let before = { atMs: clock.monotonicMs(), workedMs: heap.workedMs() };
  let cancel = clock.after(LOOK_MS, look);
  function look(): void {
    cancel = clock.after(LOOK_MS, look);
    looks += 1;
    if (looks % LOOKS_PER_REST === 0 && hash.rest() > 0) ended = true;
    const now = { atMs: clock.monotonicMs(), workedMs: heap.workedMs() };
    const share = (now.workedMs - before.workedMs) / (now.atMs - before.atMs);
    before = now;
    const isWorth = ended || heap.heldBytes() - leftBytes >= WORTH_BYTES;
    if (share > QUIET_SHARE || !isWorth) return;
    heap.giveBack();
    ended = false;
    leftBytes = heap.heldBytes();
  }
  return () => cancel();
}

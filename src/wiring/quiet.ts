import type { Cancel, Clock } from "../ports/clock.ts";
import type { Hash } from "../ports/hash.ts";
import type { Heap } from "../ports/heap.ts";

const LOOK_MS = 2000;
/** Threads that were not needed for so many looks are ended. */
const LOOKS_PER_REST = 4;
/** A share of one core: below it the process counts as quiet. */
const QUIET_SHARE = 0.02;
/** Garbage below this is not worth a pause, and stays until there is more. */
const WORTH_BYTES = 32 * 1024 * 1024;

/**
 * Once work has ended, gives back the threads, garbage and free pages that it left. V8 collects
 * only while something is allocated, so a server at rest would hold them for as long as it rests.
 */
export function giveBackWhenQuiet(clock: Clock, heap: Heap, hash: Pick<Hash, "rest">): Cancel {
  let leftBytes = 0;
  let looks = 0;
  /** Whether threads were ended, whose memory is not seen in the heap. */
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

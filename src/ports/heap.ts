import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The memory that JavaScript takes from the system, and the work that is done with it. */
export interface Heap {
  /** Bytes held, garbage and free pages included. */
  heldBytes(): number;
  /**
   * Collects all garbage and returns free pages to the system; everything stops for tens of ms.
   * Does nothing where the engine offers no way to ask for it.
   */
  giveBack(): void;
  /** CPU time of the process so far, of all threads, in milliseconds. */
  workedMs(): number;
}

/**
 * By how much the old generation may grow before it is collected. V8 lets a small heap grow
 * fourfold, mostly by garbage: a server of objects keeps little else for long.
 */
const GROWTH_PERCENT = 100;

/** The heap of this process. Creating it makes the heap grow less from now on. */
export function createHeap(): Heap {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
  // Only contexts made after this flag is set know `gc`.
  setFlagsFromString("--expose-gc");
  const collect: (() => void) | undefined = runInNewContext("globalThis.gc");
  return {
    heldBytes() {
      // Unlike `process.memoryUsage`, this opens no file: it works when no descriptor is left.
      const { total_heap_size: heap, external_memory: buffers } = getHeapStatistics();
      return heap + buffers;
    },
    giveBack: () => collect?.(),
    workedMs() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
  };
}

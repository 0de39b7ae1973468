import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The memory that JavaScript takes from the system, and the work that is done with it. */
export interface Heap {
  /** Bytes held, garbage and free pages included. */
  heldBytes(): number;
  /**
   * Collects all garbage and gives free pages back: everything stands still for tens of ms. Where
   * the engine does not let itself be asked, nothing happens.
   */
  giveBack(): void;
  /** CPU time of the process so far, of all threads, in milliseconds. */
  workedMs(): number;
}

/**
 * By how much the old generation may grow until it is collected again. V8 would let a small heap
 * grow fourfold, by garbage mostly: a server of objects holds little else for long.
 */
const GROWTH_PERCENT = 100;

/** The heap of this process, which grows less from now on. */
export function createHeap(): Heap {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
  // Only contexts that are made from now on know `gc`.
  setFlagsFromString("--expose-gc");
  const collect: (() => void) | undefined = runInNewContext("globalThis.gc");
  return {
    heldBytes() {
      const { heapTotal, arrayBuffers } = process.memoryUsage();
      return heapTotal + arrayBuffers;
    },
    giveBack: () => collect?.(),
    workedMs() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
  };
}

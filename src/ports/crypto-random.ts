import { randomFillSync } from "node:crypto";
import type { Random } from "./random.ts";

const BLOCK_BYTES = 16 * 1024;

let block = Buffer.alloc(0);
let used = 0;

/** The operating system's generator, asked for a block at a time: a call costs about 2 µs. */
export const cryptoRandom: Random = {
  bytes(count) {
    if (count > BLOCK_BYTES / 4) return randomFillSync(Buffer.allocUnsafeSlow(count));
    if (used + count > block.length) refill();
    const bytes = Buffer.allocUnsafe(count);
    block.copy(bytes, 0, used, used + count);
    // Bytes that have been handed out must not be found in our memory later.
    block.fill(0, used, used + count);
    used += count;
    return bytes;
  },
};

function refill(): void {
  if (block.length === 0) block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  randomFillSync(block);
  used = 0;
}

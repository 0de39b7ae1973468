import { expect, test } from "vitest";
import { BlockPipe } from "./block-pipe.ts";

const BLOCK_BYTES = 256 * 1024;

/** A pipe whose target never takes a block, so that everything that arrives has to wait. */
function stuckPipe(lateBlocksMax: number) {
  const calls = { paused: 0, written: 0 };
  const pipe = new BlockPipe({
    exchange: { pause: () => calls.paused++, resume: () => undefined },
    target: {
      write: () => {
        calls.written++;
        return new Promise<void>(() => undefined);
      },
    },
    hasher: {
      update: () => Promise.resolve(),
      digest: () => Promise.resolve(new Map()),
      abort: () => undefined,
    },
    lateBlocksMax,
  });
  return { pipe, calls };
}

test("a client that goes on after it was told to wait is given up, not kept in memory", async () => {
  const { pipe, calls } = stuckPipe(8);
  const block = Buffer.alloc(BLOCK_BYTES, 1);
  for (let count = 0; count < 9; count++) pipe.append(block);
  expect(calls).toEqual({ paused: 1, written: 1 });
  pipe.append(block);
  await expect(pipe.failed).rejects.toMatchObject({ kind: "busy" });
  await expect(pipe.finish()).rejects.toMatchObject({ kind: "busy" });
});

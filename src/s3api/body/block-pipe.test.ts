import fc from "fast-check";
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
      lend: () => Promise.resolve(),
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

test("a client that was told to wait may go on when the target fails: its next request stands behind", async () => {
  let paused = false;
  const pipe = new BlockPipe({
    exchange: { pause: () => (paused = true), resume: () => (paused = false) },
    target: { write: () => Promise.reject(new Error("no space")) },
    hasher: { takes: () => true, end: () => undefined },
  });
  pipe.append(Buffer.alloc(1000));
  expect(paused).toBe(true);
  await expect(pipe.finish()).rejects.toThrow("no space");
  expect(paused).toBe(false);
});

/** A target that takes what it is given at once, and says now and then that it wants to rest. */
function copyingTarget(rests: readonly boolean[]) {
  const taken: Buffer[] = [];
  let resting = 0;
  let count = 0;
  const target = {
    write: (bytes: Uint8Array): Promise<void> | undefined => {
      taken.push(Buffer.from(bytes));
      count += 1;
      if (rests[count % rests.length] !== true) return undefined;
      resting += 1;
      return new Promise((resolve) =>
        setImmediate(() => {
          resting -= 1;
          resolve();
        }),
      );
    },
  };
  return { taken, target, isResting: () => resting > 0 };
}

test("a target that copies gets every byte in order, and the client waits while it rests", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 20 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async (sizes, rests, takes) => {
        const { taken, target, isResting } = copyingTarget(rests);
        let paused = false;
        const pipe = new BlockPipe({
          exchange: { pause: () => (paused = true), resume: () => (paused = false) },
          target,
          hasher: { takes: () => takes, end: () => undefined },
        });
        const sent = sizes.map((size, at) => Buffer.alloc(size, at + 1));
        for (const bytes of sent) {
          pipe.append(Buffer.from(bytes));
          if (takes && isResting()) expect(paused).toBe(true);
          if (bytes.length % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        await pipe.finish();
        expect(Buffer.concat(taken).equals(Buffer.concat(sent))).toBe(true);
        expect(paused).toBe(false);
      },
    ),
    { numRuns: 60 },
  );
});

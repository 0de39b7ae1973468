import { expect, test } from "vitest";
import { LIMITS } from "../core/limits.ts";
import { parseContentHash } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import type { PlacedChunk } from "./bulk-lane.ts";
import { CHUNK_HEADER_BYTES } from "./segment/chunk.ts";
import { ChunkWriter } from "./staged-body.ts";

const HASH = required(parseContentHash("a".repeat(64)), "hash");
const HOOKS = { admit: () => undefined, ended: () => undefined };

/** A lane whose writes end when the test says so. */
function slowLane() {
  const writes: Array<{ readonly done: () => void; readonly fail: () => void }> = [];
  const pinned: number[] = [];
  const free: Uint8Array[] = [];
  const lane = {
    takeBuffer: () => free.pop() ?? new Uint8Array(CHUNK_HEADER_BYTES + LIMITS.chunkBytes),
    giveBuffer: (buffer: Uint8Array) => void free.push(buffer),
    append: (_buffer: Uint8Array, bytes: number): Promise<PlacedChunk> =>
      new Promise((resolve, reject) => {
        const segment = writes.length;
        const done = (): void => {
          pinned.push(segment);
          resolve({ hash: HASH, place: { segment, offset: 0, bytes, sliceCrcs: [] } });
        };
        writes.push({ done, fail: () => reject(new Error("the disk said no")) });
      }),
    unpin: (segment: number) => void pinned.splice(pinned.indexOf(segment), 1),
  };
  return { lane, writes, pinned, free };
}

test("a body that is given up while a write waits for room ends, and leaves no pin", async () => {
  const { lane, writes, pinned } = slowLane();
  const writer = new ChunkWriter(lane, HOOKS);
  await writer.write(new Uint8Array(LIMITS.chunkBytes));
  const waiting = writer.write(new Uint8Array(LIMITS.chunkBytes + 1));
  writer.abort();
  writes[0]?.done();
  await waiting;
  await new Promise((resolve) => setImmediate(resolve));
  expect(writes).toHaveLength(1);
  expect(pinned).toEqual([]);
});

test("a chunk that could not be written ends the body at the next write, not at its end", async () => {
  const { lane, writes, pinned } = slowLane();
  const writer = new ChunkWriter(lane, HOOKS);
  await writer.write(new Uint8Array(LIMITS.chunkBytes));
  writes[0]?.fail();
  await new Promise((resolve) => setImmediate(resolve));
  await expect((async () => await writer.write(Buffer.from("more")))()).rejects.toThrow(
    "could not be stored",
  );
  await expect(writer.finish()).rejects.toThrow("could not be stored");
  expect(writes).toHaveLength(1);
  expect(pinned).toEqual([]);
});

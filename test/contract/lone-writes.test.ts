import { afterEach, beforeEach, expect, test } from "vitest";
import type { Store } from "../../src/storage/store.ts";
import { Seed } from "../sim/seed.ts";
import { createInlineHash } from "../sim/sim-hash.ts";
import { type Running, SimMachine } from "../sim/sim-machine.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { diskWithSegmentWrites } from "../support/overlay.ts";

const bucket = bucketOf("photos");
const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };

let running: Running;
/** Of every batch that was written: whether the disk was told that it is alone. */
let told: boolean[];

beforeEach(async () => {
  told = [];
  const machine = new SimMachine(new Seed("lone-writes"), {
    hash: await createInlineHash(),
    directIo: "on",
    segmentBytes: 1024 * 1024,
    sabotage: {
      disk: (disk) =>
        diskWithSegmentWrites(disk, (file, bytes, offset, isAlone) => {
          // What comes first in a segment is its header, and no batch.
          if (offset > 0) told.push(isAlone === true);
          return file.write(bytes, offset, isAlone);
        }),
    },
  });
  running = await machine.open();
  await running.site.store.createBucket({ name: bucket, owner: "o" });
  told = [];
});
afterEach(() => running.site.close());

function put(store: Store, name: string, size: number): Promise<{ readonly outcome: string }> {
  const bytes = Buffer.alloc(size);
  const object = { size, etag: "0".repeat(32), attributes: PLAIN, checksums: [], parts: [] };
  return store.putObject({
    ...{ bucket, key: keyOf(name), object: { ...object, encryption: undefined } },
    body: { kind: "inline", bytes },
  });
}

test("a write that nobody else waits beside is said to be alone", async () => {
  const { store } = running.site;
  await put(store, "a", 1000);
  await put(store, "b", 1000);
  await store.deleteObject({ bucket, key: keyOf("a") });
  expect(told).toEqual([true, true, true]);
});

test("writes that share a batch are not, and neither is what came while it was written", async () => {
  const { store } = running.site;
  await Promise.all([put(store, "a", 1000), put(store, "b", 1000)]);
  expect(told).toEqual([false]);
  const first = put(store, "a", 1000);
  // The batch of the first is under way when these come.
  await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([first, put(store, "b", 1000), put(store, "c", 1000)]);
  expect(told).toEqual([false, true, false]);
});

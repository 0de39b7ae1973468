import { afterEach, beforeEach, expect, test } from "vitest";
import { StorageFault } from "../../src/core/faults.ts";
import { Seed } from "../sim/seed.ts";
import { createInlineHash } from "../sim/sim-hash.ts";
import { type Running, SimMachine } from "../sim/sim-machine.ts";
import { bucketOf } from "../sim/store-journal.ts";
import { diskWithSegmentWrites, overlay } from "../support/overlay.ts";

/** A call that has begun and goes on when it is let go. */
type Held = { readonly letGo: (failure?: Error) => void };

let running: Running;
let isHolding: boolean;
let held: { log: Held[]; index: Held[] };

function hold(into: Held[]): Promise<void> {
  if (!isHolding) return Promise.resolve();
  return new Promise((resolve, reject) => {
    into.push({ letGo: (failure) => (failure === undefined ? resolve() : reject(failure)) });
  });
}

/** Lets everything that can go on do so. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

beforeEach(async () => {
  isHolding = false;
  held = { log: [], index: [] };
  const machine = new SimMachine(new Seed("failing-index"), {
    hash: await createInlineHash(),
    directIo: "on",
    segmentBytes: 1024 * 1024,
    sabotage: {
      disk: (disk) =>
        diskWithSegmentWrites(disk, async (file, ...written) => {
          await hold(held.log);
          await file.write(...written);
        }),
      kv: (kv) =>
        overlay(kv, {
          write: async (mutations) => {
            await hold(held.index);
            await kv.write(mutations);
          },
        }),
    },
  });
  running = await machine.open();
});
afterEach(() => running.site.close());

test("a write whose batch is under way when the index fails is told that it failed", async () => {
  const { store } = running.site;
  const outcomes: string[] = [];
  const create = async (name: string): Promise<void> => {
    const made = store.createBucket({ name: bucketOf(name), owner: "o" });
    const told = await made.catch((failure: unknown) => failure);
    outcomes.push(`${name} ${told instanceof StorageFault ? told.kind : "made"}`);
  };
  isHolding = true;
  const first = create("first");
  await settle();
  held.log[0]?.letGo();
  await settle();
  const second = create("second");
  await settle();
  expect([held.log.length, held.index.length]).toEqual([2, 1]);
  held.index[0]?.letGo(new Error("the disk is gone"));
  await first;
  held.log[1]?.letGo();
  await second;
  expect(outcomes).toEqual(["first io", "second io"]);
  expect(running.faults.map(({ kind }) => kind)).toEqual(["io"]);
});

import { expect, test } from "vitest";
import { StorageFault } from "../core/faults.ts";
import type { Store } from "./store.ts";
import { gateWrites, makeGates } from "./write-gate.ts";
import { WriteHold } from "./write-hold.ts";

test("writes wait in their order while the hold lasts, reads and later writes do not", async () => {
  const done: string[] = [];
  const answer = (name: string) => async () => void done.push(name);
  const store = {
    ...{
      putObject: answer("put"),
      deleteObject: answer("delete"),
      object: () => done.push("read"),
    },
    conflicts: { resolve: answer("resolve") },
  } as unknown as Store;
  const hold = new WriteHold();
  const { conflicts, ...others } = gateWrites(store, { guard: { refusal: () => undefined }, hold });
  const gated = others as unknown as Record<string, () => Promise<unknown>>;
  hold.begin();
  const waiting = [
    gated["putObject"]?.(),
    conflicts.resolve({} as never, "restore"),
    gated["deleteObject"]?.(),
  ];
  gated["object"]?.();
  await Promise.resolve();
  expect(done).toEqual(["read"]);
  hold.end();
  await Promise.all(waiting);
  expect(done).toEqual(["read", "put", "resolve", "delete"]);
  await gated["putObject"]?.();
  expect(done).toHaveLength(5);
});

test("a clock that is not believed refuses the writes that waited, too", async () => {
  let refusal: Error | undefined;
  const store = { putObject: async () => "put", conflicts: {} } as unknown as Store;
  const hold = new WriteHold();
  const guard = { refusal: () => refusal as never };
  hold.begin();
  const put = gateWrites(store, { guard, hold }).putObject({} as never);
  refusal = new Error("the clock has jumped");
  hold.end();
  await expect(put).rejects.toBe(refusal);
});

test("the gates are open while the clock is believed and nothing holds writes back", () => {
  let refusal: StorageFault | undefined;
  const { hold, areOpen } = makeGates({ refusal: () => refusal });
  expect(areOpen()).toBe(true);
  hold.begin();
  expect(areOpen()).toBe(false);
  hold.end();
  expect(areOpen()).toBe(true);
  refusal = new StorageFault("clock", "the clock has jumped");
  expect(areOpen()).toBe(false);
});

import { expect, test } from "vitest";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { WriteHold } from "../storage/write-hold.ts";
import { releaseWhenVouched } from "./first-word.ts";

function held(vouched: Promise<void>): { hold: WriteHold; clock: SimClock; end: () => void } {
  const clock = new SimClock();
  const hold = new WriteHold();
  hold.begin();
  return { hold, clock, end: releaseWhenVouched(hold, vouched, clock) };
}

const NEVER = new Promise<void>(() => undefined);

test("writes go on as soon as all peers have vouched for this site's log", async () => {
  const { hold } = held(Promise.resolve());
  expect(hold.waiting).toBeDefined();
  await hold.waiting;
  expect(hold.waiting).toBeUndefined();
});

test("writes wait five seconds for peers that cannot be asked", async () => {
  const { hold, clock } = held(NEVER);
  await clock.advance(4999);
  expect(hold.waiting).toBeDefined();
  await clock.advance(1);
  expect(hold.waiting).toBeUndefined();
});

test("a site that stops lets go of the writes that wait", () => {
  const { hold, end } = held(NEVER);
  end();
  expect(hold.waiting).toBeUndefined();
});

import { expect, test } from "vitest";
import { FetchRoom } from "./fetch-room.ts";

test("one takes as much as there is, and leaves a place for each of the others", () => {
  const room = new FetchRoom<string>(2, 4);
  for (const name of ["dead", "dead"]) room.take(name);
  expect([room.isFor("dead"), room.isFor("berlin")]).toEqual([false, true]);
  room.take("berlin");
  expect([room.isFor("berlin"), room.isFor("oslo")]).toEqual([false, true]);
  room.take("oslo");
  expect(room.isFor("paris")).toBe(false);
  room.leave("berlin");
  expect([room.isFor("berlin"), room.isFor("paris"), room.isFor("oslo")]).toEqual([
    ...[true, true, false],
  ]);
  for (const name of ["dead", "dead"]) room.leave(name);
  expect([room.isFor("oslo"), room.isFor("dead")]).toEqual([true, true]);
});

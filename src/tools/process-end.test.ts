import { afterEach, expect, test } from "vitest";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { watchProcessEnd } from "./process-end.ts";

const WATCHED = ["SIGTERM", "SIGINT", "uncaughtException", "unhandledRejection"] as const;
type Listener = (...args: unknown[]) => void;

/** What the watch adds goes again: this process has listeners of its own. */
const before = new Map(WATCHED.map((event) => [event, process.listeners(event as "SIGTERM")]));

afterEach(() => {
  for (const event of WATCHED) {
    for (const listener of process.listeners(event as "SIGTERM")) {
      if (before.get(event)?.includes(listener) !== true) {
        process.off(event, listener as Listener);
      }
    }
  }
});

test("a signal that comes twice at once is one wish; a later one ends the process", async () => {
  const clock = new SimClock(0);
  let ended = 0;
  const endNow = (): void => {
    ended += 1;
  };
  const { reason } = watchProcessEnd({ clock, endNow });
  process.emit("SIGTERM");
  expect(await reason).toEqual({ kind: "asked" });
  // As of `timeout`, and of npm in a service whose whole group is told.
  process.emit("SIGTERM");
  await clock.advance(999);
  process.emit("SIGINT");
  expect(ended).toBe(0);
  await clock.advance(1);
  process.emit("SIGINT");
  expect(ended).toBe(1);
});

test("a failure ends it as well, with what it was", async () => {
  const { reason, fail } = watchProcessEnd({ clock: new SimClock(0), endNow: () => undefined });
  const failure = new Error("a sync failed");
  fail(failure);
  process.emit("SIGTERM");
  expect(await reason).toEqual({ kind: "failed", failure });
});

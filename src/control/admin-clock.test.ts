import { expect, test } from "vitest";
import { createMemoryLog } from "../../test/sim/memory-log.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { ClockGuard } from "../storage/clock-guard.ts";
import { CLOCK_PATH, routeClock } from "./admin-clock.ts";

test("a clock that jumped is told of, and accepted once", () => {
  const clock = new SimClock(Date.parse("2026-11-20T20:50:00.000Z"));
  const guard = new ClockGuard({ clock, log: createMemoryLog() });
  const ask = (method: string, path = "") => routeClock(guard, { method, path: CLOCK_PATH + path });
  guard.arm();
  expect(ask("GET").body).toEqual({ state: "trusted" });
  expect(ask("POST", "/accept").body).toEqual({ accepted: false, state: "trusted" });
  clock.jump(600_000);
  guard.look([]);
  const jumped = { state: "jumped", witness: "monotonic", ahead_seconds: 600 };
  expect(ask("GET").body).toEqual({ ...jumped, since: "2026-11-20T21:00:00.000Z" });
  expect(ask("POST", "/accept").body).toEqual({ accepted: true, state: "trusted" });
  expect(ask("GET").body).toEqual({ state: "trusted" });
  for (const [method, path] of [
    ["POST", ""],
    ["DELETE", ""],
    ["GET", "/accept"],
  ] as const) {
    expect(ask(method, path).status).toBe(405);
  }
});

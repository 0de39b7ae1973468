import { describe, expect, test } from "vitest";
import type { AdminApi } from "../control/admin.ts";
import type { AdminAnswer } from "../control/admin-call.ts";
import { systemClock } from "../ports/system-clock.ts";
import { AdminDoor } from "./admin-door.ts";

const STATUS = { method: "GET", path: "/v1/admin/status", body: undefined };
const KEYS = { method: "GET", path: "/v1/admin/keys", body: undefined };
const ANSWER: AdminAnswer = { status: 200, body: { keys: [] } };

describe("the door of the administration", () => {
  test("says what the process does while the site is not open, and nothing else", async () => {
    const door = new AdminDoor(() => ({ state: "recovering", pid: 7 }));
    expect(await door.call(STATUS)).toEqual({ status: 200, body: { state: "recovering", pid: 7 } });
    expect(await door.call(KEYS)).toEqual({
      status: 503,
      body: {
        error: { message: "The server is recovering: try again in a moment." },
        state: "recovering",
      },
    });
    door.open({ call: async () => ANSWER });
    expect(await door.call(KEYS)).toBe(ANSWER);
  });

  test("waits for who is inside when it is shut, but not for ever", async () => {
    const door = new AdminDoor(() => ({ state: "draining" }));
    let finish: (answer: AdminAnswer) => void = () => undefined;
    const slow: AdminApi = {
      call: () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    };
    door.open(slow);
    const inside = door.call(KEYS);
    let isShut = false;
    const shut = door.shut(systemClock, 60_000).then(() => {
      isShut = true;
    });
    expect((await door.call(STATUS)).body).toEqual({ state: "draining" });
    expect(isShut).toBe(false);
    finish(ANSWER);
    await shut;
    expect(await inside).toBe(ANSWER);

    door.open(slow);
    const hanging = door.call(KEYS);
    await door.shut(systemClock, 1);
    finish(ANSWER);
    expect(await hanging).toBe(ANSWER);
  });

  test("lets a failure pass to who asked", async () => {
    const door = new AdminDoor(() => ({ state: "draining" }));
    door.open({ call: () => Promise.reject(new Error("broken")) });
    await expect(door.call(KEYS)).rejects.toThrow("broken");
    await door.shut(systemClock, 60_000);
  });
});

import { describe, expect, test } from "vitest";
import { adminSocketPath } from "./admin-socket.ts";
import { clockProblem } from "./clock-check.ts";

describe("the admin socket", () => {
  const long = `/srv/${"x".repeat(100)}`;

  test("lies in the data directory", () => {
    expect(adminSocketPath("/srv/atoll", "/run/user/1000")).toBe("/srv/atoll/admin.sock");
  });

  test("of a long path lies in the runtime directory, one for each data directory", () => {
    const path = adminSocketPath(long, "/run/user/1000");
    expect(path).toMatch(/^\/run\/user\/1000\/atoll-[0-9a-f]{16}\.sock$/);
    expect(adminSocketPath(`${long}y`, "/run/user/1000")).not.toBe(path);
    expect(adminSocketPath(long, "/run/user/1000")).toBe(path);
  });

  test.each([undefined, "", "run", `/run/${"x".repeat(100)}`])(
    "of a long path without a usable runtime directory (%s) cannot be",
    (runtime) => {
      expect(() => adminSocketPath(long, runtime)).toThrow("too long for its admin socket");
    },
  );
});

describe("the machine's clock", () => {
  const now = Date.parse("2026-11-21T00:00:00Z");
  const minute = 60_000;

  test("is fine when it is not far behind the newest write", () => {
    expect(clockProblem(now, 0)).toBeUndefined();
    expect(clockProblem(now, now + 4 * minute)).toBeUndefined();
  });

  test("that is behind the newest write is told in one sentence", () => {
    expect(clockProblem(now, now + 6 * minute)).toContain(
      "newest write here is of 2026-11-21T00:06",
    );
  });

  test("that was never set is told", () => {
    expect(clockProblem(0, 0)).toContain("1970-01-01T00:00:00.000Z, which cannot be");
  });
});

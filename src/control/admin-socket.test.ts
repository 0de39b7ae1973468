import { describe, expect, test } from "vitest";
import { adminSocketPath } from "./admin-socket.ts";

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

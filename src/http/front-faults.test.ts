import { expect, test } from "vitest";
import { cannotListen } from "./front-faults.ts";

test.each([
  ["127.0.0.1", 9000, "127.0.0.1:9000", false],
  ["::", 1024, "[::]:1024", false],
  ["0.0.0.0", 0, "0.0.0.0:0", false],
  ["0.0.0.0", 443, "0.0.0.0:443", true],
])("says what may keep it from %s, port %i", (host, port, place, needsRight) => {
  const { kind, message, hint } = cannotListen({ host, port });
  expect({ kind, message }).toEqual({ kind: "unreachable", message: `cannot listen on ${place}` });
  expect(hint).toContain("Another program may hold the port");
  expect(hint?.includes("CAP_NET_BIND_SERVICE")).toBe(needsRight);
});

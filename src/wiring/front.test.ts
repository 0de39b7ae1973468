import { describe, expect, test } from "vitest";
import { hostToListen } from "./front.ts";

describe("every address of a machine", () => {
  test.each([
    ["::", true, "::"],
    ["::", false, "0.0.0.0"],
    ["0.0.0.0", true, "0.0.0.0"],
    ["::1", false, "::1"],
    ["localhost", false, "localhost"],
  ])("%s with IPv6 %s is listened to as %s", (host, hasIpv6, expected) => {
    expect(hostToListen(host, () => hasIpv6)).toBe(expected);
  });
});

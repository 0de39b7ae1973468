import { afterEach, describe, expect, test, vi } from "vitest";
import { createMemoryLog } from "../../test/sim/memory-log.ts";
import type { Settings } from "../config.ts";
import { createNodeDisk } from "../ports/node-disk.ts";
import { systemClock } from "../ports/system-clock.ts";
import type { SitePorts } from "../storage/site-ports.ts";
import { hostToListen, startFront } from "./front.ts";

afterEach(() => {
  vi.doUnmock("uWebSockets.js");
});

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

describe("the engine", () => {
  /** Which engine serves where this one was asked for, and what is said of it. */
  async function served(engine: Settings["engine"]): Promise<[string, string[]]> {
    const log = createMemoryLog();
    const settings = { engine, listen: { host: "127.0.0.1", port: 0 } } as Settings;
    const ports = { clock: systemClock, disk: createNodeDisk(), log } as unknown as SitePorts;
    const front = await startFront(settings, ports, undefined, () => undefined);
    await front.close(0);
    return [front.engine, log.lines.map(({ message }) => message)];
  }

  test("is the one that was asked for", async () => {
    expect(await served("node")).toEqual(["node", []]);
    expect(await served("uws")).toEqual(["uws", []]);
  });

  test("is said to be node where uws does not load: there is no binary for every Node", async () => {
    vi.doMock("uWebSockets.js", () => {
      throw new Error("no binary");
    });
    expect(await served("uws")).toEqual(["node", ["serving with the node engine instead"]]);
  });
});

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AdminClient } from "../admin-client.ts";
import { runCommandLine } from "../cli.ts";
import type { Program } from "../command.ts";

let out: string[];

beforeEach(() => {
  out = [];
  vi.spyOn(console, "log").mockImplementation((text: string) => void out.push(text));
});

afterEach(() => {
  vi.restoreAllMocks();
});

const JUMPED = {
  ...{ state: "jumped", witness: "peers", ahead_seconds: 61 },
  since: "2026-11-20T21:00:00.000Z",
};

test.each([
  ["clock show", "GET clock", { state: "trusted" }, "The clock is believed."],
  [
    "clock show",
    "GET clock",
    JUMPED,
    "Since 2026-11-20T21:00:00.000Z writes wait: the clock is 61 s ahead. It is ahead of the clocks of most sites.\nSet it right, or say that it is: atoll clock accept",
  ],
  ["clock accept", "POST clock/accept", { accepted: false }, "The clock was believed already."],
  [
    "clock accept",
    "POST clock/accept",
    { accepted: true },
    "The clock is believed as it is; writes go on.",
  ],
])("atoll %s asks %s and tells of %j", async (typed, question, body, said) => {
  const asked: string[] = [];
  const client: AdminClient = {
    call: async (method, path) => {
      asked.push(`${method} ${path}`);
      return { status: 200, body };
    },
    close: async () => undefined,
  };
  const program = { version: "1", settingFlags: [], runningServer: async () => client };
  expect(await runCommandLine(program as unknown as Program, typed.split(" "))).toBe(0);
  expect([asked, out]).toEqual([[question], [said]]);
});

test.each([
  [
    { operations: 0, clock: "2026-11-22T10:00:00.000Z" },
    "Nothing was written ahead of the clock, which says 2026-11-22T10:00:00.000Z.\nIf that is not the time, set it right first.",
  ],
  [
    { operations: 3, clock: "2026-11-22T10:00:00.000Z", latest: "2200-01-01T00:00:00.000Z" },
    "3 operations up to 2200-01-01T00:00:00.000Z were withdrawn, and issued again with the time of now.\nOther sites get them once the server runs.",
  ],
])("atoll clock reissue tells of %j", async (report, said) => {
  const program = { version: "1", settingFlags: [], reissueAhead: async () => report };
  expect(await runCommandLine(program as unknown as Program, ["clock", "reissue"])).toBe(0);
  expect(out).toEqual([said]);
});

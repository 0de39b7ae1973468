import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { StorageFault } from "../../core/faults.ts";
import type { AdminClient } from "../admin-client.ts";
import { runCommandLine } from "../cli.ts";
import type { Program } from "../command.ts";

const PARIS = {
  ...{ site: "9f9f9f9f9f9f9f9f", state: "catching-up", operations_behind: 14, bytes_behind: 4096 },
  ...{ seconds_behind: 1.2, eta_seconds: 3, operations_ahead: 0, clock_skew_ms: -4 },
  buckets: { photos: { operations_behind: 12, bytes_behind: 4000 } },
  last_error: { at: "2026-11-20T21:00:00.000Z", message: "refused\u001b[2J by\nZürich" },
};
const IN_SYNC = { ...PARIS, state: "in-sync", operations_behind: 0, buckets: {}, last_error: null };

/** Types a command at a server that gives one answer after the other, and is gone then. */
async function type(
  typed: string,
  answers: ReadonlyArray<Record<string, unknown>>,
  bootstrap: Record<string, unknown> = { state: "none" },
) {
  const left = [...answers];
  const client: AdminClient = {
    call: async (_method, name) => {
      if (name === "repl-bootstrap") return { status: 200, body: bootstrap };
      const body = left.shift();
      if (body === undefined) throw new StorageFault("unreachable", "the server has gone");
      return { status: 200, body };
    },
    close: async () => undefined,
  };
  const program = {
    version: "0.1.0",
    settingFlags: [],
    runningServer: async () => client,
  } as unknown as Program;
  return runCommandLine(program, typed.split(" "));
}

describe("atoll repl-status", () => {
  let out: string[];

  beforeEach(() => {
    out = [];
    vi.spyOn(console, "log").mockImplementation((text: string) => void out.push(text));
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  });

  afterEach(() => {
    vi.restoreAllMocks();
  });

  test("shows every peer, the buckets that wait, and what went wrong", async () => {
    const quarantined = { abab: { ahead_seconds: 61 } };
    const clock = { state: "jumped", ahead_seconds: 61 };
    const status = { peers: { paris: PARIS, oslo: { state: "connecting" } }, quarantined, clock };
    expect(await type("repl-status", [{ ...status, conflicts: 2, parked: 0 }])).toBe(0);
    expect(out.join("\n").split("\n")).toEqual([
      "PEER   STATE        BEHIND  BYTES  SECONDS  ETA  AHEAD  SKEW MS",
      "paris  catching-up  14      4096   1.2      3    0      -4",
      "oslo   connecting   -       -      -        -    -      -",
      "",
      "PEER   BUCKET  BEHIND  BYTES  AHEAD  BYTES",
      "paris  photos  12      4000   0      0",
      "",
      "PEER   LAST ERROR                OVER SINCE",
      "paris  2026-11-20T21:00:00.000Z  -           refused\\u001b[2J by Zürich",
      "",
      "Writes wait: the clock is 61 s ahead (atoll clock show).",
      "Operations of origin abab are held back: their clock is 61 s ahead.",
      "conflicts: 2",
    ]);
  });

  test("says whose rows are taken over, and why they still wait", async () => {
    const oslo = { ...IN_SYNC, site: "0505050505050505", state: "needs-bootstrap" };
    const facts = { site: oslo.site, rows: 40, rows_total: 90, bytes: 335_948_246 };
    const failure = "bytes of some operations are not here yet\u001b[2J";
    const states = [
      { ...facts, state: "running" },
      { ...facts, state: "running", seconds_left: 600 },
      { ...facts, state: "failed", failure },
      { ...facts, state: "done" },
    ];
    for (const state of states) await type("repl-status", [{ peers: { oslo } }], state);
    // What failed before all agreed is nothing to look at.
    await type("repl-status", [{ peers: { paris: IN_SYNC } }], { ...facts, state: "failed" });
    expect(out.map((text) => text.split("\n\n").slice(1))).toEqual([
      ["Rows of oslo are taken over: 40 of 90, 335948246 bytes."],
      ["Rows of oslo are taken over: 40 of 90, 335948246 bytes, about 600 s left."],
      [
        "Rows of oslo wait to be taken over, and are asked for again: " +
          "bytes of some operations are not here yet\\u001b[2J",
      ],
      [],
      [],
    ]);
    await type("repl-status", [{ peers: { paris: IN_SYNC } }], { state: "none", left_out: 2 });
    expect(out.at(-1)).toContain("Rows that were left out, for their bytes are damaged: 2");
    await type("repl-status --json", [{ peers: { oslo } }], facts);
    await type("repl-status --json", [{ peers: { oslo } }], { ...facts, state: "running" });
    expect(out.slice(-2).map((line) => JSON.parse(line).bootstrap)).toEqual([
      undefined,
      { ...facts, state: "running" },
    ]);
  });

  test("says when there are no peers", async () => {
    expect(await type("repl-status", [{ peers: {}, conflicts: 0 }])).toBe(0);
    expect(out).toEqual(["This site has no peers."]);
  });

  test("looks again until all are in sync, with a line of JSON for each look", async () => {
    const looks = [{ peers: { paris: PARIS } }, { peers: { paris: IN_SYNC } }, { peers: {} }];
    expect(await type("repl-status --until-in-sync --every 0.001 --json", looks)).toBe(0);
    expect(out.map((line) => JSON.parse(line))).toEqual(looks.slice(0, 2));
  });

  test("watches until it is stopped, and says when the server has gone", async () => {
    const looks = [{ peers: { paris: IN_SYNC } }, { peers: { paris: IN_SYNC } }];
    expect(await type("repl-status --watch --every 0.001", looks)).toBe(4);
    expect(out).toHaveLength(2);
  });

  test.each(["0", "-1", "soon", "1e3"])("refuses to look every %s", async (every) => {
    expect(await type(`repl-status --watch --every=${every}`, [])).toBe(2);
  });
});

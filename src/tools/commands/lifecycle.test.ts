import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { AdminClient } from "../admin-client.ts";
import { runCommandLine } from "../cli.ts";
import type { Program } from "../command.ts";

const COUNTS = { examined: 9, expired: 2, removed: 1, uploads_aborted: 0, kept: 3 };

/** Types a command at a server that gives this answer; tells what was asked and what was said. */
async function type(typed: string, body: Record<string, unknown>) {
  const asked: unknown[] = [];
  const client: AdminClient = {
    call: async (method, path, sent) => {
      asked.push({ method, path, body: sent });
      return { status: 200, body };
    },
    close: async () => undefined,
  };
  const program = {
    version: "0.1.0",
    settingFlags: [{ flag: "data", placeholder: "DIR", description: "Data directory." }],
    administration: async () => client,
  } as unknown as Program;
  const status = await runCommandLine(program, typed.split(" "));
  return { status, asked };
}

describe("the commands of lifecycles", () => {
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

  test("show a plan as a table, keys with whatever they hold", async () => {
    const action = {
      due: "2026-01-02T00:00:00.000Z",
      action: "expire",
      key: "a\nb",
      rule: "\u001b[2J",
    };
    const actions = [
      { ...action, version: "null" },
      { ...action, action: "abort-upload", upload: "0123" },
    ];
    const plan = { bucket: "photos", due_now: 1, later: 1, actions };
    const { status, asked } = await type("lifecycle plan photos --limit 2", plan);
    expect(status).toBe(0);
    const body = { bucket: "photos", limit: 2 };
    expect(asked).toEqual([{ method: "POST", path: "lifecycle/plan", body }]);
    expect(out.join("\n")).toBe(
      [
        "DUE                       ACTION        KEY     VERSION  RULE",
        '2026-01-02T00:00:00.000Z  expire        "a\\nb"  null     "\\u001b[2J"',
        '2026-01-02T00:00:00.000Z  abort-upload  "a\\nb"  0123     "\\u001b[2J"',
        "",
        "1 due now, 1 later.",
      ].join("\n"),
    );
  });

  test("refuse a limit that is no number", async () => {
    const { status, asked } = await type("lifecycle plan photos --limit many", {});
    expect([status, asked]).toEqual([2, []]);
  });

  test.each([
    ["lifecycle run", {}],
    ["lifecycle run photos", { bucket: "photos" }],
  ])("%s tells what was done", async (typed, body) => {
    const { status, asked } = await type(typed, COUNTS);
    expect([status, asked]).toEqual([0, [{ method: "POST", path: "lifecycle/run", body }]]);
    expect(out.join("\n")).toMatch(/^expired +2$/m);
    expect(out.join("\n")).toMatch(/^kept +3$/m);
  });

  test("tell what has been done since the start", async () => {
    const { asked } = await type("lifecycle status", { running: true, passes: 4, ...COUNTS });
    expect(asked).toEqual([{ method: "GET", path: "lifecycle", body: undefined }]);
    expect(out.join("\n")).toMatch(/^last walk +none yet$/m);
    expect(out.join("\n")).toMatch(/^removed +1$/m);
  });

  test("take no more than one bucket", async () => {
    const { status, asked } = await type("lifecycle run photos more", COUNTS);
    expect([status, asked]).toEqual([2, []]);
  });
});

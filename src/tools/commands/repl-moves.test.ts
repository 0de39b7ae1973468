import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AdminClient } from "../admin-client.ts";
import { runCommandLine } from "../cli.ts";
import type { Program } from "../command.ts";

let out: string[];
let calls: unknown[];

beforeEach(() => {
  out = [];
  calls = [];
  vi.spyOn(console, "log").mockImplementation((text: string) => void out.push(text));
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  vi.spyOn(process.stderr, "write").mockImplementation(() => true);
});

afterEach(() => {
  vi.restoreAllMocks();
});

function type(typed: string, peers: ReadonlyArray<Record<string, unknown>>) {
  const client: AdminClient = {
    call: async (method, path, body) => {
      calls.push([method, path, body]);
      return { status: 200, body: { schema_version: 1, peers } };
    },
    close: async () => undefined,
  };
  const clients = { runningServer: async () => client, administration: async () => client };
  const program = { version: "0.1.0", settingFlags: [], ...clients };
  return runCommandLine(program as unknown as Program, typed.split(" "));
}

const PARIS = { site: "9f", name: "paris", operations: 12, bytes: 3456, parked: 0 };

test("a pull shows what came from each peer, and fails when not everything did", async () => {
  expect(await type("repl-pull", [PARIS])).toBe(0);
  const rome = { ...PARIS, name: "rome", problem: "refused\u001b[2J" };
  expect(await type("repl-pull --peer rome", [rome])).toBe(1);
  expect(calls).toEqual([
    ["POST", "repl-pull", {}],
    ["POST", "repl-pull", { peer: "rome" }],
  ]);
  expect(out.join("\n").split("\n")).toEqual([
    "PEER   OPERATIONS  BYTES  PARKED  OUTCOME",
    "paris  12          3456   0       equal",
    "PEER  OPERATIONS  BYTES  PARKED  OUTCOME",
    "rome  12          3456   0       refused?[2J",
  ]);
});

test("a push shows who is behind, waits as long as was said, and fails when somebody is", async () => {
  expect(await type("repl-push", [{ name: "paris", operations_behind: 0 }])).toBe(0);
  expect(await type("repl-push --wait 0.5 --json", [{ operations_behind: 3 }])).toBe(1);
  expect(calls).toEqual([
    ["POST", "repl-push", { wait_seconds: 60 }],
    ["POST", "repl-push", { wait_seconds: 0.5 }],
  ]);
  expect(JSON.parse(out.at(-1) ?? "")).toMatchObject({ schema_version: 1 });
});

test("without peers there is nothing to do; a wait that is none is refused unsent", async () => {
  expect(await type("repl-pull", [])).toBe(0);
  expect(out).toEqual(["This site has no peers."]);
  for (const wait of ["soon", "-1", "4000"]) {
    expect(await type(`repl-push --wait=${wait}`, [])).toBe(2);
  }
  expect(calls.length).toBe(1);
});

test("a token is asked for as long as was said; hours that are none are refused unsent", async () => {
  expect(await type("repl-invite", [])).toBe(0);
  expect(await type("repl-invite --hours 0.5 --address https://a:1", [])).toBe(0);
  const none = { addresses: [], insecure: false };
  const wishes = [
    { ...none, hours: 24 },
    { ...none, hours: 0.5, addresses: ["https://a:1"] },
  ];
  expect(calls).toEqual(wishes.map((wish) => ["POST", "sites/invite", wish]));
  for (const hours of ["soon", "0", "169", "-1"]) {
    expect(await type(`repl-invite --hours=${hours}`, [])).toBe(2);
  }
  expect(calls.length).toBe(2);
});

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AdminClient } from "../admin-client.ts";
import { runCommandLine } from "../cli.ts";
import type { Program } from "../command.ts";

let out: string[];
let err: string[];
let calls: unknown[];

beforeEach(() => {
  [out, err, calls] = [[], [], []];
  vi.spyOn(console, "log").mockImplementation((text: string) => void out.push(text));
  vi.spyOn(console, "error").mockImplementation((text: string) => void err.push(text));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => err.push(String(text)) > 0);
});

afterEach(() => {
  vi.restoreAllMocks();
});

type Reply = { readonly status: number; readonly body: Readonly<Record<string, unknown>> };

/** Somebody presses Ctrl-C, and no answer comes. */
const CTRL_C = "Ctrl-C";

function type(words: readonly string[], answers: ReadonlyArray<Reply | typeof CTRL_C>) {
  const left = [...answers];
  const client: AdminClient = {
    call: async (method, path, body) => {
      calls.push([method, path, body]);
      const answer = left.shift();
      if (answer !== CTRL_C) {
        return answer ?? { status: 503, body: { error: { message: "no more answers" } } };
      }
      process.emit("SIGINT");
      return new Promise<never>(() => undefined);
    },
    close: async () => undefined,
  };
  const program = { version: "0.1.0", settingFlags: [], runningServer: async () => client };
  return runCommandLine(program as unknown as Program, words);
}

const ok = (body: Reply["body"]): Reply => ({ status: 200, body });
const DONE = ok({
  ...{ schema_version: 1, state: "done", rows: 7, bytes: 90, removed: 1, skipped: 0 },
  elapsed_seconds: 3,
});

test("a bootstrap is followed to its end, interruptions are told once, and what was left out counts", async () => {
  const running = ok({ state: "running", rows: 1, rows_total: 7, seconds_left: 6 });
  const failed = ok({ state: "failed", rows: 1, rows_total: 7, failure: "no answer" });
  const begun: Reply = { status: 202, body: { state: "running" } };
  const words = ["repl-bootstrap", "--from", "berlin"];
  expect(await type(words, [begun, running, failed, failed, DONE])).toBe(0);
  expect(err.filter((line) => line.includes("no answer"))).toHaveLength(1);
  expect(out.join("\n")).toContain("removed here  1");
  expect(calls[0]).toEqual(["POST", "repl-bootstrap", { peer: "berlin" }]);
  const less = ok({ ...DONE.body, skipped: 2 });
  expect(await type(words, [begun, less])).toBe(3);
  expect(await type([...words, "--background"], [begun])).toBe(0);
});

test("rows that were left out are named at the end, as far as the server names them", async () => {
  const row = { what: "object", bucket: "photos", key: "a\u001b[2J.jpg", detail: "null" };
  const owed = { skipped: 3, left_out: 3, left_out_rows: [row] };
  const begun: Reply = { status: 202, body: { state: "running" } };
  const words = ["repl-bootstrap", "--from", "berlin"];
  expect(await type(words, [begun, ok({ ...DONE.body, ...owed })])).toBe(3);
  const lines = out.join("\n").split("\n");
  expect(lines.slice(-2)).toEqual(['object "photos/a\\u001b[2J.jpg" (null)', "and 2 more"]);
});

test("a bootstrap that nobody lets this site do ends with the reason", async () => {
  const begun: Reply = { status: 202, body: { state: "running" } };
  const refused = ok({ state: "refused", rows: 0, failure: "That site was removed. Join again." });
  expect(await type(["repl-bootstrap", "--from", "berlin"], [begun, refused])).toBe(2);
  expect(err.at(-1)).toBe("atoll repl-bootstrap: That site was removed. Join again.");
});

test("one of peer, export and import is said, directories in full", async () => {
  for (const words of [
    ["repl-bootstrap"],
    ["repl-bootstrap", "--from", "a", "--import", "/b"],
    ["repl-bootstrap", "--export", "box"],
    ["repl-bootstrap", "--export", "/box", "--background"],
    ["repl-bootstrap", "--import", "/box", "--background"],
  ]) {
    expect(await type(words, []), words.join(" ")).toBe(2);
  }
  expect(calls).toEqual([]);
  const exported = ok({ rows: 3, bytes: 4, skipped: 0, directory: "/media/box" });
  expect(await type(["repl-bootstrap", "--export", "/media/box"], [exported])).toBe(0);
  expect(await type(["repl-bootstrap", "--import", "/media/box"], [DONE])).toBe(0);
  expect(calls).toEqual([
    ["POST", "repl-bootstrap", { export: "/media/box" }],
    ["POST", "repl-bootstrap", { import: "/media/box" }],
  ]);
});

test("Ctrl-C ends a command and not what the server does, and says how it goes on", async () => {
  const listeners = process.listenerCount("SIGINT");
  const begun: Reply = { status: 202, body: { state: "running" } };
  const running = ok({ state: "running", rows: 1, rows_total: 7, seconds_left: 6 });
  expect(await type(["repl-bootstrap", "--from", "berlin"], [begun, running, CTRL_C])).toBe(1);
  expect(err.join("\n")).toContain("The server goes on by itself");
  expect(await type(["repl-bootstrap", "--import", "/media/box"], [CTRL_C])).toBe(1);
  expect(err.slice(-2)[0]).toContain("`atoll repl-status` tells when it is done");
  expect(await type(["repl-bootstrap", "--export", "/media/box"], [CTRL_C])).toBe(1);
  expect(err.slice(-2)[0]).toContain("DIR is whole when it has archive.json");
  const first = ok({ rows: 5, differences: [], next: "Dphotos" });
  const sites = ok({ sites: SITES.map((site) => ({ ...site, state: "active" })) });
  calls = [];
  // Neither of the other sites is asked any more.
  expect(await type(["repl-verify", "--deep"], [sites, first, CTRL_C])).toBe(1);
  expect(err.join("\n")).toContain("Go on with: atoll repl-verify --peer bb --deep --continue ");
  expect(err.at(-1)).toBe("atoll repl-verify: it was interrupted.");
  expect(calls).toHaveLength(3);
  expect(process.listenerCount("SIGINT")).toBe(listeners);
});

const SITES = [
  { id: "aa", name: "berlin", self: true, state: "active" },
  { id: "bb", name: "paris", self: false, state: "active" },
  { id: "cc", name: "oslo", self: false, state: "removed" },
];

const FOUND = {
  ...{ what: "object", bucket: "photos", key: "a\u001b[2J", detail: "null" },
  ...{ kind: "damaged", repaired: true },
};

test("a comparison goes on until there is nothing behind, and ends with 3 when differences are left", async () => {
  const steps = [
    ok({ rows: 5, differences: [FOUND], next: "Dphotos\0b" }),
    ok({ rows: 6, differences: [{ ...FOUND, kind: "missing-there", repaired: false }] }),
    ok({ sites: SITES }),
  ];
  const words = ["repl-verify", "--peer", "paris", "--repair"];
  expect(await type(words, steps)).toBe(3);
  const wish = { peer: "paris", repair: true, deep: true };
  expect(calls).toEqual([
    ["POST", "repl-verify", { ...wish, from: "" }],
    ["POST", "repl-verify", { ...wish, from: "Dphotos\0b" }],
    ["GET", "sites", undefined],
  ]);
  expect(out.slice(-3)).toEqual([
    "11 rows compared with 1 peer: 2 differences, 1 mended.",
    "1 difference is mended at paris. There:",
    "  atoll repl-verify --peer berlin --repair",
  ]);
  expect(out[0]).toBe('object "photos/a\\u001b[2J" (null): damaged here, mended');
  expect(await type(words, [ok({ rows: 5, differences: [FOUND] })])).toBe(0);
});

test("a position that was not copied rightly is none: nothing would be compared", async () => {
  for (const text of ["", "!!!", "zzzzzzzz"]) {
    const words = ["repl-verify", "--peer", "paris", "--continue", text];
    expect(await type(words, []), text).toBe(2);
  }
  expect(err.at(-1)).toContain("as it was printed");
  expect(calls).toEqual([]);
});

test("a bucket that is nowhere is not said to be without differences", async () => {
  const words = ["repl-verify", "--bucket", "fotos"];
  expect(await type(words, [ok({ sites: SITES }), ok({ rows: 0, differences: [] })])).toBe(2);
  expect(err.at(-1)).toContain("There is no bucket fotos");
  expect(out).toEqual([]);
  const there = { ...FOUND, kind: "missing-here" };
  expect(await type(words, [ok({ sites: SITES }), ok({ rows: 0, differences: [there] })])).toBe(0);
});

test("bytes that may stand elsewhere are told, and are no difference", async () => {
  const remote = { ...FOUND, key: "film", kind: "remote", repaired: false };
  const steps = [ok({ rows: 2, differences: [remote, { ...remote, key: "b", repaired: true }] })];
  expect(await type(["repl-verify", "--peer", "paris", "--deep"], steps)).toBe(0);
  expect(out).toEqual([
    'object "photos/film" (null): its bytes stand at other sites only, as its bucket is metadata-first',
    'object "photos/b" (null): its bytes stand at other sites only, as its bucket is metadata-first, fetched',
    "2 rows compared with 1 peer: no difference, and bytes of 1 stand at other sites only.",
  ]);
});

test("every active peer is compared, a line of JSON for each difference", async () => {
  const answers = [ok({ sites: SITES }), ok({ rows: 5, differences: [FOUND] })];
  expect(await type(["repl-verify", "--json"], answers)).toBe(0);
  const lines = out.map((line) => JSON.parse(line));
  expect(lines[0]).toEqual({ schema_version: 1, peer: "bb", ...FOUND });
  expect(lines[1]).toEqual({
    ...{ schema_version: 1, peers: 1, rows: 5, remote: 0, differences: 1, repaired: 1, left: 0 },
    ...{ mend_at: [], not_compared: [] },
  });
});

test("a peer that is away does not keep the others from being compared, and is told", async () => {
  const four = ok({ sites: [...SITES, { id: "dd", name: "rome", self: false, state: "active" }] });
  const away: Reply = { status: 500, body: { error: { message: "paris cannot be reached" } } };
  const same = ok({ rows: 5, differences: [] });
  expect(await type(["repl-verify"], [four, away, same])).toBe(1);
  expect(err).toEqual(["paris cannot be reached."]);
  expect(out).toEqual(["5 rows compared with 1 peer: no difference."]);
  expect(await type(["repl-verify", "--json"], [four, away, same])).toBe(1);
  expect(JSON.parse(out.at(-1) ?? "")).toMatchObject({ peers: 1, not_compared: ["bb"] });
  const left = ok({ rows: 5, differences: [{ ...FOUND, repaired: false }] });
  expect(await type(["repl-verify"], [four, left, away, four])).toBe(3);
  expect(calls.slice(-3)).toMatchObject([
    ["POST", "repl-verify", { peer: "bb" }],
    ["POST", "repl-verify", { peer: "dd" }],
    ["GET", "sites", undefined],
  ]);
});

test("what is left is told with the command that mends it, and the site where that is typed", async () => {
  const all = ["missing-here", "missing-there", "differs", "differs", "unsettled", "damaged"];
  const differences = all.map((kind) => ({ ...FOUND, kind, repaired: false }));
  const words = ["repl-verify", "--bucket", "photos"];
  const answers = () => [ok({ sites: SITES }), ok({ rows: 5, differences }), ok({ sites: SITES })];
  expect(await type(words, answers())).toBe(3);
  expect(out.slice(-4)).toEqual([
    "4 differences are mended at berlin, which is this site. There:",
    "  atoll repl-verify --peer paris --bucket photos --repair",
    "1 difference is mended at paris. There:",
    "  atoll repl-verify --peer berlin --bucket photos --repair",
  ]);
  expect(await type([...words, "--repair", "--json"], answers())).toBe(3);
  const { mend_at: mends, left } = JSON.parse(out.at(-1) ?? "");
  const command = "atoll repl-verify --peer berlin --bucket photos --repair";
  expect(left).toBe(6);
  // Bytes that no site could give are mended by no command.
  expect(mends).toEqual([{ site: "paris", is_here: false, differences: 3, command }]);
});

test("an interrupted comparison says how to go on, and goes on there", async () => {
  const first = ok({ rows: 5, differences: [], next: "Dphotos\0ä" });
  const how = ["--bucket", "photos", "--repair"];
  expect(await type(["repl-verify", "--peer", "bb", ...how], [first])).toBe(1);
  const hint = err.find((line) => line.includes("--continue"));
  expect(hint).toContain("atoll repl-verify --peer bb --bucket photos --repair --continue ");
  const position = hint?.split("--continue ")[1] ?? "";
  calls = [];
  const words = ["repl-verify", "--peer", "bb", "--continue", position];
  expect(await type(words, [ok({ rows: 1, differences: [] })])).toBe(0);
  expect(calls[0]).toMatchObject(["POST", "repl-verify", { from: "Dphotos\0ä" }]);
});

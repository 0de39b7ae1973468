import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { StorageFault } from "../core/faults.ts";
import { UsageError } from "../core/usage-error.ts";
import type { AdminReply } from "./admin-client.ts";
import { COMMANDS, runCommandLine } from "./cli.ts";
import type { CommandInput, Program } from "./command.ts";

type Asked = { method: string; path: string; body: unknown };

/** A program whose administration answers the same thing to everything. */
function programWith(reply: AdminReply, changes: Partial<Program> = {}) {
  const asked: Asked[] = [];
  const inputs: CommandInput[] = [];
  let closed = 0;
  const client = {
    call: async (method: string, path: string, body?: unknown) => {
      asked.push({ method, path, body });
      return reply;
    },
    close: async () => void closed++,
  };
  const program: Program = {
    version: "0.1.0",
    settingFlags: [
      { flag: "data", placeholder: "DIR", description: "Data directory." },
      {
        ...{ flag: "listen", placeholder: "HOST:PORT", fallback: "127.0.0.1:9000" },
        description: "Address of the `S3` service.",
      },
    ],
    serve: async (input) => {
      inputs.push(input);
      return 0;
    },
    showSettings: async () => [{ name: "region", value: "us-east-1", source: "default" }],
    administration: async (input) => {
      inputs.push(input);
      return client;
    },
    runningServer: async () => client,
    readFile: async () => Buffer.from(JSON.stringify(POLICY)),
    rebuildIndex: async () => ({ operations: 7 }),
    reissueAhead: async () => ({ operations: 0 }),
    ...changes,
  };
  return { program, asked, inputs, closed: () => closed };
}

const POLICY = { Version: "2012-10-17" };

const KEY = {
  access_key: "ATOLA",
  secret_key: "canary-secret",
  name: "backup",
  state: "active",
  grants: ["read on photos"],
  created: "2026-11-20T21:00:00.000Z",
};

describe("the command line", () => {
  let out: string[];
  let err: string[];

  beforeEach(() => {
    out = [];
    err = [];
    vi.spyOn(console, "log").mockImplementation((text: string) => void out.push(text));
    vi.spyOn(console, "error").mockImplementation((text: string) => void err.push(text));
    vi.spyOn(process.stdout, "write").mockImplementation((text, done?: unknown) => {
      if (text !== "") out.push(String(text));
      if (typeof done === "function") done();
      return true;
    });
    vi.spyOn(process.stderr, "write").mockImplementation((text) => err.push(String(text)) > 0);
  });

  afterEach(() => {
    vi.restoreAllMocks();
  });

  test("gives settings to serve as they were typed", async () => {
    const { program, inputs } = programWith({ status: 200, body: {} });
    const typed = ["serve", "--listen", ":1", "--data=/d", "--config", "/c.json"];
    expect(await runCommandLine(program, typed)).toBe(0);
    expect(inputs[0]?.values).toEqual(
      new Map([
        ["data", ["/d"]],
        ["listen", [":1"]],
        ["config", ["/c.json"]],
      ]),
    );
  });

  test("creates a key with several grants and buckets", async () => {
    const { program, asked, closed } = programWith({ status: 201, body: KEY });
    const typed = "keys create --grant read --grant write --bucket photos --bucket b2 --name x";
    expect(await runCommandLine(program, typed.split(" "))).toBe(0);
    expect(asked).toEqual([
      {
        method: "POST",
        path: "keys",
        body: { grants: ["read", "write"], buckets: ["photos", "b2"], name: "x" },
      },
    ]);
    expect(closed()).toBe(1);
    expect(out.join("\n")).toMatch(
      /secret key {2}canary-secret\n\nThe secret key is not shown again/,
    );
  });

  test("prints JSON for programs", async () => {
    const { program } = programWith({ status: 200, body: { schema_version: 1, keys: [KEY] } });
    expect(await runCommandLine(program, ["keys", "list", "--json"])).toBe(0);
    expect(JSON.parse(out.join(""))).toEqual({ schema_version: 1, keys: [KEY] });
  });

  test("prints aligned tables for people", async () => {
    const { program } = programWith({ status: 200, body: { keys: [KEY] } });
    await runCommandLine(program, ["keys", "list"]);
    expect(out.join("\n")).toBe(
      [
        "ACCESS KEY  STATE   GRANTS          CREATED                   NAME",
        "ATOLA       active  read on photos  2026-11-20T21:00:00.000Z  backup",
      ].join("\n"),
    );
  });

  test.each([
    [["keys", "show", "a/b"], { method: "GET", path: "keys/a%2Fb", body: undefined }],
    [["keys", "disable", "A1"], { method: "POST", path: "keys/A1/disable", body: undefined }],
    [["keys", "enable", "A1"], { method: "POST", path: "keys/A1/enable", body: undefined }],
    [["keys", "delete", "A1"], { method: "DELETE", path: "keys/A1", body: undefined }],
    [["keys", "root", "--show"], { method: "GET", path: "root-key", body: undefined }],
    [["keys", "root", "--rotate"], { method: "POST", path: "root-key/rotate", body: undefined }],
    [["status"], { method: "GET", path: "status", body: undefined }],
    [
      ["keys", "policy", "put", "A1", "p q", "file"],
      { method: "PUT", path: "keys/A1/policies/p%20q", body: { policy: POLICY } },
    ],
    [
      ["keys", "policy", "get", "A1", "p"],
      { method: "GET", path: "keys/A1/policies/p", body: undefined },
    ],
    [
      ["keys", "policy", "list", "A1"],
      { method: "GET", path: "keys/A1/policies", body: undefined },
    ],
    [
      ["keys", "policy", "delete", "A1", "p"],
      { method: "DELETE", path: "keys/A1/policies/p", body: undefined },
    ],
    [
      ["policy", "validate", "file", "--bucket", "photos"],
      { method: "POST", path: "policy/validate", body: { policy: POLICY, bucket: "photos" } },
    ],
    [
      "policy test --key A1 --action s3:GetObject --bucket b --object k --with a=b=c --with a=d".split(
        " ",
      ),
      {
        ...{ method: "POST", path: "policy/test" },
        body: {
          ...{ action: "s3:GetObject", access_key: "A1", bucket: "b", key: "k" },
          values: { a: ["b=c", "d"] },
        },
      },
    ],
    [
      ["policy", "test", "--anonymous", "--action", "s3:ListBucket"],
      { method: "POST", path: "policy/test", body: { action: "s3:ListBucket", values: {} } },
    ],
  ])("%j asks the administration", async (typed, expected) => {
    const { program, asked } = programWith({ status: 200, body: { ...KEY, policy: POLICY } });
    expect(await runCommandLine(program, typed)).toBe(0);
    expect(asked).toEqual([expected]);
  });

  test.each([
    [["keys", "crate"], "Did you mean create?"],
    [["serve", "--lisen", ":1"], "Did you mean --listen?"],
    [["serve", "now"], "too many arguments"],
    [["keys", "show"], "missing required argument"],
    [["keys", "create"], "needs at least one --grant"],
    [["keys", "root"], "--show or --rotate"],
    [["keys", "root", "--show", "--rotate"], "--show or --rotate"],
    [["nonsense"], "unknown command"],
    [["keys", "policy", "put", "A1", "p"], "missing required argument"],
    [["policy", "test", "--action", "s3:GetObject"], "--key ID or --anonymous"],
    [["policy", "test", "--key", "A1", "--anonymous"], "--key ID or --anonymous"],
    [["policy", "test", "--anonymous"], "--action s3:GetObject"],
    [["policy", "test", "--anonymous", "--action", "s3:X", "--with", "y"], "NAME=VALUE"],
  ])("%j is wrong usage, said so, and exits with 2", async (typed, says) => {
    const { program, asked } = programWith({ status: 200, body: {} });
    expect(await runCommandLine(program, typed)).toBe(2);
    expect(err.join("\n")).toContain(says);
    expect(asked).toEqual([]);
  });

  test.each([
    ["no JSON", "{", "is not JSON"],
    ["a list", "[]", "holds no JSON object"],
    ["too long", `{"a":"${"x".repeat(20_480)}"}`, "more than the 20480 bytes"],
  ])("a policy file that is %s is wrong usage", async (_name, text, says) => {
    const readFile = async () => Buffer.from(text);
    const { program, asked } = programWith({ status: 200, body: {} }, { readFile });
    expect(await runCommandLine(program, ["policy", "validate", "p.json"])).toBe(2);
    expect(err.join("\n")).toContain(says);
    expect(asked).toEqual([]);
  });

  test("a policy file that is not there is wrong usage", async () => {
    const readFile = () => Promise.reject(new Error("ENOENT: no such file"));
    const { program } = programWith({ status: 200, body: {} }, { readFile });
    expect(await runCommandLine(program, ["policy", "validate", "p.json"])).toBe(2);
    expect(err.join("\n")).toContain("p.json cannot be read: ENOENT");
  });

  test("a decision is explained, and a policy that cannot be used fails", async () => {
    const statement = { policy: "mine", number: 2, sid: "Own", effect: "Deny" };
    const body = { allowed: false, reason: "explicit-deny", statement };
    const typed = ["policy", "test", "--anonymous", "--action", "s3:GetObject"];
    expect(await runCommandLine(programWith({ status: 200, body }).program, typed)).toBe(0);
    const refused = { valid: false, problem: "Invalid principal in policy" };
    const { program } = programWith({ status: 200, body: refused });
    expect(await runCommandLine(program, ["policy", "validate", "p.json"])).toBe(1);
    expect(out).toEqual([
      "Denied: a statement denies it.\nDeny in statement 2 (Own) of mine",
      "The policy cannot be used: Invalid principal in policy",
    ]);
  });

  test.each([
    [
      new UsageError("The setting listen cannot be.", "Like this: :9000"),
      2,
      "cannot be. Like this",
    ],
    [new StorageFault("locked", "in use by process 7", { hint: "Stop it." }), 4, "7. Stop it."],
    [new StorageFault("unreachable", "no server runs"), 4, "no server runs."],
    [new StorageFault("corrupt", "a segment is damaged"), 3, "is damaged."],
    [new StorageFault("io", "the disk failed"), 1, "the disk failed."],
    [new Error("oops"), 1, "oops."],
  ])("a failure (%s) exits with %i and one sentence", async (failure, exitCode, says) => {
    const { program } = programWith(
      { status: 200, body: {} },
      { runningServer: () => Promise.reject(failure) },
    );
    expect(await runCommandLine(program, ["status"])).toBe(exitCode);
    expect(err).toEqual([expect.stringContaining(says)]);
    expect(out).toEqual([]);
  });

  test.each([
    [409, 2],
    [404, 2],
    [503, 1],
    [500, 1],
  ])("an answer with status %i exits with %i and the server's words", async (status, exitCode) => {
    const { program } = programWith({ status, body: { error: { message: "No, because." } } });
    expect(await runCommandLine(program, ["keys", "list"])).toBe(exitCode);
    expect(err.join("\n")).toContain("No, because.");
  });

  test("shows settings, the version and a rebuild", async () => {
    const { program } = programWith({ status: 200, body: {} });
    expect(await runCommandLine(program, ["config", "show"])).toBe(0);
    expect(await runCommandLine(program, ["version"])).toBe(0);
    expect(await runCommandLine(program, ["rebuild-index"])).toBe(0);
    expect(out).toEqual([
      "SETTING  VALUE      SOURCE\nregion   us-east-1  default",
      "0.1.0",
      "operations  7",
    ]);
  });

  test.each([true, false])("shows nothing that a terminal would obey (JSON: %s)", async (json) => {
    const name = "\u001b]0;title\u0007\u009b31m";
    const { program } = programWith({ status: 200, body: { keys: [{ ...KEY, name }] } });
    expect(await runCommandLine(program, ["keys", "list", ...(json ? ["--json"] : [])])).toBe(0);
    expect(out.join("")).toMatch(/^[\n -~]+$/);
    expect(out.join("")).toContain("\\u001b]0;title");
  });

  test("helps with every command by an example that it understands", async () => {
    for (const command of COMMANDS) {
      out = [];
      const { program } = programWith({ status: 200, body: { ...KEY, policy: POLICY, rows: 1 } });
      expect(await runCommandLine(program, [...command.name.split(" "), "--help"])).toBe(0);
      const help = out.join("");
      expect(help).toContain(command.summary.slice(0, 20));
      expect(help).not.toContain("`");
      for (const example of command.examples) {
        expect(help).toContain(example);
        const typed = example.replace(/^([A-Z_]+=\S+ )*atoll /, "").split(" ");
        expect(await runCommandLine(program, typed)).toBe(0);
      }
    }
  });

  test.each(
    COMMANDS.filter(({ json }) => json).map(({ name, examples }) => [name, examples[0] ?? ""]),
  )("%s says the version of its JSON, server or not", async (_name, example) => {
    // Without a server there is nobody in between who would say it.
    const { program } = programWith({ status: 200, body: { ...KEY, policy: POLICY } });
    const typed = example.replace(/^([A-Z_]+=\S+ )*atoll /, "").split(" ");
    expect(await runCommandLine(program, [...typed, "--json"])).toBe(0);
    expect(JSON.parse(out.at(-1) ?? "")).toMatchObject({ schema_version: 1 });
  });

  test.each(
    COMMANDS.filter(({ name }) => name.startsWith("repl-")).map(
      ({ examples }) => examples[0] ?? "",
    ),
  )("%s needs a server, and says that none runs", async (example) => {
    const none = new StorageFault("unreachable", "no server runs on /srv/atoll");
    const { program, inputs } = programWith(
      { status: 200, body: KEY },
      { runningServer: () => Promise.reject(none) },
    );
    expect(await runCommandLine(program, example.split(" ").slice(1))).toBe(4);
    expect(err.join("")).toContain("no server runs on /srv/atoll");
    expect(inputs).toEqual([]);
  });

  test("help says what holds without a flag, and which help is meant", async () => {
    const { program } = programWith({ status: 200, body: KEY });
    expect(await runCommandLine(program, ["serve", "--help"])).toBe(0);
    expect(out.join("")).toMatch(/Address of the S3 service\.\s+Default:\s+127\.0\.0\.1:9000/);
    expect(await runCommandLine(program, ["keys", "show", "--nonsense"])).toBe(2);
    expect(err.join("")).toContain("Try: atoll keys show --help");
  });

  test("an argument that is empty is refused before anybody is asked", async () => {
    for (const words of [["repl-remove"], ["keys", "delete"], ["conflicts", "keep", "photos"]]) {
      const { program, inputs } = programWith({ status: 200, body: {} });
      expect(await runCommandLine(program, [...words, ""]), words.join(" ")).toBe(2);
      expect(inputs).toEqual([]);
    }
    expect(err.at(-1)).toBe(
      "atoll conflicts keep: An argument is empty. Try: atoll conflicts keep --help",
    );
  });

  test("a grant that is none is refused with those there are", async () => {
    const { program, asked } = programWith({ status: 200, body: KEY });
    expect(await runCommandLine(program, ["keys", "create", "--grant", "rwx"])).toBe(2);
    expect(err).toEqual([
      'atoll keys create: "rwx" is no grant. There are read, write, read-write, own, admin:stats and admin.',
    ]);
    expect(asked).toEqual([]);
  });

  test("says of every group of commands what it is for", async () => {
    const groups = COMMANDS.flatMap(({ name }) => {
      const words = name.split(" ");
      return words.slice(1).map((_, at) => words.slice(0, at + 1));
    });
    for (const group of groups) {
      out = [];
      const { program } = programWith({ status: 200, body: KEY });
      expect(await runCommandLine(program, [...group, "--help"])).toBe(0);
      expect(out.join(""), group.join(" ")).toMatch(/^Usage:.*\n\n(?!Options)/);
    }
  });
});

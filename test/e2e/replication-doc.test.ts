import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commandsOf, type DocCommand } from "../support/doc-commands.ts";
import { type Finished, runProgram } from "../support/run-program.ts";
import { freePort, MAIN } from "../support/server.ts";

const PAGE = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "docs", "REPLICATION.md");
const COMMANDS = commandsOf(PAGE);
const SITES = ["berlin", "paris", "oslo"] as const;
const TIMEOUT_MS = 240_000;

/** What only a person can stop is not begun by a test. */
const ENDLESS = /--watch\b/;

type Machine = {
  readonly port: number;
  readonly disks: string[];
  /** How its server was started. */
  typed: readonly string[];
  server?: ChildProcess;
};

describe("docs/REPLICATION.md", () => {
  const parent = mkdtempSync(join(tmpdir(), "atoll-replication-doc-"));
  const machines = new Map<string, Machine>();
  let token = "";
  /** The access key that was made at one site. */
  let key = "no key was made";

  beforeAll(async () => {
    for (const name of SITES) machines.set(name, { port: await freePort(), disks: [], typed: [] });
  });

  afterAll(async () => {
    for (const machine of machines.values()) await stop(machine);
    rmSync(parent, { recursive: true, force: true });
  });

  function machineOf(name: string): Machine {
    const machine = machines.get(name);
    if (machine === undefined) throw new Error(`the page speaks of a machine ${name}`);
    return machine;
  }

  async function stop(machine: Machine): Promise<void> {
    const { server } = machine;
    if (server === undefined || server.exitCode !== null) return;
    const ended = new Promise((resolve) => server.on("close", resolve));
    server.kill("SIGTERM");
    await ended;
  }

  /** The page's machines are all this one: other ports, other directories, and the last token. */
  function translate(word: string, { port, disks }: Machine): string {
    const data = disks.at(-1) ?? "";
    const machine = /([a-z]+)\.example\.net:9000/.exec(word)?.[1];
    if (machine !== undefined) {
      const there = `localhost:${machineOf(machine).port}`;
      return word.replace(/[a-z]+\.example\.net:9000/, there);
    }
    return word
      .replace(/^TOKEN$/, token)
      .replace("0.0.0.0:9000", `127.0.0.1:${port}`)
      .replace("/srv/atoll", data)
      .replace("/media/box", join(parent, "box"));
  }

  /** Starts a server and waits for the line in which it says that it serves. */
  async function serve(machine: Machine, words: readonly string[]): Promise<void> {
    await stop(machine);
    const child = spawn(process.execPath, [MAIN, ...words], { stdio: ["ignore", "pipe", "pipe"] });
    machine.server = child;
    let log = "";
    await new Promise<void>((resolve, reject) => {
      child.on("close", () => reject(new Error(`The server has ended:\n${log}`)));
      child.stderr.on("data", (bytes: Buffer) => {
        log += String(bytes);
      });
      child.stdout.on("data", (bytes: Buffer) => {
        log += String(bytes);
        if (log.includes('"serving"')) resolve();
      });
    });
  }

  async function run({ site, remark, words }: DocCommand): Promise<Finished | undefined> {
    const machine = machineOf(site);
    const isServer = words[1] === "serve";
    if (isServer) machine.disks.push(join(parent, `${site}-${machine.disks.length}`));
    if (remark !== undefined) expect(["on a new disk", "stopped"]).toContain(remark);
    const typed = words.slice(1).map((word) => translate(word, machine));
    if (isServer) {
      machine.typed = typed;
      await serve(machine, typed);
      return undefined;
    }
    const isStopped = remark === "stopped";
    if (isStopped) await stop(machine);
    const data = machine.disks.at(-1) ?? "";
    const finished = await runProgram(process.execPath, [MAIN, ...typed, "--data", data]);
    if (isStopped) await serve(machine, machine.typed);
    return finished;
  }

  test("has commands in it, all of them of this program and none that never ends", () => {
    expect(COMMANDS.length).toBeGreaterThan(20);
    for (const { words } of COMMANDS) {
      expect(words[0]).toBe("atoll");
      expect(words.join(" ")).not.toMatch(ENDLESS);
    }
  });

  test.each(COMMANDS.map((command) => [`${command.site}: ${command.words.join(" ")}`, command]))(
    "%s",
    async (_name, command) => {
      const finished = await run(command as DocCommand);
      if (finished === undefined) return;
      expect([finished.status, finished.stderr]).toEqual([0, expect.any(String)]);
      const { words } = command as DocCommand;
      token = /^atoll-join-\S+/m.exec(finished.stdout)?.[0] ?? token;
      if (words[2] === "create") key = /^access key +(\S+)$/m.exec(finished.stdout)?.[1] ?? key;
      if (words[1] === "keys" && words[2] === "list") expect(finished.stdout).toContain(key);
    },
    TIMEOUT_MS,
  );
});

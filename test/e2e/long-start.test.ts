import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mustRun, runProgram } from "../support/run-program.ts";
import { freePort, MAIN, startServer } from "../support/server.ts";

/** Read while a site is opened: whoever reads a pipe waits until somebody writes to it. */
const WAITED_FOR = "bucket-quotas.json";
const CONTENT = JSON.stringify({ format: 1, quotas: [] });

const atoll = (...typed: string[]) => runProgram(process.execPath, [MAIN, ...typed]);

/** Has LOCK name a process that cannot be seen from here, as that of another container. */
function hideHolder(data: string): void {
  const holder: object = JSON.parse(readFileSync(join(data, "LOCK"), "utf8"));
  writeFileSync(join(data, "LOCK"), JSON.stringify({ ...holder, pid: 2 ** 22 + 1 }));
}

describe("a start that takes its time", () => {
  let data: string;
  let pipe: string;
  let child: ChildProcess;
  let said = "";
  let ended: Promise<number | null>;
  let endpoint: string;

  beforeEach(async () => {
    data = mkdtempSync(join(tmpdir(), "atoll-long-start-"));
    pipe = join(data, WAITED_FOR);
    await (await startServer({ dataDirectory: data })).stop();
    await mustRun("mkfifo", [pipe]);
    const port = await freePort();
    endpoint = `http://127.0.0.1:${port}`;
    const listen = ["--listen", `127.0.0.1:${port}`, "--drain-seconds", "0.2"];
    child = spawn(process.execPath, [MAIN, "serve", "--data", data, ...listen], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (bytes: Buffer) => {
        said += bytes.toString();
      });
    }
    ended = new Promise((resolve) => child.on("close", resolve));
    await expect.poll(() => existsSync(join(data, "admin.sock")), { timeout: 20_000 }).toBe(true);
  });

  afterEach(async () => {
    child.kill("SIGKILL");
    await ended;
    rmSync(data, { recursive: true, force: true });
  });

  test("is told of, and keeps the directory for itself from wherever it is seen", async () => {
    const { stdout } = await atoll("status", "--json", "--data", data);
    expect(JSON.parse(stdout)).toMatchObject({ state: "recovering", pid: child.pid, endpoint });
    const list = await atoll("keys", "list", "--data", data);
    expect([list.status, list.stderr]).toEqual([
      4,
      "atoll keys list: The server is recovering: try again in a moment.\n",
    ]);
    hideHolder(data);
    const second = await atoll("serve", "--data", data, "--listen", "127.0.0.1:0");
    expect([second.status, second.stderr]).toEqual([4, expect.stringContaining("is in use by")]);
    child.kill("SIGHUP");
    writeFileSync(pipe, CONTENT);
    await expect.poll(() => said, { timeout: 20_000 }).toContain("there is nothing to take anew");
    expect(said).toContain('"serving"');
    expect((await atoll("keys", "list", "--data", data)).status).toBe(0);
  });

  test("is broken off when it lasts longer than a shutdown may", async () => {
    child.kill("SIGTERM");
    await expect
      .poll(() => said, { timeout: 20_000 })
      .toContain("stopped before the site was open");
    // The thread that waits for the pipe would keep the process.
    writeFileSync(pipe, CONTENT);
    expect(await ended).toBe(0);
  });
});

test("a start that fails when its site is open already leaves it closed in order", async () => {
  const data = mkdtempSync(join(tmpdir(), "atoll-late-failure-"));
  try {
    await (await startServer({ dataDirectory: data })).stop();
    // Written by a newer program, and read behind the opening of the site.
    writeFileSync(join(data, "root-key.json"), JSON.stringify({ format: 2 }));
    const started = await atoll("serve", "--data", data, "--listen", "127.0.0.1:0");
    expect([started.status, started.stderr]).toEqual([
      1,
      expect.stringMatching(/^atoll serve: .*root-key\.json has format 2, newer than .*\n$/),
    ]);
    expect(existsSync(join(data, "LOCK"))).toBe(false);
    expect(JSON.parse(readFileSync(join(data, "boot.json"), "utf8"))).toMatchObject({
      clean: true,
    });
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
});

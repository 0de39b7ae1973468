import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** CRASH_MAIN names another build, one that nobody changes while the tests run. */
export const MAIN =
  process.env["CRASH_MAIN"] ??
  join(dirname(fileURLToPath(import.meta.url)), "..", "..", "dist", "main.cjs");
const GUARD_MS = 60_000;
const POLL_MS = 10;
const PORT = 9321;

export type Mode = "direct" | "buffered";
export const MODES: readonly Mode[] = ["direct", "buffered"];

export type End = { readonly status: number | undefined; readonly signal: string | undefined };

export type CrashServer = {
  /** Host and port. */
  readonly address: string;
  /** Keeps connections; one at a time when used serially. */
  readonly agent: Agent;
  /** From the start of the process to the first "ready". */
  readonly readyMs: number;
  readonly ended: Promise<End>;
  log(): string;
  /** How it ended, by itself and without being asked; rejects when it goes on. */
  endsByItself(): Promise<End>;
  signal(signal: NodeJS.Signals): Promise<End>;
};

export type StartOptions = {
  readonly dataDirectory: string;
  readonly mode: Mode;
  readonly env?: Readonly<Record<string, string>>;
};

/** What came of a start: a server that serves, or how the process ended before it did. */
export type Started =
  | { readonly outcome: "serving"; readonly server: CrashServer }
  | { readonly outcome: "ended"; readonly end: End; readonly log: string };

let hosts = 0;

/**
 * An address that no other server has: free ports are a race, and ports can be shared, so that one
 * test would be answered by the server of another.
 */
function nextHost(): string {
  hosts += 1;
  return `127.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}.${(hosts % 250) + 2}`;
}

/** Starts the built program with the smallest segments, so that a short workload fills some. */
export async function start(options: StartOptions): Promise<Started> {
  if (!existsSync(MAIN)) throw new Error("Run `npm run build` first: dist/main.cjs is missing.");
  const host = nextHost();
  const address = `${host}:${PORT}`;
  const { dataDirectory, mode, env } = options;
  const args = [MAIN, "serve", "--data", dataDirectory, "--listen", address];
  args.push("--segment-size", "1MiB", "--direct-io", mode === "direct" ? "on" : "off");
  const startedMs = performance.now();
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: Buffer[] = [];
  child.stdout.on("data", (bytes: Buffer) => output.push(bytes));
  child.stderr.on("data", (bytes: Buffer) => output.push(bytes));
  const log = (): string => Buffer.concat(output).toString();
  const ended = endOf(child);
  const agent = new Agent({ keepAlive: true });
  if (!(await untilReady({ child, host, agent, log }))) {
    agent.destroy();
    return { outcome: "ended", end: await ended, log: log() };
  }
  const server: CrashServer = {
    address,
    agent,
    readyMs: performance.now() - startedMs,
    ended,
    log,
    endsByItself: async () => {
      const late = sleep(GUARD_MS, undefined, { ref: false });
      const end = await Promise.race([ended, late]);
      if (end !== undefined) return end;
      child.kill("SIGKILL");
      throw new Error(`the server answers no more, but has not ended:\n${log()}`);
    },
    signal: async (signal) => {
      agent.destroy();
      child.kill(signal);
      const guard = setTimeout(() => child.kill("SIGABRT"), GUARD_MS);
      const end = await ended;
      clearTimeout(guard);
      return end;
    },
  };
  return { outcome: "serving", server };
}

/** A start that has to lead to a server, without the shim and without a hand. */
export async function mustStart(options: StartOptions): Promise<CrashServer> {
  const started = await start(options);
  if (started.outcome === "serving") return started.server;
  throw new Error(`the server did not start (${JSON.stringify(started.end)}):\n${started.log}`);
}

function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve) => {
    child.on("close", (status, signal) => {
      resolve({ status: status ?? undefined, signal: signal ?? undefined });
    });
  });
}

type Starting = {
  readonly child: ChildProcess;
  readonly host: string;
  readonly agent: Agent;
  readonly log: () => string;
};

async function untilReady({ child, host, agent, log }: Starting): Promise<boolean> {
  const deadlineMs = performance.now() + GUARD_MS;
  while (performance.now() < deadlineMs) {
    if (child.exitCode !== null || child.signalCode !== null) return false;
    if ((await statusOf(host, agent)) === 200) return true;
    await sleep(POLL_MS);
  }
  child.kill("SIGKILL");
  throw new Error(`the server was not ready in ${GUARD_MS} ms:\n${log()}`);
}

function statusOf(host: string, agent: Agent): Promise<number | undefined> {
  return new Promise((resolve) => {
    const asked = request({ host, port: PORT, agent, path: "/v1/health/ready" }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode));
      answer.on("error", () => resolve(undefined));
    });
    asked.setTimeout(GUARD_MS, () => asked.destroy());
    asked.on("error", () => resolve(undefined));
    asked.end();
  });
}

export type RootKey = { readonly accessKey: string; readonly secretKey: string };

/** The key that the server made for itself. */
export function readRootKey(dataDirectory: string): RootKey {
  const fields: unknown = JSON.parse(readFileSync(join(dataDirectory, "root-key.json"), "utf8"));
  const { accessKey, secretKey } = fields as RootKey;
  return { accessKey, secretKey };
}

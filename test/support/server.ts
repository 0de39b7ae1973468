import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll } from "vitest";

/** Every end-to-end test runs on each. */
export const ENGINES = ["uws", "node"] as const;
export type Engine = (typeof ENGINES)[number];

export const ROOT_KEY = {
  accessKey: "ATOLLTESTROOTKEY0001",
  secretKey: "test-root-secret-key-0001",
};
export const REGION = "us-east-1";

export type ServerOptions = {
  readonly engine?: Engine;
  /** Kept by `stop()`; without one, a fresh directory that `stop()` removes. */
  readonly dataDirectory?: string;
  readonly flags?: readonly string[];
  /** Where it listens; it is asked at 127.0.0.1 in any case. */
  readonly listenHost?: string;
  readonly env?: Readonly<Record<string, string>>;
};

export type TestServer = {
  readonly endpoint: string;
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  readonly dataDirectory: string;
  /** Everything it has written to stdout and stderr. */
  log(): string;
  /** Asks it to end and gives its exit code. */
  stop(): Promise<number | undefined>;
  /** Ends it without asking; the data directory stays. */
  kill(signal: NodeJS.Signals): Promise<void>;
};

export const MAIN = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "dist", "main.cjs");
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 60_000;

/** Servers of tests that fail before they stop them; none outlives the process that started it. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** Starts the built program and waits until it serves. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  if (!existsSync(MAIN)) throw new Error("Run `npm run build` first: dist/main.cjs is missing.");
  const dataDirectory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), "atoll-e2e-"));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const engine = options.engine ?? "uws";
  const base = [
    "serve",
    "--data",
    dataDirectory,
    "--listen",
    `${options.listenHost ?? "127.0.0.1"}:${port}`,
  ];
  const args = [MAIN, ...base, "--engine", engine, ...(options.flags ?? [])];
  const child = spawn(process.execPath, args, {
    env: {
      ...process.env,
      ATOLL_ROOT_ACCESS_KEY: ROOT_KEY.accessKey,
      ATOLL_ROOT_SECRET_KEY: ROOT_KEY.secretKey,
      ...options.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: Buffer[] = [];
  child.stdout.on("data", (bytes: Buffer) => output.push(bytes));
  child.stderr.on("data", (bytes: Buffer) => output.push(bytes));
  const log = (): string => Buffer.concat(output).toString();
  running.add(child);
  const ended = new Promise<number | undefined>((resolve) => {
    child.on("close", (status) => {
      running.delete(child);
      resolve(status ?? undefined);
    });
  });
  const forget = (): void => {
    if (options.dataDirectory === undefined)
      rmSync(dataDirectory, { recursive: true, force: true });
  };
  await untilReady(child, endpoint, log).catch((failure: unknown) => {
    forget();
    throw failure;
  });
  return {
    endpoint,
    host: `127.0.0.1:${port}`,
    port,
    pid: child.pid ?? 0,
    dataDirectory,
    log,
    stop: async () => {
      child.kill("SIGTERM");
      const status = await withinStopTime(child, ended);
      forget();
      return status;
    },
    kill: async (signal) => {
      child.kill(signal);
      await ended;
    },
  };
}

async function untilReady(child: ChildProcess, endpoint: string, log: () => string): Promise<void> {
  const deadlineMs = Date.now() + START_MS_MAX;
  while (Date.now() < deadlineMs) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`The server ended while starting:\n${log()}`);
    }
    const ready = await fetch(`${endpoint}/v1/health/ready`).catch(() => undefined);
    await ready?.arrayBuffer();
    if (ready?.status === 200) return;
    await sleep(20);
  }
  child.kill("SIGKILL");
  throw new Error(`The server was not ready in ${START_MS_MAX} ms:\n${log()}`);
}

async function withinStopTime(
  child: ChildProcess,
  ended: Promise<number | undefined>,
): Promise<number | undefined> {
  const patience = new AbortController();
  const late = sleep(STOP_MS_MAX, "late" as const, { signal: patience.signal, ref: false });
  const first = await Promise.race([ended.then((status) => ({ status })), late]);
  if (first === "late") {
    child.kill("SIGKILL");
    throw new Error(`The server did not end within ${STOP_MS_MAX} ms of SIGTERM.`);
  }
  late.catch(() => "the wait was called off");
  patience.abort();
  return first.status;
}

/** One server for all tests of a `describe`; call the result inside tests only. */
export function useServer(options: ServerOptions = {}): () => TestServer {
  let server: TestServer | undefined;
  beforeAll(async () => {
    server = await startServer(options);
  });
  afterAll(async () => {
    await server?.stop();
    if (server?.log().includes(ROOT_KEY.secretKey)) {
      throw new Error("Keep secrets out of the log: the root secret stands in it.");
    }
  });
  return () => {
    if (server === undefined) throw new Error("useServer() gives its server to tests only");
    return server;
  };
}

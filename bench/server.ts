import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runProgram } from "../test/support/run-program.ts";
import { type Child, startChild } from "./children.ts";
import { ask } from "./player.ts";
import { ACCESS_KEY, SECRET_KEY, Signer } from "./requests.ts";

const START_MS_MAX = 600_000;
const POLL_MS = 5;

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

/** Asks until the answer is the wanted status. */
export async function untilAnswers(
  child: Child,
  port: number,
  request: () => Buffer,
  log: string,
): Promise<void> {
  const deadlineMs = Date.now() + START_MS_MAX;
  while (Date.now() < deadlineMs && child.isRunning()) {
    const answer = await ask(port, request());
    if (answer?.status === 200) return;
    await sleep(POLL_MS);
  }
  child.kill("SIGKILL");
  throw new Error(`A server did not answer:\n${readFileSync(log, "utf8").slice(-2000)}`);
}

export type Atoll = {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
  kill(): Promise<void>;
};

export type AtollPlace = {
  readonly root: string;
  /** Holds the data directory and the log. */
  readonly folder: string;
};

export const dataOf = (place: AtollPlace): string => join(place.folder, "data");

/** Starts the built program with every default, its log in a file; ready when S3 answers. */
export async function startAtoll(place: AtollPlace): Promise<Atoll> {
  mkdirSync(place.folder, { recursive: true });
  const port = await freePort();
  const logPath = join(place.folder, "access.log");
  const log = openSync(logPath, "a");
  const main = join(place.root, "dist", "main.cjs");
  const flags = ["serve", "--data", dataOf(place), "--listen", `127.0.0.1:${port}`];
  const child = startChild(process.execPath, [main, ...flags], {
    env: environment(),
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const listBuckets = (): Buffer => new Signer(port).sign({ method: "GET", path: "/" });
  await untilAnswers(child, port, listBuckets, logPath);
  return {
    port,
    pid: child.pid,
    stop: async () => {
      child.kill("SIGTERM");
      const status = await child.ended;
      if (status !== 0) throw new Error(`The server ended with ${status}; see ${logPath}.`);
    },
    kill: async () => {
      child.kill("SIGKILL");
      await child.ended;
    },
  };
}

export function removeAtoll(place: AtollPlace): void {
  rmSync(place.folder, { recursive: true, force: true });
}

/** Size of the index, whose pages count as memory of the server while they are mapped. */
export function indexBytes(place: AtollPlace): number {
  const folder = join(dataOf(place), "index");
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

export type Rebuilt = { readonly operations: number; readonly objects: number };

export async function rebuildIndex(place: AtollPlace): Promise<Rebuilt> {
  const main = join(place.root, "dist", "main.cjs");
  const args = [main, "rebuild-index", "--data", dataOf(place), "--json"];
  const { status, stdout, stderr } = await runProgram(process.execPath, args, {
    env: environment(),
  });
  if (status !== 0) throw new Error(`rebuild-index ended with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

function environment(): Record<string, string> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("ATOLL_"));
  return {
    ...Object.fromEntries(inherited.map(([name, value]) => [name, value ?? ""])),
    ATOLL_ROOT_ACCESS_KEY: ACCESS_KEY,
    ATOLL_ROOT_SECRET_KEY: SECRET_KEY,
  };
}

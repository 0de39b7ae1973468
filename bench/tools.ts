import { existsSync, mkdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { mustRun, runProgram } from "../test/support/run-program.ts";

/** Compiles a C program into the cache, when it is newer than what is there. */
async function compile(source: string, cache: string): Promise<string> {
  const folder = join(cache, "bench-tools");
  const program = join(folder, basename(source, ".c"));
  mkdirSync(folder, { recursive: true });
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs) {
    await mustRun("cc", ["-O2", "-w", "-o", program, source]);
  }
  return program;
}

export type LoadResult = {
  readonly perSecond: number;
  readonly inMbPerSecond: number;
  readonly outMbPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly requests: number;
  /** Share of one core that the generator itself took. */
  readonly clientCpu: number;
};

export type Load = {
  readonly port: number;
  readonly file: string;
  readonly clients: number;
  readonly seconds: number;
};

const WARMUP_SECONDS = 1;

export type LoadGenerator = {
  /** @throws Error when a request fails: figures of failures are no figures. */
  run(load: Load): Promise<LoadResult>;
  /** Runs until the server goes away; whatever happened is fine. */
  runUntilClosed(load: Load): Promise<void>;
};

export async function openLoadGenerator(folder: string, cache: string): Promise<LoadGenerator> {
  const program = await compile(join(folder, "httpload.c"), cache);
  const argsOf = ({ port, file, clients, seconds }: Load): string[] =>
    [port, file, clients, seconds, WARMUP_SECONDS].map(String);
  return {
    run: async (load) => {
      const { stdout } = await mustRun(program, argsOf(load));
      const said: Record<string, number> = JSON.parse(stdout);
      const field = (name: string): number => said[name] ?? 0;
      return {
        perSecond: field("rps"),
        inMbPerSecond: field("in_mb_s"),
        outMbPerSecond: field("out_mb_s"),
        p50Ms: field("p50_ms"),
        p99Ms: field("p99_ms"),
        requests: field("requests"),
        clientCpu: field("client_cpu"),
      };
    },
    runUntilClosed: async (load) => {
      await runProgram(program, argsOf(load));
    },
  };
}

/** How many requests a run can use up at a rate, its warm-up included. */
export function requestsFor(perSecond: number, seconds: number): number {
  return Math.ceil(perSecond * (seconds + WARMUP_SECONDS));
}

export type DiskRate = {
  readonly perSecond: number;
  readonly mbPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
};

export type DiskRates = Readonly<Record<"fdatasync" | "direct" | "sequential", DiskRate>>;

const DISK_SECONDS_MAX = 5;

export async function measureDisk(
  source: string,
  cache: string,
  folder: string,
  seconds: number,
): Promise<DiskRates> {
  const program = await compile(source, cache);
  const { stdout } = await mustRun(program, [folder, String(Math.min(seconds, DISK_SECONDS_MAX))]);
  return JSON.parse(stdout);
}

/** Lets the kernel write back what earlier work left, so that it does not disturb the next. */
export async function settleDisk(): Promise<void> {
  await mustRun("sync", []);
}

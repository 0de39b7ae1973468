import { mkdirSync, mkdtempSync, readFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { mustRun } from "../support/run-program.ts";

const HERE = dirname(fileURLToPath(import.meta.url));
/** In the checkout and not in the system's temporary directory, which may be memory. */
const SCRATCH = join(HERE, "..", "..", ".cache", "crash");
const TRACE_FROM = 16;

/** What the shim does to one run of the server. */
export type Plan = {
  /** The call it happens at, counted from the start of the process; none when absent. */
  readonly at?: number;
  /** Absent: the process is killed before the call. */
  readonly errno?: number;
  /** Added to the wall clock. */
  readonly clockMs?: number;
};

/** What the shim counted, read after the process has ended. */
export type Trace = {
  readonly calls: number;
  /** What the n-th call was, as "14 pwrite64 segments/seg-0000000001.atoll". */
  describe(call: number): string;
};

/** A new directory on a real disk, for a test to remove. */
export function makeScratchDirectory(name: string): string {
  mkdirSync(SCRATCH, { recursive: true });
  return mkdtempSync(join(SCRATCH, `${name}-`));
}

/** Compiles the shim and gives its path. */
export async function buildShim(): Promise<string> {
  mkdirSync(SCRATCH, { recursive: true });
  const path = join(SCRATCH, "shim.so");
  // Built aside and moved, because test files run at the same time.
  const fresh = `${path}.${process.pid}`;
  const flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"];
  await mustRun("cc", [...flags, "-o", fresh, join(HERE, "shim.c"), "-ldl"]).catch(
    (cause: unknown) => {
      throw new Error("The crash tests need a C compiler: install gcc (Debian: gcc libc6-dev).", {
        cause,
      });
    },
  );
  renameSync(fresh, path);
  return path;
}

/** The environment that puts a server under the shim. */
export function shimEnvironment(
  shim: string,
  where: { readonly dataDirectory: string; readonly stateFile: string },
  plan: Plan,
): Record<string, string> {
  return {
    LD_PRELOAD: shim,
    CRASH_DIR: where.dataDirectory,
    CRASH_STATE: where.stateFile,
    CRASH_AT: String(plan.at ?? 0),
    CRASH_ERRNO: String(plan.errno ?? 0),
    CRASH_CLOCK_MS: String(plan.clockMs ?? 0),
    // Calls made through io_uring pass by the C library.
    UV_USE_IO_URING: "0",
  };
}

export function readTrace(stateFile: string): Trace {
  const bytes = readFileSync(stateFile);
  const text = bytes.subarray(TRACE_FROM).toString("latin1");
  const lines = text.slice(0, text.indexOf("\0")).split("\n");
  return {
    calls: Number(bytes.readBigUInt64LE(0)),
    describe: (call) => lines.find((line) => line.startsWith(`${call} `)) ?? `call ${call}`,
  };
}

import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";

const running = new Set<ChildProcess>();

// Nothing that we started outlives us, however we end.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));

export type Child = {
  readonly pid: number;
  /** Exit code, or undefined when a signal ended it. */
  readonly ended: Promise<number | undefined>;
  isRunning(): boolean;
  kill(signal: NodeJS.Signals): void;
};

/** Starts a program that ends with us at the latest. */
export function startChild(
  program: string,
  args: readonly string[],
  options: Pick<SpawnOptions, "env" | "stdio" | "cwd">,
): Child {
  const child = spawn(program, args, options);
  running.add(child);
  const ended = new Promise<number | undefined>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve(status ?? undefined));
  }).finally(() => running.delete(child));
  return {
    pid: child.pid ?? 0,
    ended,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    kill: (signal) => void child.kill(signal),
  };
}

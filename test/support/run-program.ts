import { spawn } from "node:child_process";

export type Finished = {
  /** Exit code, or undefined when a signal ended it. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
};

export type RunOptions = {
  readonly cwd?: string;
  /** Instead of our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
};

/** Runs a program to its end. Rejects only when it cannot be started. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (bytes: Buffer) => stdout.push(bytes));
    child.stderr.on("data", (bytes: Buffer) => stderr.push(bytes));
    child.on("error", reject);
    child.on("close", (status) => {
      resolve({
        status: status ?? undefined,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      });
    });
    // A program that does not read its input closes the pipe; its exit code tells the rest.
    child.stdin.on("error", () => child.stdin.destroy());
    child.stdin.end(options.input ?? "");
  });
}

/** Runs a program that has to succeed; what it said is in the error when it does not. */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const finished = await runProgram(program, args, options);
  if (finished.status === 0) return finished;
  const said = `${finished.stdout}\n${finished.stderr}`.trim().slice(-4000);
  throw new Error(
    `${program} ${args.join(" ")} ended with ${finished.status ?? "a signal"}:\n${said}`,
  );
}

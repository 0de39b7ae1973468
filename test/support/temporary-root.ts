import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

/** Made by a run of tests, with the id of its process. */
const ROOT = /^atoll-(\d+)-[A-Za-z0-9]{6}$/;
/** A process id is used again, and may be another machine's where the directory is shared. */
const STALE_MS = 60 * 60 * 1000;

/**
 * Gives a run of tests a directory for all that it puts into the system's temporary directory, and
 * takes it away at the end, whatever the tests have left in it. What runs that were killed have
 * left goes at the beginning.
 */
export function setup(): (() => void) | undefined {
  const system = tmpdir();
  // Every project of a run asks; it has one directory.
  if (processOf(basename(system)) === process.pid) return undefined;
  clearStaleRoots(system, { isAlive, nowMs: Date.now() });
  const root = mkdtempSync(join(system, `atoll-${process.pid}-`));
  process.env["TMPDIR"] = root;
  return () => {
    process.env["TMPDIR"] = system;
    rmSync(root, { recursive: true, force: true });
  };
}

/** Removes what no run has touched for an hour and whose run is no more. */
export function clearStaleRoots(
  system: string,
  now: { readonly isAlive: (pid: number) => boolean; readonly nowMs: number },
): void {
  for (const name of readdirSync(system)) {
    const pid = processOf(name);
    if (pid === undefined || now.isAlive(pid)) continue;
    const path = join(system, name);
    const facts = statSync(path, { throwIfNoEntry: false });
    if (facts === undefined || now.nowMs - facts.mtimeMs < STALE_MS) continue;
    rmSync(path, { recursive: true, force: true });
  }
}

function processOf(name: string): number | undefined {
  const pid = ROOT.exec(name)?.[1];
  return pid === undefined ? undefined : Number(pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (failure) {
    return (failure as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** Git ignores it; deleting it costs one download. */
const CACHE = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", ".cache", "clients");

const POLL_MS = 100;

/**
 * Fills a folder of the cache once, however many test processes ask for it at the same time, and
 * gives its path. A folder that was left half filled is filled anew.
 */
export async function provideOnce(
  name: string,
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(CACHE, name);
  const complete = join(folder, ".complete");
  if (existsSync(complete)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const release = await lock(`${folder}.lock`);
  try {
    if (!existsSync(complete)) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
      await fill(folder);
      writeFileSync(complete, "");
    }
  } finally {
    release();
  }
  return folder;
}

async function lock(path: string): Promise<() => void> {
  for (;;) {
    try {
      const descriptor = openSync(path, "wx");
      writeFileSync(descriptor, String(process.pid));
      closeSync(descriptor);
      return () => rmSync(path, { force: true });
    } catch (failure) {
      if (!(failure instanceof Error && "code" in failure && failure.code === "EEXIST")) {
        throw failure;
      }
    }
    if (isAbandoned(path)) rmSync(path, { force: true });
    await sleep(POLL_MS);
  }
}

/** True when the process that holds the lock is gone. An empty file is just being written. */
function isAbandoned(path: string): boolean {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    if (pid > 0) process.kill(pid, 0);
    return false;
  } catch (failure) {
    return failure instanceof Error && "code" in failure && failure.code === "ESRCH";
  }
}

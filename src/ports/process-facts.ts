import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { errnoOf } from "../core/faults.ts";
import { systemClock } from "./system-clock.ts";

/** What a process is known by: a pid alone is reused, a pid with its start time is not. */
export type ProcessIdentity = {
  readonly pid: number;
  /** Start in the kernel's ticks since boot; undefined where the system does not tell. */
  readonly startedAt: string | undefined;
  /** Id of this boot of the machine; undefined where the system does not tell. */
  readonly bootId: string | undefined;
};

/** Facts about this process and its machine that no other port tells. Nothing here throws. */
export interface ProcessFacts {
  readonly self: ProcessIdentity;
  /** Effective user id, as files are owned by it; undefined where there are none. */
  readonly uid: number | undefined;
  /** True while that very process lives on this machine (same pid, start time and boot). */
  isAlive(process: ProcessIdentity): boolean;
  /** Tells one mount of one file system from another; undefined where the system does not. */
  mountOf(path: string): string | undefined;
  /** Resident memory in bytes; what it was last while no descriptor is left to look. */
  rssBytes(): number;
  /** Open file descriptors; undefined where the system does not tell. */
  openFiles(): number | undefined;
  /**
   * 99th percentile of the event loop's delay in milliseconds, over the last minute at least.
   * Asking changes nothing: several may watch one site.
   */
  eventLoopDelayP99Ms(): number;
}

// Each look wakes an idle process; ten a second cost nothing that can be measured.
const LOOP_RESOLUTION_MS = 100;
const LOOP_SPAN_MS = 60_000;

/** The facts as /proc tells them on Linux; elsewhere only what Node itself knows. */
export function createProcessFacts(): ProcessFacts {
  const self: ProcessIdentity = {
    pid: process.pid,
    startedAt: startTimeOf(process.pid),
    bootId: readText("/proc/sys/kernel/random/boot_id")?.trim(),
  };
  return {
    self,
    uid: process.geteuid?.(),
    isAlive: (other) => isAlive(self, other),
    mountOf,
    rssBytes: watchResident(),
    openFiles: countOpenFiles,
    eventLoopDelayP99Ms: watchLoopDelay(),
  };
}

const NO_DESCRIPTOR: ReadonlySet<string> = new Set(["EMFILE", "ENFILE"]);

function watchResident(): () => number {
  let lastBytes = 0;
  return () => {
    try {
      lastBytes = process.memoryUsage.rss();
    } catch (failure) {
      if (!NO_DESCRIPTOR.has(errnoOf(failure) ?? "")) throw failure;
    }
    return lastBytes;
  };
}

/**
 * The delays of two spans after each other, of which the later one is a minute old at most when
 * somebody asks: no timer wakes a process that nobody watches.
 */
function watchLoopDelay(): () => number {
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  delay.enable();
  let beganMs = systemClock.monotonicMs();
  let beforeMs = 0;
  return () => {
    const found = delay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS;
    const delayMs = Number.isFinite(found) ? Math.max(0, found) : 0;
    const shownMs = Math.max(delayMs, beforeMs);
    const nowMs = systemClock.monotonicMs();
    if (nowMs - beganMs >= LOOP_SPAN_MS) {
      beforeMs = delayMs;
      beganMs = nowMs;
      delay.reset();
    }
    return shownMs;
  };
}

function isAlive(self: ProcessIdentity, other: ProcessIdentity): boolean {
  const bootsDiffer = self.bootId !== undefined && other.bootId !== undefined;
  if (bootsDiffer && self.bootId !== other.bootId) return false;
  if (!processExists(other.pid) || isUnburied(other.pid)) return false;
  if (other.startedAt === undefined) return true;
  const startedAt = startTimeOf(other.pid);
  return startedAt === undefined || startedAt === other.startedAt;
}

function processExists(pid: number): boolean {
  if (!Number.isInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (failure) {
    // EPERM: it exists and belongs to somebody else.
    return failure instanceof Error && "code" in failure && failure.code === "EPERM";
  }
}

/**
 * True for a process that has ended and whose parent has not asked how (a supervisor that waits
 * for nobody). One of its threads may still be in a system call: then it lives.
 */
function isUnburied(pid: number): boolean {
  if (statFieldsOf(pid)?.at(0) !== "Z") return false;
  return countEntries(`/proc/${pid}/task`) === 1;
}

function startTimeOf(pid: number): string | undefined {
  return statFieldsOf(pid)?.at(19);
}

// Fields of proc_pid_stat(5) from the third on: the state, and at 19 when it started. The command
// in the second may hold spaces and brackets of its own.
function statFieldsOf(pid: number): string[] | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
}

// The longest mount point that contains the path; of two on the same point the later one counts.
function mountOf(path: string): string | undefined {
  const table = readText("/proc/self/mountinfo");
  if (table === undefined) return undefined;
  let best: { length: number; id: string } | undefined;
  for (const line of table.split("\n")) {
    const [mountId, , device, , mountPoint] = line.split(" ");
    if (mountPoint === undefined) continue;
    const point = decodeOctal(mountPoint);
    const inside = point === "/" || path === point || path.startsWith(`${point}/`);
    if (inside && point.length >= (best?.length ?? 0)) {
      best = { length: point.length, id: `${mountId}:${device}` };
    }
  }
  return best?.id;
}

function decodeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

function countOpenFiles(): number | undefined {
  return countEntries("/proc/self/fd") ?? countEntries("/dev/fd");
}

function countEntries(directory: string): number | undefined {
  try {
    return lstatSync(directory).isDirectory() ? readdirSync(directory).length : undefined;
  } catch (failure) {
    if (failure instanceof Error) return undefined;
    throw failure;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (failure) {
    if (failure instanceof Error) return undefined;
    throw failure;
  }
}

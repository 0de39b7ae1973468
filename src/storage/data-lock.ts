import { toHex } from "../core/bytes.ts";
import { errnoOf, StorageFault } from "../core/faults.ts";
import type { Disk } from "../ports/disk.ts";
import type { Log } from "../ports/log.ts";
import type { ProcessFacts, ProcessIdentity } from "../ports/process-facts.ts";
import type { Random } from "../ports/random.ts";
import { asFields, createSynced, readText, removeIfThere } from "./json-file.ts";

/** What LOCK holds: who works in the data directory, and where it can be talked to. */
export type LockHolder = ProcessIdentity & {
  readonly id: string;
  /** Path of the admin socket; undefined for a process that has none (offline commands). */
  readonly socketPath: string | undefined;
};

export type LockDeps = {
  readonly disk: Disk;
  readonly random: Random;
  readonly log: Log;
  readonly processFacts: ProcessFacts;
  /** True when a server answers on that socket; covers holders in other process namespaces. */
  readonly answers: (socketPath: string) => Promise<boolean>;
};

export interface DataLock {
  /** Gives the directory free. Does nothing when somebody else has taken it over. */
  release(): Promise<void>;
}

const LOCK_NAME = "LOCK";
/** A claim upon a claim upon a claim … each needs a crash in a window of microseconds. */
const CLAIM_DEPTH_MAX = 8;
const ATTEMPTS_MAX = 16;

/**
 * Takes the data directory for this process. Node has no flock: a complete file is made visible by
 * link(), which exactly one process can do. What a dead holder left is taken over, with one log
 * line. Rejects with StorageFault "locked" when the holder lives.
 */
export async function acquireDataLock(
  deps: LockDeps,
  directory: string,
  socketPath: string | undefined,
): Promise<DataLock> {
  const path = `${directory}/${LOCK_NAME}`;
  const id = toHex(deps.random.bytes(8));
  const holder: LockHolder = { ...deps.processFacts.self, id, socketPath };
  const own = `${path}.new-${id}`;
  try {
    await createSynced(deps.disk, own, `${JSON.stringify(holder)}\n`);
    await take(deps, path, own);
    await sweep(deps, directory);
    await deps.disk.syncDirectory(directory);
  } finally {
    await removeIfThere(deps.disk, own);
  }
  return { release: () => releaseLock(deps.disk, path, id) };
}

/** Who holds the data directory; undefined when nobody does or the file cannot be read. */
export async function readLockHolder(
  disk: Disk,
  directory: string,
): Promise<LockHolder | undefined> {
  const text = await readText(disk, `${directory}/${LOCK_NAME}`);
  return text === undefined ? undefined : parseHolder(text);
}

/** True when the holder is a live process, seen directly or by its answer on the socket. */
async function isHolderAlive(
  deps: Pick<LockDeps, "processFacts" | "answers">,
  holder: LockHolder,
): Promise<boolean> {
  if (deps.processFacts.isAlive(holder)) return true;
  return holder.socketPath !== undefined && (await deps.answers(holder.socketPath));
}

async function take(deps: LockDeps, path: string, own: string): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (await linkIfFree(deps.disk, own, path)) return;
    const dead = await deadHolder(deps, path);
    if (dead === undefined) continue;
    if (await replaceDead(deps, { path, own, deadId: dead.id, depth: 0 })) {
      deps.log.warn({ pid: dead.pid }, "took over the data directory from a process that is gone");
      return;
    }
  }
  throw lockedFault(path, undefined);
}

type Takeover = {
  readonly path: string;
  readonly own: string;
  readonly deadId: string;
  readonly depth: number;
};

/**
 * Replaces the lock of a dead holder. Two processes may see the same dead one, so the right to
 * replace it is itself a file that only one of them can create, named after the dead holder.
 * Having it, the lock is read again: somebody may have finished the whole takeover meanwhile.
 */
async function replaceDead(deps: LockDeps, takeover: Takeover): Promise<boolean> {
  const { path, own, deadId, depth } = takeover;
  if (depth > CLAIM_DEPTH_MAX) throw lockedFault(path, undefined);
  const claim = `${directoryAndLock(path)}.claim-${deadId}`;
  if (!(await linkIfFree(deps.disk, own, claim))) {
    const dead = await deadHolder(deps, claim);
    if (dead === undefined) return false;
    const next = { path: claim, own, deadId: dead.id, depth: depth + 1 };
    if (!(await replaceDead(deps, next))) return false;
  }
  try {
    const current = await readText(deps.disk, path);
    if (current === undefined || holderId(current) !== deadId) return false;
    // A rename would use up our own file's name, which an outer takeover still needs.
    const replacement = `${own}-${depth}`;
    await deps.disk.link(own, replacement);
    await deps.disk.rename(replacement, path);
    return true;
  } finally {
    await removeIfThere(deps.disk, claim);
  }
}

function directoryAndLock(path: string): string {
  const claimAt = path.indexOf(".claim-");
  return claimAt < 0 ? path : path.slice(0, claimAt);
}

// Files that a crash in the middle of a takeover left behind; those of live contenders stay.
async function sweep(deps: LockDeps, directory: string): Promise<void> {
  for (const name of await deps.disk.list(directory)) {
    if (!name.startsWith(`${LOCK_NAME}.`)) continue;
    const text = await readText(deps.disk, `${directory}/${name}`);
    const holder = text === undefined ? undefined : parseHolder(text);
    const isGone = holder === undefined || !deps.processFacts.isAlive(holder);
    if (isGone) await removeIfThere(deps.disk, `${directory}/${name}`);
  }
}

async function linkIfFree(disk: Disk, own: string, path: string): Promise<boolean> {
  try {
    await disk.link(own, path);
    return true;
  } catch (failure) {
    if (errnoOf(failure) === "EEXIST") return false;
    throw failure;
  }
}

// The dead holder of a lock, undefined when it has just gone. A live one is a refusal.
async function deadHolder(
  deps: LockDeps,
  path: string,
): Promise<{ id: string; pid: number | undefined } | undefined> {
  const text = await readText(deps.disk, path);
  if (text === undefined) return undefined;
  const holder = parseHolder(text);
  if (holder === undefined) return { id: holderId(text), pid: undefined };
  if (await isHolderAlive(deps, holder)) throw lockedFault(path, holder);
  return holder;
}

async function releaseLock(disk: Disk, path: string, id: string): Promise<void> {
  const text = await readText(disk, path);
  if (text !== undefined && holderId(text) === id) await removeIfThere(disk, path);
}

// A lock is complete before it becomes visible; only a damaged disk gives one that is not.
function holderId(text: string): string {
  return parseHolder(text)?.id ?? "unreadable";
}

function parseHolder(text: string): LockHolder | undefined {
  let fields: Readonly<Record<string, unknown>> | undefined;
  try {
    fields = asFields(JSON.parse(text));
  } catch (failure) {
    if (failure instanceof SyntaxError) return undefined;
    throw failure;
  }
  if (fields === undefined) return undefined;
  const { id, pid, startedAt, bootId, socketPath } = fields;
  if (typeof id !== "string" || !/^[0-9a-f]{16}$/.test(id)) return undefined;
  if (typeof pid !== "number" || !Number.isInteger(pid)) return undefined;
  return {
    id,
    pid,
    startedAt: textOrUndefined(startedAt),
    bootId: textOrUndefined(bootId),
    socketPath: textOrUndefined(socketPath),
  };
}

function textOrUndefined(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function lockedFault(path: string, holder: LockHolder | undefined): StorageFault {
  const who = holder === undefined ? "another process" : `process ${holder.pid}`;
  return new StorageFault("locked", `the data directory is in use by ${who} (${path})`, {
    hint: "Stop that process first, or choose another directory with --data.",
  });
}

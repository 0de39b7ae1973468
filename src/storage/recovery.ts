import { StorageFault } from "../core/faults.ts";
import type { Disk } from "../ports/disk.ts";
import type { Kv, OpenKv } from "../ports/kv.ts";
import type { Log } from "../ports/log.ts";
import type { BootMark } from "./boot-mark.ts";
import type { LogEnd } from "./commit-lane.ts";
import { POSITION_KEY } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import { IndexView } from "./metadata/view.ts";
import { type LogSegment, type ReplayDeps, type ReplayResult, replayLog } from "./replay.ts";
import type { SegmentFacts } from "./segment/segments.ts";

export type RecoveryDeps = Omit<ReplayDeps, "kv"> & {
  readonly disk: Disk;
  readonly openKv: OpenKv;
  readonly logger: Log;
  readonly indexDirectory: string;
  readonly checkpointDirectory: string;
  /** Writes down, durably, where the log is now known to have ended. */
  readonly noteEnd: (end: LogEnd) => Promise<void>;
};

export type Recovered = { readonly kv: Kv; readonly replay: ReplayResult };

/** The log is durable before the index learns of it: one that is shorter has lost something. */
type AheadOfLog = { readonly logEnd: LogEnd };

/** Where an index may come from, from the cheapest to the one that always works. */
type Source = "as it is" | "checkpoint" | "nothing";

const SOURCES: Record<"trusted" | "untrusted" | "rebuild", readonly Source[]> = {
  trusted: ["as it is", "checkpoint", "nothing"],
  untrusted: ["checkpoint", "nothing"],
  rebuild: ["nothing"],
};
const BACKUP_NAME = /^backup-(\d{10})$/;

/**
 * Tells whether the index on disk may be believed: it was closed in order, or the machine has been
 * up since it was written (the page cache is whole), and the last starts did not fail over it.
 */
export function isIndexTrusted(
  mark: BootMark | undefined,
  sameMount: (mark: BootMark) => boolean,
): boolean {
  if (mark === undefined || mark.failedStarts >= 2) return false;
  return mark.clean || sameMount(mark);
}

/**
 * Opens the index and brings it up to the end of the log. What does not prove right is thrown away
 * and made again from the last checkpoint, or from the log alone.
 *
 * @throws StorageFault "corrupt" when the log itself is damaged.
 */
export async function recoverIndex(
  deps: RecoveryDeps,
  belief: "trusted" | "untrusted" | "rebuild",
): Promise<Recovered> {
  for (const source of SOURCES[belief]) {
    if (!(await prepare(deps, source))) continue;
    let opened: Recovered | AheadOfLog;
    try {
      opened = await openAndReplay(deps);
    } catch (failure) {
      const repairable = failure instanceof StorageFault && failure.kind === "corrupt";
      if (!repairable || source === "nothing") throw failure;
      deps.logger.warn({ source, failure: failure.message }, "the index is made anew");
      continue;
    }
    if ("kv" in opened) return opened;
    // Written down first, or a start that doubts this index would take what is left for all.
    await deps.noteEnd(opened.logEnd);
    throw endMissing(opened.logEnd);
  }
  throw new StorageFault("corrupt", "the index could not be made");
}

/** The log does not reach where it is known to have ended. */
export function endMissing({ segment, offset }: LogEnd): StorageFault {
  const where = `segment ${segment}, offset ${offset}`;
  return new StorageFault("corrupt", `the log is damaged before ${where}, where it ended`, {
    hint: "Nothing was cut. Restore the segment from a backup, or this site from another one.",
  });
}

/** Puts the files of a source in place; false when it has none. */
async function prepare(deps: RecoveryDeps, source: Source): Promise<boolean> {
  const { disk, indexDirectory } = deps;
  if (source === "as it is") return true;
  const backup = source === "checkpoint" ? await newestCheckpoint(deps) : undefined;
  if (source === "checkpoint" && backup === undefined) return false;
  await disk.removeTree(indexDirectory);
  if (backup === undefined) await disk.makeDirectory(indexDirectory);
  else await disk.rename(backup, indexDirectory);
  await disk.syncDirectory(directoryOf(indexDirectory));
  if (backup !== undefined) await disk.syncDirectory(deps.checkpointDirectory);
  return true;
}

async function openAndReplay(deps: RecoveryDeps): Promise<Recovered | AheadOfLog> {
  const kv = await openIndex(deps);
  try {
    if (kv.get(indexKey(TABLES.replaying.prefix, "")) !== undefined) {
      throw new StorageFault("corrupt", "a replay was cut off");
    }
    const applied = new IndexView(kv, deps.hash.crc32).get(TABLES.position, POSITION_KEY);
    if (applied !== undefined && !reaches(deps.log, applied)) {
      await kv.close();
      return { logEnd: { segment: applied.segment, offset: applied.offset } };
    }
    return { kv, replay: await replayLog({ ...deps, kv }) };
  } catch (failure) {
    await kv.close();
    throw failure;
  }
}

function reaches(log: readonly LogSegment[], { segment, offset }: LogEnd): boolean {
  const found = log.find(({ facts }) => facts.id === segment);
  // A segment that was dropped after it had been applied is behind us for good.
  if (found === undefined) return log.some(({ facts }) => facts.id > segment);
  return found.batchesEnd >= offset;
}

/** A store that cannot even be opened is damage like any other: the log makes a new one. */
async function openIndex(deps: RecoveryDeps): Promise<Kv> {
  try {
    return await deps.openKv(deps.indexDirectory);
  } catch (cause) {
    throw new StorageFault("corrupt", "the index cannot be opened", { cause });
  }
}

async function newestCheckpoint(deps: RecoveryDeps): Promise<string | undefined> {
  const names = await deps.disk.list(deps.checkpointDirectory);
  const newest = names.filter((name) => BACKUP_NAME.test(name)).at(-1);
  return newest === undefined ? undefined : `${deps.checkpointDirectory}/${newest}`;
}

/**
 * Takes a copy of the index that survives a power cut, and removes the older ones. Until the
 * rename is durable the copy does not count.
 */
export async function takeCheckpoint(disk: Disk, kv: Kv, directory: string): Promise<void> {
  const names = await disk.list(directory);
  const newest = names.map((name) => Number(BACKUP_NAME.exec(name)?.[1] ?? 0));
  const next = `backup-${String(Math.max(0, ...newest) + 1).padStart(10, "0")}`;
  await disk.removeTree(`${directory}/unfinished`);
  await disk.makeDirectory(`${directory}/unfinished`);
  try {
    await kv.backup(`${directory}/unfinished`);
  } catch (failure) {
    // On a disk that is full now, half a copy would stay for good: nothing more is written there.
    await disk.removeTree(`${directory}/unfinished`);
    throw failure;
  }
  await disk.rename(`${directory}/unfinished`, `${directory}/${next}`);
  await disk.syncDirectory(directory);
  for (const name of names) await disk.removeTree(`${directory}/${name}`);
  await disk.syncDirectory(directory);
}

/**
 * Cuts what is torn behind the last whole batch, and syncs all segments, of both lanes: what a
 * killed process had only written counts now, so it must survive a power cut now. That goes for a
 * footer as well: what follows its segment may be dropped because it is there.
 */
export async function settleLog(
  disk: Disk,
  segments: ReadonlyArray<{ readonly facts: SegmentFacts; readonly path: string }>,
  ends: ReadonlyMap<number, number>,
): Promise<void> {
  for (const { facts, path } of segments) {
    const end = ends.get(facts.id);
    const file = await disk.openWrite(path, "buffered");
    try {
      if (end !== undefined) await file.truncate(end);
      await file.sync();
    } finally {
      await file.close();
    }
    if (end !== undefined) facts.sizeBytes = end;
  }
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

import { errnoOf, StorageFault } from "../core/faults.ts";
import type { Clock } from "../ports/clock.ts";
import type { Disk, FileFacts } from "../ports/disk.ts";
import type { Log } from "../ports/log.ts";
import type { ProcessFacts } from "../ports/process-facts.ts";
import type { Random } from "../ports/random.ts";
import { type ClusterKeys, openKeyRing } from "./cluster-keys.ts";
import { acquireDataLock } from "./data-lock.ts";
import { directoryOf } from "./json-file.ts";
import { makeRoomToStart } from "./reserve-file.ts";
import { parseSegmentName } from "./segment/segments.ts";
import { openSiteIdentity, SITE_FILE, type SiteIdentity } from "./site-identity.ts";

export type DataDirDeps = {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly processFacts: ProcessFacts;
  /** True when a server answers on that admin socket. */
  readonly answers: (socketPath: string) => Promise<boolean>;
};

export type DataDirSettings = {
  /** Absolute path. */
  readonly directory: string;
  /** Replaces the stored name of the site when given. */
  readonly siteName: string | undefined;
  /** Where this process will answer; goes into LOCK. Undefined for offline commands. */
  readonly socketPath: string | undefined;
};

/** A data directory that belongs to this process until `release`. */
export type DataDir = {
  readonly directory: string;
  readonly identity: SiteIdentity;
  /** Seals secrets in the log. */
  readonly keyRing: ClusterKeys;
  /** The mount the directory lies on, for the boot mark. */
  readonly fileSystem: string | undefined;
  release(): Promise<void>;
};

/** Directories made in every data directory. */
const DIRECTORIES = ["segments", "index", "checkpoint"] as const;
/** Made on demand; and by earlier programs, empty and for nothing. */
const OTHER_DIRECTORIES = ["tls", "quarantine"] as const;

/** What may lie in a directory that has no site yet without looking like somebody's files. */
const HARMLESS_NAMES =
  /^(lost\+found|atoll\.json|LOCK.*|(site|cluster-key|root-key)\.json.*|admin\.sock|reserve)$/;

/** f_type of statfs(2) for file systems whose promises about syncing or locking do not hold. */
const REFUSED_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x65735546, "FUSE"],
  [0x01021997, "9P"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x5346414f, "AFS"],
  [0x73757245, "Coda"],
]);

/** Local, but not what one should keep data on. */
const DOUBTFUL_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x794c7630, "an overlay of a container: its contents go when the container is removed"],
  [0x01021994, "memory (tmpfs): its contents are gone after a reboot"],
]);

/**
 * Checks a data directory, takes it for this process and reads who the site is; makes a new site
 * in an empty directory. Rejects with StorageFault: "unsupported" (symbolic link, foreign owner,
 * foreign files, network file system, newer format), "locked", "corrupt" or "io".
 */
export async function openDataDir(deps: DataDirDeps, settings: DataDirSettings): Promise<DataDir> {
  const { directory } = settings;
  await ensureDirectory(deps.disk, directory).catch((cause: unknown) =>
    refuseUnusable(directory, cause),
  );
  await checkDirectory(deps, directory);
  await makeRoomToStart(deps.disk, directory);
  const lock = await acquireDataLock(deps, directory, settings.socketPath);
  try {
    for (const name of DIRECTORIES) await deps.disk.makeDirectory(`${directory}/${name}`);
    await deps.disk.syncDirectory(directory);
    // The keys come first: a site that exists must never get new ones, they would open nothing.
    const siteExists = await hasSite(deps.disk, directory);
    const keyRing = await openKeyRing(deps, directory, siteExists);
    const identity = await openSiteIdentity(deps, directory, settings.siteName);
    const fileSystem = deps.processFacts.mountOf(directory);
    return { directory, identity, keyRing, fileSystem, release: () => lock.release() };
  } catch (failure) {
    await lock.release();
    throw failure;
  }
}

/** Makes a directory and those above it that are missing, durably. */
export async function ensureDirectory(disk: Disk, directory: string): Promise<void> {
  if ((await disk.stat(directory)) !== undefined) return;
  const parent = directoryOf(directory);
  await ensureDirectory(disk, parent);
  await disk.makeDirectory(directory);
  await disk.syncDirectory(parent);
}

/** What it means is that the directory cannot be where it was asked for. */
const WRONG_PLACE: ReadonlySet<string> = new Set([
  ...["ENOENT", "ENOTDIR", "EACCES", "EPERM", "EROFS", "ENAMETOOLONG", "ELOOP"],
]);

function refuseUnusable(directory: string, cause: unknown): never {
  const code = errnoOf(cause);
  if (code === undefined || !WRONG_PLACE.has(code)) throw cause;
  throw new StorageFault(
    "unsupported",
    `the data directory ${directory} cannot be used (${code})`,
    {
      hint: "Choose another with --data, or give atoll the right to make it there.",
      cause,
    },
  );
}

async function checkDirectory(deps: DataDirDeps, directory: string): Promise<void> {
  const facts = await deps.disk.stat(directory);
  const problem = facts === undefined ? GONE : ownershipProblem(deps, facts);
  if (problem !== undefined) {
    throw new StorageFault("unsupported", `the data directory ${directory} ${problem.what}`, {
      hint: problem.hint,
    });
  }
  await checkFileSystem(deps, directory);
  const names = await deps.disk.list(directory);
  // One that holds segments was a site's: what it lacks is said once it has been looked for.
  if (names.includes(SITE_FILE) || (await hasSegments(deps.disk, directory, names))) return;
  const known = new Set<string>([...DIRECTORIES, ...OTHER_DIRECTORIES]);
  const foreign = names.find((name) => !known.has(name) && !HARMLESS_NAMES.test(name));
  if (foreign !== undefined) {
    throw new StorageFault(
      "unsupported",
      `the directory ${directory} holds no site but other files (such as "${foreign}")`,
      { hint: "Choose an empty or a new directory with --data." },
    );
  }
}

async function hasSegments(
  disk: Disk,
  directory: string,
  names: readonly string[],
): Promise<boolean> {
  if (!names.includes("segments")) return false;
  const found = await disk.list(`${directory}/segments`);
  return found.some((name) => parseSegmentName(name) !== undefined);
}

type Problem = { readonly what: string; readonly hint: string };

const GONE: Problem = { what: "has gone", hint: "Create it again, or check the mount." };

function ownershipProblem(deps: DataDirDeps, facts: FileFacts): Problem | undefined {
  if (facts.kind === "symlink") {
    return {
      what: "is a symbolic link",
      hint: "Give the directory it points to with --data, so that nobody can redirect it.",
    };
  }
  if (facts.kind !== "directory") {
    return { what: "is not a directory", hint: "Choose another path with --data." };
  }
  const { uid } = deps.processFacts;
  if (uid !== undefined && facts.uid !== uid) {
    return {
      what: `belongs to user ${facts.uid}, but atoll runs as user ${uid}`,
      // Most often it is the operator who is the wrong one: what a service owns must stay its own.
      hint:
        `Run atoll as that user: sudo -u '#${facts.uid}' atoll. Only a copy that was made for ` +
        `this user is to be given to it: chown -R ${uid} DIRECTORY`,
    };
  }
  if ((facts.mode & 0o002) !== 0) {
    return {
      what: "can be written by every user",
      // What is named by mistake may be /tmp.
      hint:
        "Choose a directory of its own with --data, or, if this one is for atoll alone, take " +
        "that right away: chmod 700 DIRECTORY",
    };
  }
  return undefined;
}

async function hasSite(disk: Disk, directory: string): Promise<boolean> {
  for (const name of [SITE_FILE, `${SITE_FILE}.bak`]) {
    if ((await disk.stat(`${directory}/${name}`)) !== undefined) return true;
  }
  if ((await disk.list(`${directory}/segments`)).length === 0) return false;
  throw new StorageFault(
    "corrupt",
    `${directory} holds segments, but its ${SITE_FILE} is missing`,
    {
      hint: `Bring ${SITE_FILE} back from a copy of the data directory; nothing has been changed.`,
    },
  );
}

async function checkFileSystem(deps: DataDirDeps, directory: string): Promise<void> {
  // Some systems give f_type as a signed number.
  const type = (await deps.disk.fileSystem(directory)).type >>> 0;
  const refused = REFUSED_FILE_SYSTEMS.get(type);
  if (refused !== undefined) {
    throw new StorageFault(
      "unsupported",
      `the data directory ${directory} lies on ${refused}, which cannot keep what it acknowledges`,
      { hint: "Choose a directory on a local disk (ext4, XFS, btrfs, ZFS) with --data." },
    );
  }
  const doubtful = DOUBTFUL_FILE_SYSTEMS.get(type);
  if (doubtful !== undefined) {
    deps.log.warn({ directory }, `the data directory lies on ${doubtful}`);
  }
}

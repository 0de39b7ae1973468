import { errnoOf, StorageFault } from "../core/faults.ts";
import type { Disk } from "../ports/disk.ts";

/** Where the version before the last one is kept. */
const BACKUP_SUFFIX = ".bak";
const TEMPORARY_SUFFIX = ".tmp";

/**
 * Replaces a small JSON file so that a power cut leaves the old or the new one, never a mixture.
 * The old one stays beside it as `.bak`. One writer at a time; rejects as Disk does.
 */
export async function writeJsonFile(disk: Disk, path: string, value: unknown): Promise<void> {
  const temporary = path + TEMPORARY_SUFFIX;
  await removeIfThere(disk, temporary);
  await createSynced(disk, temporary, `${JSON.stringify(value, undefined, 2)}\n`);
  if ((await disk.stat(path)) !== undefined) {
    // A second name, not a rename: at no moment is the file itself missing.
    await removeIfThere(disk, path + BACKUP_SUFFIX);
    await disk.link(path, path + BACKUP_SUFFIX);
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(directoryOf(path));
}

/**
 * Reads what `writeJsonFile` wrote. `parse` gives undefined for what is not this file's layout.
 * The `.bak` is only read when the file itself is missing or torn; undefined when both are absent.
 * Rejects with StorageFault "corrupt" when neither can be read.
 */
export async function readJsonFile<Value>(
  disk: Disk,
  path: string,
  parse: (value: unknown) => Value | undefined,
): Promise<Value | undefined> {
  const main = await readText(disk, path);
  const value = main === undefined ? undefined : parseText(main, parse);
  if (value !== undefined) return value;
  const backup = await readText(disk, path + BACKUP_SUFFIX);
  const older = backup === undefined ? undefined : parseText(backup, parse);
  if (older !== undefined) return older;
  if (main === undefined && backup === undefined) return undefined;
  throw new StorageFault("corrupt", `${path} cannot be read`, {
    hint: `Restore ${path} from a copy of the data directory; nothing has been changed.`,
  });
}

/** Writes a new file with mode 0600 and syncs it; its directory entry is not synced yet. */
export async function createSynced(disk: Disk, path: string, text: string): Promise<void> {
  const file = await disk.create(path, "buffered");
  try {
    await file.write(Buffer.from(text), 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Removes a file; one that is not there is fine. */
export async function removeIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.remove(path);
  } catch (failure) {
    if (errnoOf(failure) !== "ENOENT") throw failure;
  }
}

/** A whole text file, undefined when it is not there. */
export async function readText(
  disk: Pick<Disk, "readFile">,
  path: string,
): Promise<string | undefined> {
  try {
    return Buffer.from(await disk.readFile(path)).toString("utf8");
  } catch (failure) {
    if (errnoOf(failure) === "ENOENT") return undefined;
    throw failure;
  }
}

/** The directory part of an absolute path. */
export function directoryOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

/** The parsed value, undefined for text that is not JSON or that `parse` does not know. */
export function parseText<Value>(
  text: string,
  parse: (value: unknown) => Value | undefined,
): Value | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (failure) {
    if (failure instanceof SyntaxError) return undefined;
    throw failure;
  }
  return parse(value);
}

/** The value when it is a plain JSON object; for parsers that have no schema library. */
export function asFields(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? { ...value }
    : undefined;
}

/**
 * Refuses a file that a newer program wrote, by name; and one whose format is none that this
 * program has ever written, for it would be taken for torn, and what stands in its backup for true.
 * A file without a format is torn.
 */
export function refuseNewerFormat(path: string, format: unknown, supported: number): void {
  if (format === undefined) return;
  if (!Number.isInteger(format) || Number(format) < 1) {
    const what = `has format ${JSON.stringify(format)}, which this program does not know`;
    throw new StorageFault("unsupported", `${path} ${what}`, {
      hint: `Bring ${path} back from a copy of the data directory; nothing has been changed.`,
    });
  }
  if (Number(format) > supported) {
    throw new StorageFault("unsupported", `${path} has format ${format}, newer than this program`, {
      hint: "Start the newer version of atoll that wrote it.",
    });
  }
}

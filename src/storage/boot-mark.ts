import type { Disk } from "../ports/disk.ts";
import type { LogEnd } from "./commit-lane.ts";
import { asFields, parseText, readText, refuseNewerFormat, writeJsonFile } from "./json-file.ts";

/**
 * What is known of the last use of the data directory. After a clean shutdown, or on the same boot
 * and the same mount, the page cache has lost nothing and the index can be trusted.
 */
export type BootMark = {
  /** Id of the boot in which the site was last opened; undefined where nothing tells. */
  readonly bootId: string | undefined;
  /** The mount it was opened on; undefined where nothing tells. */
  readonly fileSystem: string | undefined;
  /** True when the site was closed in order; false while it is open. */
  readonly clean: boolean;
  /** Starts in a row that did not reach "serving"; two of them rebuild the index. */
  readonly failedStarts: number;
  /** Where the log ended when the mark was written: nothing before it may ever be missing. */
  readonly logEnd: LogEnd | undefined;
};

const FILE_NAME = "boot.json";
const FORMAT = 1;

/**
 * The mark in this data directory; undefined when there is none or it is torn. Never its backup:
 * that one may say "clean" of an earlier use.
 *
 * @throws StorageFault "unsupported" when a newer program wrote it.
 */
export async function readBootMark(disk: Disk, directory: string): Promise<BootMark | undefined> {
  const path = `${directory}/${FILE_NAME}`;
  const text = await readText(disk, path);
  return text === undefined ? undefined : parseText(text, (value) => parseMark(path, value));
}

/** Replaces the mark, durably. */
export async function writeBootMark(disk: Disk, directory: string, mark: BootMark): Promise<void> {
  await writeJsonFile(disk, `${directory}/${FILE_NAME}`, { format: FORMAT, ...mark });
}

/** True when nothing can have been lost from the page cache since the mark was written. */
export function isSameMount(mark: BootMark, now: Pick<BootMark, "bootId" | "fileSystem">): boolean {
  if (mark.bootId === undefined || mark.fileSystem === undefined) return false;
  return mark.bootId === now.bootId && mark.fileSystem === now.fileSystem;
}

function parseMark(path: string, value: unknown): BootMark | undefined {
  const fields = asFields(value);
  if (fields === undefined) return undefined;
  refuseNewerFormat(path, fields["format"], FORMAT);
  if (fields["format"] !== FORMAT) return undefined;
  const { bootId, fileSystem, clean, failedStarts } = fields;
  if (typeof clean !== "boolean" || typeof failedStarts !== "number") return undefined;
  return {
    bootId: typeof bootId === "string" ? bootId : undefined,
    fileSystem: typeof fileSystem === "string" ? fileSystem : undefined,
    clean,
    failedStarts,
    logEnd: parseLogEnd(fields["logEnd"]),
  };
}

function parseLogEnd(value: unknown): LogEnd | undefined {
  const fields = asFields(value);
  if (fields === undefined) return undefined;
  const { segment, offset } = fields;
  return typeof segment === "number" && typeof offset === "number"
    ? { segment, offset }
    : undefined;
}

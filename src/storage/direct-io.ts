import { LIMITS } from "../core/limits.ts";
import type { Disk, WriteMode } from "../ports/disk.ts";
import type { Log } from "../ports/log.ts";

/**
 * Finds out by a real write whether the file system takes direct I/O, unless it is set.
 *
 * @throws the file system's error when it is set to "on" and does not work.
 */
export async function probeWriteMode(
  { disk, log }: { disk: Disk; log: Log },
  directory: string,
  wanted: "auto" | "on" | "off",
): Promise<WriteMode> {
  if (wanted === "off") return "buffered";
  const path = `${directory}/direct-io-probe`;
  if ((await disk.stat(path)) !== undefined) await disk.remove(path);
  try {
    const file = await disk.create(path, "direct");
    try {
      await file.write(disk.allocateAligned(LIMITS.pageBytes), 0);
    } finally {
      await file.close();
      await disk.remove(path);
    }
    return "direct";
  } catch (failure) {
    if (wanted === "on") throw failure;
    log.info({ directory }, "no direct I/O here: writes go through the page cache and fdatasync");
    return "buffered";
  }
}

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Whether some bytes stand in any file of a site's segments. */
export function standsOnDisk(dataDirectory: string, bytes: Buffer): boolean {
  const directory = join(dataDirectory, "segments");
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .some((entry) => readFileSync(join(entry.parentPath, entry.name)).includes(bytes));
}

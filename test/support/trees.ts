import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

/** A real tree of some ten thousand files that every checkout has. */
export const NODE_MODULES = join(
  dirname(fileURLToPath(import.meta.url)),
  ...["..", "..", "node_modules"],
);

/** SHA-256 of every file below a directory by its path there; links and dot folders left out. */
export function digestsOf(directory: string): Map<string, string> {
  const digests = new Map<string, string>();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(directory, path);
    if (!entry.isFile() || name.startsWith(".")) continue;
    digests.set(name, createHash("sha256").update(readFileSync(path)).digest("hex"));
  }
  return digests;
}

/** Where two trees differ, in words; empty when they hold the same files with the same bytes. */
export function differencesOf(left: string, right: string): string[] {
  const before = digestsOf(left);
  const after = digestsOf(right);
  const differences: string[] = [];
  for (const [name, digest] of before) {
    if (!after.has(name)) differences.push(`${name} is missing`);
    else if (after.get(name) !== digest) differences.push(`${name} has other bytes`);
  }
  for (const name of after.keys()) {
    if (!before.has(name)) differences.push(`${name} is new`);
  }
  return differences;
}

/** A directory that is removed when the tests of this file are over. */
export function useScratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "atoll-clients-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

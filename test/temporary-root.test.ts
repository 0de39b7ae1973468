import { existsSync, mkdirSync, mkdtempSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";
import { clearStaleRoots } from "./support/temporary-root.ts";

const HOUR_S = 3600;

test("tests have a temporary directory of their run, which goes with it", () => {
  expect(basename(tmpdir())).toMatch(/^atoll-\d+-\w{6}$/);
  expect(basename(dirname(tmpdir()))).not.toMatch(/^atoll-/);
});

test("what killed runs have left is cleared, and nothing else", () => {
  const system = mkdtempSync(join(tmpdir(), "stale-"));
  const nowMs = Date.now();
  const made = (name: string, ageS: number): string => {
    const path = join(system, name);
    mkdirSync(path);
    writeFileSync(join(path, "file"), "left over");
    utimesSync(path, nowMs / 1000 - ageS, nowMs / 1000 - ageS);
    return path;
  };
  const gone = made("atoll-17-aB3dE6", 2 * HOUR_S);
  const kept = [
    made("atoll-18-aB3dE6", 2 * HOUR_S),
    made("atoll-17-xY3dE6", HOUR_S / 2),
    made("atoll-data-aB3dE6", 2 * HOUR_S),
    made("atoll-17", 2 * HOUR_S),
  ];
  clearStaleRoots(system, { isAlive: (pid) => pid === 18, nowMs });
  expect(existsSync(gone)).toBe(false);
  expect(kept.filter((path) => !existsSync(path))).toEqual([]);
});

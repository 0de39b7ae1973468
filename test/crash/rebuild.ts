import { createHash } from "node:crypto";
import { join } from "node:path";
import { expect } from "vitest";
import { openLmdb } from "../../src/ports/kv-lmdb.ts";
import { mustRun } from "../support/run-program.ts";
import { MAIN } from "./crash-server.ts";

/** Every row of the index of a stopped server: its key, and length and digest of its value. */
async function dumpIndex(dataDirectory: string): Promise<string[]> {
  const kv = await openLmdb(join(dataDirectory, "index"));
  const rows: string[] = [];
  for (const { key, value } of kv.range({})) {
    const digest = createHash("sha256").update(value).digest("hex").slice(0, 16);
    rows.push(`${Buffer.from(key).toString("latin1")}: ${value.length} bytes, ${digest}`);
  }
  await kv.close();
  return rows;
}

/** Makes the index of a stopped server anew from the log: it has to be the same, row for row. */
export async function expectSameIndexWhenRebuilt(dataDirectory: string): Promise<void> {
  const before = await dumpIndex(dataDirectory);
  await mustRun(process.execPath, [MAIN, "rebuild-index", "--data", dataDirectory]);
  const after = await dumpIndex(dataDirectory);
  expect(before.length).toBeGreaterThan(0);
  expect(after, "the index made anew from the log").toEqual(before);
}

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { WriteMode } from "./disk.ts";
import { createNodeDisk } from "./node-disk.ts";
import { WritePace } from "./write-pace.ts";

vi.mock("node:fs", { spy: true });

const PAGE = 4096;
const disk = createNodeDisk();
let directory: string;
let isFast: boolean;

beforeEach(() => {
  directory = fs.mkdtempSync(`${tmpdir()}/atoll-node-disk-`);
  isFast = true;
  vi.spyOn(WritePace.prototype, "isFast", "get").mockImplementation(() => isFast);
});
afterEach(() => {
  vi.restoreAllMocks();
  fs.rmSync(directory, { recursive: true, force: true });
});

/** Writes once; gives how often this thread wrote, and how often another one was asked to. */
async function writesOf(
  mode: WriteMode,
  bytes: number,
  isAlone: boolean,
): Promise<[number, number]> {
  const file = await disk.create(`${directory}/file`, mode);
  vi.mocked(fs.writeSync).mockClear();
  vi.mocked(fs.write).mockClear();
  await file.write(disk.allocateAligned(bytes).fill(7), 0, isAlone);
  const calls = [fs.writeSync, fs.write].map((call) => vi.mocked(call).mock.calls.length);
  await file.close();
  expect(fs.readFileSync(`${directory}/file`).equals(Buffer.alloc(bytes, 7))).toBe(true);
  return [calls[0] ?? 0, calls[1] ?? 0];
}

test("a small direct write that is alone is done on this thread while the disk is fast", async () => {
  const note = vi.spyOn(WritePace.prototype, "note");
  expect(await writesOf("direct", 4 * PAGE, true)).toEqual([1, 0]);
  expect(note).toHaveBeenCalledOnce();
});

test.each([
  ["is not alone", "direct", PAGE, false],
  ["is larger", "direct", 5 * PAGE, true],
  ["goes through the page cache", "buffered", PAGE, true],
] as const)("a write that %s is handed to another thread", async (_how, mode, bytes, isAlone) => {
  expect(await writesOf(mode, bytes, isAlone)).toEqual([0, 1]);
});

test("a write that is alone is handed to another thread where the disk is slow", async () => {
  isFast = false;
  expect(await writesOf("direct", PAGE, true)).toEqual([0, 1]);
});

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

test("parts of which the disk has taken some are gone on with, wherever it stopped", async () => {
  const { writev } = await vi.importActual<typeof fs>("node:fs");
  for (const taken of [[PAGE], [PAGE, PAGE], [PAGE, 2 * PAGE], [PAGE, 2 * PAGE, PAGE]]) {
    const parts = [1, 2, 3].map((value) => disk.allocateAligned(value * PAGE).fill(value));
    vi.mocked(fs.writev).mockImplementationOnce((descriptor, buffers, at, done) => {
      const some = buffers.flatMap((part, index) => {
        const bytes = taken[index];
        return bytes === undefined ? [] : [(part as Uint8Array).subarray(0, bytes)];
      });
      writev(descriptor, some, at ?? 0, done);
    });
    const file = await disk.create(`${directory}/${taken.length} ${taken.at(-1)}`, "direct");
    await file.writeParts(parts, PAGE);
    await file.close();
    const read = fs.readFileSync(`${directory}/${taken.length} ${taken.at(-1)}`);
    expect(read.subarray(PAGE).equals(Buffer.concat(parts))).toBe(true);
  }
});

test.each([
  ["nothing", 0],
  ["a part of a page", 100],
])("a direct write of parts of which the disk takes %s fails", async (_what, count) => {
  vi.mocked(fs.writev).mockImplementationOnce((_descriptor, buffers, _at, done) => {
    done(null, count, buffers);
  });
  const file = await disk.create(`${directory}/file`, "direct");
  const parts = [1, 2].map((value) => disk.allocateAligned(PAGE).fill(value));
  await expect(file.writeParts(parts, 0)).rejects.toMatchObject({ code: "EIO" });
  await file.close();
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

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cryptoRandom } from "../ports/crypto-random.ts";
import type { Disk } from "../ports/disk.ts";
import { createNodeDisk } from "../ports/node-disk.ts";
import { openKeyRing } from "./cluster-keys.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "atoll-ring-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const FILE = "cluster-key.json";
const REAL = { disk: createNodeDisk(), random: cryptoRandom };

/** The real disk, but for one call that fails for as long as it is told to. */
function failingDisk(name: "create" | "rename" | "syncDirectory") {
  const real = createNodeDisk();
  const state = { fails: false };
  const disk: Disk = Object.assign(Object.create(real), {
    [name]: async (...given: never[]) => {
      if (state.fails) throw Object.assign(new Error("EIO"), { code: "EIO" });
      const call = real[name] as (...all: never[]) => unknown;
      return call.apply(real, given);
    },
  });
  return { disk, state };
}

test.each(["create", "rename"] as const)(
  "a rotation whose %s fails changes nothing, and can be tried again",
  async (name) => {
    const { disk, state } = failingDisk(name);
    const ring = await openKeyRing({ disk, random: cryptoRandom }, directory, false);
    state.fails = true;
    await expect(ring.rotate()).rejects.toThrow("EIO");
    expect([ring.current, ring.keys.size]).toEqual(["1", 1]);
    const kept = await openKeyRing(REAL, directory, true);
    expect([kept.current, kept.keys.size]).toEqual(["1", 1]);
    state.fails = false;
    expect(await ring.rotate()).toBe("2");
    expect((await openKeyRing(REAL, directory, true)).current).toBe("2");
  },
);

test("nothing is sealed with a key before it is durable", async () => {
  const { disk, state } = failingDisk("syncDirectory");
  const ring = await openKeyRing({ disk, random: cryptoRandom }, directory, false);
  state.fails = true;
  await expect(ring.rotate()).rejects.toThrow("EIO");
  expect(ring.current).toBe("1");
});

test("a ring that is torn is read from the copy before it, never made anew", async () => {
  const ring = await openKeyRing(REAL, directory, false);
  await ring.rotate();
  await ring.rotate();
  await writeFile(join(directory, FILE), "{");
  const older = await openKeyRing(REAL, directory, true);
  expect([older.current, [...older.keys.keys()]]).toEqual(["2", ["1", "2"]]);
  expect(await readFile(join(directory, FILE), "utf8")).toBe("{");
});

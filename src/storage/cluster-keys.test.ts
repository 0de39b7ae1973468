import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LIMITS } from "../core/limits.ts";
import { parseSiteId } from "../core/names.ts";
import { isSealedWithCurrent, type KeyRing, sealSecret, unsealSecret } from "../core/seal.ts";
import { required } from "../core/tagged-fields.ts";
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

const OTHER: KeyRing = { current: "1", keys: new Map([["1", Buffer.alloc(32, 7)]]) };

test("a ring that is adopted seals from then on, and the old one still opens what it sealed", async () => {
  const ring = await openKeyRing(REAL, directory, false);
  const before = sealSecret(ring, Buffer.from("old"), "place", Buffer.alloc(12, 1));
  await ring.adopt(OTHER);
  await ring.adopt(OTHER);
  const reopened = await openKeyRing(REAL, directory, true);
  for (const one of [ring, reopened]) {
    expect(one.former).toHaveLength(1);
    const after = sealSecret(one, Buffer.from("new"), "place", Buffer.alloc(12, 2));
    expect(String(unsealSecret(OTHER, after, "place"))).toBe("new");
    expect(String(unsealSecret(one, before, "place"))).toBe("old");
    expect(unsealSecret(one, before, "elsewhere")).toBeUndefined();
    expect(isSealedWithCurrent(one, before, "place")).toBe(false);
    expect(isSealedWithCurrent(one, after, "place")).toBe(true);
  }
});

test("rings of two sites that rotated at once become one ring, in either order", async () => {
  const first = await openKeyRing(REAL, directory, false);
  const shared: KeyRing = { current: first.current, keys: first.keys };
  const elsewhere = await mkdtemp(join(tmpdir(), "atoll-ring-"));
  try {
    const second = await openKeyRing(REAL, elsewhere, false);
    await second.adopt(shared);
    first.share(required(parseSiteId("11".repeat(8)), "site"));
    second.share(required(parseSiteId("22".repeat(8)), "site"));
    await Promise.all([first.rotate(), second.rotate()]);
    const copies = [first, second].map(({ current, keys }) => ({ current, keys }));
    const [ofFirst = OTHER, ofSecond = OTHER] = copies;
    expect(await first.merge(ofSecond)).toBe(true);
    expect(await second.merge(ofFirst)).toBe(true);
    expect(await second.merge(ofFirst)).toBe(false);
    expect(first.current).toBe(second.current);
    expect(new Map([...first.keys].sort())).toEqual(new Map([...second.keys].sort()));
    expect(first.keys.size).toBe(3);
  } finally {
    await rm(elsewhere, { recursive: true, force: true });
  }
});

test("keys that several sites made as the last ones of a full ring are all taken", async () => {
  const elsewhere = await mkdtemp(join(tmpdir(), "atoll-ring-"));
  try {
    const keys = new Map(
      Array.from({ length: LIMITS.keyRingKeysMax - 1 }, (_, at) => [
        `${at + 1}`,
        Buffer.alloc(32, at),
      ]),
    );
    const current = `${keys.size}`;
    const rings = [directory, elsewhere].map((place) => openKeyRing(REAL, place, false));
    const [first, second] = await Promise.all(rings);
    for (const [ring, site] of [
      [first, "00000000000000aa"],
      [second, "00000000000000bb"],
    ] as const) {
      if (ring === undefined) throw new Error("a ring was not opened");
      await ring.adopt({ current, keys });
      ring.share(required(parseSiteId(site), "site"));
      await ring.rotate();
      await expect(ring.rotate()).rejects.toMatchObject({ kind: "unsupported" });
    }
    if (first === undefined || second === undefined) throw new Error("a ring was not opened");
    expect(await first.merge(second)).toBe(true);
    expect(await second.merge(first)).toBe(true);
    expect(first.keys.size).toBe(LIMITS.keyRingKeysMax + 1);
    expect(second.current).toBe(first.current);
    const flood = new Map(
      Array.from({ length: 2 * LIMITS.keyRingKeysMax }, (_, at) => [
        `${at + 5000}`,
        Buffer.alloc(32),
      ]),
    );
    expect(await first.merge({ current: "5000", keys: flood })).toBe(false);
  } finally {
    await rm(elsewhere, { recursive: true, force: true });
  }
});

test("an adoption that fails leaves the ring that was there, and can be tried again", async () => {
  const { disk, state } = failingDisk("rename");
  const ring = await openKeyRing({ disk, random: cryptoRandom }, directory, false);
  const until = ring.keys;
  state.fails = true;
  await expect(ring.adopt(OTHER)).rejects.toThrow("EIO");
  expect(ring.keys).toBe(until);
  expect((await openKeyRing(REAL, directory, true)).keys).toEqual(until);
  state.fails = false;
  await ring.adopt(OTHER);
  expect([...ring.keys]).toEqual([...OTHER.keys]);
});

import { expect, test } from "vitest";
import type { Kv } from "../../src/ports/kv.ts";
import { Seed } from "./seed.ts";
import { SimDisk } from "./sim-disk.ts";
import { damageSimKv, openSimKv } from "./sim-kv.ts";

const SEEDS = 80;

function open(seed: number): SimDisk {
  return new SimDisk(new Seed(seed), { directories: ["/d"] });
}

async function put(kv: Kv, key: string, value: string): Promise<void> {
  await kv.write([{ key: Buffer.from(key), value: Buffer.from(value) }]);
}

function show(kv: Kv): string {
  return [...kv.range({})]
    .map((row) => `${Buffer.from(row.key)}=${Buffer.from(row.value)}`)
    .join(",");
}

/** The rows found after a power cut; "broken" when the store cannot be opened. */
async function look(disk: SimDisk): Promise<string> {
  try {
    return show(await openSimKv(disk)("/d/index"));
  } catch {
    return "broken";
  }
}

test("a power cut rolls an unsynced index back to any state, damages it or loses it", async () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < SEEDS; seed++) {
    const disk = open(seed);
    const kv = await openSimKv(disk)("/d/index");
    await disk.syncDirectory("/d");
    await kv.sync();
    await put(kv, "a", "1");
    await put(kv, "b", "2");
    seen.add(await look(disk.crash()));
  }
  for (const state of ["", "a=1", "a=1,b=2", "broken"]) expect([...seen]).toContain(state);
  expect(seen.size).toBeGreaterThan(4);
});

test("a synced index and a backup survive a power cut as they were", async () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const disk = open(seed);
    const kv = await openSimKv(disk)("/d/index");
    await put(kv, "a", "1");
    await kv.sync();
    await kv.backup("/d/copy");
    await disk.syncDirectory("/d");
    if (seed % 2 === 0) {
      expect(await look(disk.crash())).toBe("a=1");
      continue;
    }
    await put(kv, "b", "2");
    const after = disk.crash();
    await after.removeTree("/d/index");
    await after.rename("/d/copy", "/d/index");
    expect(await look(after)).toBe("a=1");
  }
});

test("a killed process leaves every resolved write and never half a batch", async () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const disk = open(seed);
    const kv = await openSimKv(disk)("/d/index");
    await put(kv, "a", "1");
    disk.steps.cutPowerAt(disk.steps.steps + 1);
    const mutations = ["b", "c"].map((key) => ({ key: Buffer.from(key), value: Buffer.from("2") }));
    await expect(kv.write(mutations)).rejects.toThrow("power cut");
    expect(["a=1", "a=1,b=2,c=2"]).toContain(await look(disk.kill()));
  }
});

test("a failed commit stops the store for good", async () => {
  const disk = open(1);
  const kv = await openSimKv(disk)("/d/index");
  disk.steps.failCall(disk.steps.calls + 1, "EIO");
  await expect(put(kv, "a", "1")).rejects.toMatchObject({ code: "EIO" });
  await expect(put(kv, "b", "1")).rejects.toMatchObject({ code: "EIO" });
  expect(show(kv)).toBe("");
});

test("damage in place changes rows without saying so", async () => {
  const disk = open(1);
  const kv = await openSimKv(disk)("/d/index");
  for (let key = 0; key < 100; key++) await put(kv, `k${key}`, "value");
  const before = show(kv);
  damageSimKv(disk, "/d/index", new Seed("rot"));
  expect(show(kv)).not.toBe(before);
});

import { describe, expect, test } from "vitest";
import { Seed } from "./seed.ts";
import { SimDisk } from "./sim-disk.ts";
import { type InjectedFault, PowerCut, type SimCall } from "./sim-steps.ts";

const SEEDS = 60;

function open(seed: number | string, capacityBytes?: number): SimDisk {
  const options = { directories: ["/d"], ...(capacityBytes !== undefined && { capacityBytes }) };
  return new SimDisk(new Seed(seed), options);
}

/** What each of many power cuts leaves of the same history. */
async function outcomes(
  history: (disk: SimDisk) => Promise<unknown>,
  look: (disk: SimDisk) => Promise<string>,
): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let seed = 0; seed < SEEDS; seed++) {
    const disk = open(seed);
    await history(disk);
    seen.add(await look(disk.crash()));
  }
  return seen;
}

async function writeFile(disk: SimDisk, path: string, text: string, sync = true): Promise<void> {
  const file = await disk.create(path, "buffered");
  await file.write(Buffer.from(text), 0);
  if (sync) await file.sync();
  await file.close();
}

const names = async (disk: SimDisk): Promise<string> => (await disk.list("/d")).join(",");
const text = async (disk: SimDisk, path: string): Promise<string> =>
  (await disk.stat(path)) === undefined
    ? "(none)"
    : Buffer.from(await disk.readFile(path)).toString("latin1");

describe("a power cut", () => {
  test("keeps what was synced, bytes and name", async () => {
    const seen = await outcomes(
      async (disk) => {
        await writeFile(disk, "/d/f", "kept");
        await disk.syncDirectory("/d");
      },
      (disk) => text(disk, "/d/f"),
    );
    expect(seen).toEqual(new Set(["kept"]));
  });

  test("may lose a synced file whose directory was not synced", async () => {
    const seen = await outcomes((disk) => writeFile(disk, "/d/f", "kept"), names);
    expect(seen).toEqual(new Set(["", "f"]));
  });

  test("may lose, keep or tear what was not synced, but only at sectors", async () => {
    const old = "a".repeat(4096);
    const seen = await outcomes(
      async (disk) => {
        await writeFile(disk, "/d/f", old);
        await disk.syncDirectory("/d");
        const file = await disk.openWrite("/d/f", "buffered");
        await file.write(Buffer.from("b".repeat(4096)), 0);
      },
      (disk) => text(disk, "/d/f"),
    );
    expect(seen.has(old)).toBe(true);
    expect(seen.has("b".repeat(4096))).toBe(true);
    expect(seen.size).toBeGreaterThan(10);
    for (const bytes of seen) {
      for (let at = 0; at < 4096; at += 512) {
        expect(["a".repeat(512), "b".repeat(512)]).toContain(bytes.slice(at, at + 512));
      }
    }
  });

  test("may keep a later write and lose an earlier one", async () => {
    const seen = await outcomes(
      async (disk) => {
        const file = await disk.create("/d/f", "buffered");
        await disk.syncDirectory("/d");
        await file.write(Buffer.alloc(4096, "1"), 0);
        await file.write(Buffer.alloc(4096, "2"), 4096);
      },
      async (disk) => {
        const bytes = await text(disk, "/d/f");
        return `${bytes.slice(0, 1)}${bytes.slice(4096, 4097)}`;
      },
    );
    expect([...seen]).toContain("\u00002");
    expect([...seen]).toContain("12");
  });

  test("keeps a resolved direct write and leaves one under way open", async () => {
    const seen = await outcomes(
      async (disk) => {
        const file = await disk.create("/d/f", "direct");
        await disk.syncDirectory("/d");
        await file.write(disk.allocateAligned(4096).fill(65), 0);
        disk.steps.cutPowerAt(disk.steps.steps + 2);
        const pending = file.write(disk.allocateAligned(4096).fill(66), 4096);
        const cutting = file.write(disk.allocateAligned(4096).fill(67), 8192);
        await Promise.allSettled([pending, cutting]);
      },
      async (disk) => {
        const bytes = await text(disk, "/d/f");
        return [bytes[0], bytes[4096], bytes[8192]].map((value) => value ?? "-").join("");
      },
    );
    for (const left of seen) expect(left[0]).toBe("A");
    expect(seen.size).toBeGreaterThan(3);
  });

  test("may or may not apply a cut that was not synced", async () => {
    const seen = await outcomes(
      async (disk) => {
        await writeFile(disk, "/d/f", "0123456789");
        await disk.syncDirectory("/d");
        const file = await disk.openWrite("/d/f", "buffered");
        await file.truncate(4);
      },
      async (disk) => String((await disk.stat("/d/f"))?.sizeBytes),
    );
    expect(seen).toEqual(new Set(["4", "10"]));
  });

  test("leaves the old or the new file after an unsynced rename, never none", async () => {
    const seen = await outcomes(
      async (disk) => {
        await writeFile(disk, "/d/f", "old");
        await disk.syncDirectory("/d");
        await writeFile(disk, "/d/f.tmp", "new");
        await disk.rename("/d/f.tmp", "/d/f");
      },
      (disk) => text(disk, "/d/f"),
    );
    expect(seen).toEqual(new Set(["old", "new"]));
  });

  test("may bring back a removed file, until its directory is synced", async () => {
    const history = async (disk: SimDisk): Promise<void> => {
      await writeFile(disk, "/d/f", "x");
      await disk.syncDirectory("/d");
      await disk.remove("/d/f");
    };
    expect(await outcomes(history, names)).toEqual(new Set(["", "f"]));
    const synced = await outcomes(async (disk) => {
      await history(disk);
      await disk.syncDirectory("/d");
    }, names);
    expect(synced).toEqual(new Set([""]));
  });

  test("syncing one directory promises nothing about another", async () => {
    const seen = await outcomes(async (disk) => {
      await disk.makeDirectory("/d/e");
      await writeFile(disk, "/d/e/f", "x");
      await disk.syncDirectory("/d/e");
    }, names);
    expect(seen).toEqual(new Set(["", "e"]));
  });

  test("leaves the same for the same seed", async () => {
    const run = async (): Promise<string> => {
      const disk = open("replay");
      await writeFile(disk, "/d/f", "x".repeat(50_000), false);
      await writeFile(disk, "/d/g", "y".repeat(50_000), false);
      const after = disk.crash();
      return `${await names(after)} ${await text(after, "/d/f")} ${await text(after, "/d/g")}`;
    };
    expect(await run()).toBe(await run());
  });

  test("ends every later operation of the old machine", async () => {
    const disk = open(1);
    await writeFile(disk, "/d/f", "x");
    const reader = await disk.openRead("/d/f");
    disk.steps.cutPowerAt(disk.steps.steps + 1);
    await expect(disk.remove("/d/f")).rejects.toThrow(PowerCut);
    await disk.steps.cut;
    await expect(disk.stat("/d/f")).rejects.toThrow(PowerCut);
    await expect(disk.create("/d/g", "buffered")).rejects.toThrow(PowerCut);
    expect(() => reader.readSync(Buffer.alloc(1), 0)).toThrow(PowerCut);
  });
});

describe("killing the process", () => {
  test("keeps everything written, synced or not, but open to a later power cut", async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = open(seed);
      await writeFile(disk, "/d/f", "written", false);
      const next = disk.kill();
      expect(await text(next, "/d/f")).toBe("written");
      await expect(disk.stat("/d/f")).rejects.toThrow(PowerCut);
      seen.add(await names(next.crash()));
    }
    expect(seen).toEqual(new Set(["", "f"]));
  });
});

describe("faults", () => {
  const faults: ReadonlyArray<readonly [InjectedFault, string]> = [
    ["EIO", "EIO"],
    ["ENOSPC", "ENOSPC"],
    ["EMFILE", "EMFILE"],
    ["short-write", "ENOSPC"],
  ];

  test.each(faults)("the n-th call fails with %s, and only that one", async (fault, code) => {
    const disk = open(1);
    const file = await disk.create("/d/f", "buffered");
    disk.steps.failCall(disk.steps.calls + 2, fault);
    await file.write(Buffer.from("one"), 0);
    await expect(file.write(Buffer.from("two"), 3)).rejects.toMatchObject({ code });
    await file.write(Buffer.from("three"), 3);
    expect(await text(disk, "/d/f")).toBe("onethree");
  });

  test("a failed write leaves a beginning of its bytes, or nothing", async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = open(seed);
      const file = await disk.create("/d/f", "buffered");
      disk.steps.failWhen((call) => (call.kind === "write" ? "EIO" : undefined));
      await expect(file.write(Buffer.from("abcd"), 0)).rejects.toMatchObject({ code: "EIO" });
      seen.add(await text(disk, "/d/f"));
    }
    expect([...seen].sort()).toEqual(["", "a", "ab", "abc", "abcd"]);
  });

  test("after a failed sync reads look fine, a second sync succeeds, and the bytes are gone", async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = open(seed);
      await writeFile(disk, "/d/f", "old!");
      await disk.syncDirectory("/d");
      const file = await disk.openWrite("/d/f", "buffered");
      await file.write(Buffer.from("new!"), 0);
      disk.steps.failCall(disk.steps.calls + 1, "EIO");
      await expect(file.sync()).rejects.toMatchObject({ code: "EIO" });
      expect(await text(disk, "/d/f")).toBe("new!");
      await file.sync();
      seen.add(await text(disk.crash(), "/d/f"));
    }
    expect(seen).toEqual(new Set(["old!", "new!"]));
  });

  test("a full disk takes what fits and says ENOSPC, and removing gives room", async () => {
    const disk = open(1, 16_384);
    await writeFile(disk, "/d/f", "x".repeat(12_288));
    const file = await disk.create("/d/g", "buffered");
    await expect(file.write(Buffer.alloc(8192), 0)).rejects.toMatchObject({ code: "ENOSPC" });
    expect((await disk.fileSystem("/d")).freeBytes).toBe(0);
    await disk.remove("/d/f");
    await file.write(Buffer.alloc(8192), 0);
  });

  test("a flipped bit stays flipped, across a power cut too", async () => {
    const disk = open(1);
    await writeFile(disk, "/d/f", "AAAA");
    await disk.syncDirectory("/d");
    disk.flipBit("/d/f", 8);
    expect(await text(disk, "/d/f")).toBe("A@AA");
    expect(await text(disk.crash(), "/d/f")).toBe("A@AA");
  });

  test("bytes changed while they are being written are noticed", async () => {
    const file = await open(1).create("/d/f", "buffered");
    const bytes = Buffer.from("abc");
    const writing = file.write(bytes, 0);
    bytes[0] = 0;
    await expect(writing).rejects.toThrow("bytes were changed");
  });
});

test("every operation is announced with its number before it happens", async () => {
  const disk = open(1);
  const calls: SimCall[] = [];
  disk.steps.onStep((call) => calls.push(call));
  await writeFile(disk, "/d/f", "x");
  await disk.readFile("/d/f");
  await disk.remove("/d/f");
  expect(calls.map(({ kind, step }) => [kind, step])).toEqual([
    ["create", 1],
    ["write", 2],
    ["sync", 3],
    ["read", 0],
    ["remove", 4],
  ]);
});

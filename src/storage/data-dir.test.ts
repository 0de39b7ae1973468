import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { cryptoRandom } from "../ports/crypto-random.ts";
import type { Disk } from "../ports/disk.ts";
import type { Log } from "../ports/log.ts";
import { createNodeDisk } from "../ports/node-disk.ts";
import { createProcessFacts } from "../ports/process-facts.ts";
import { systemClock } from "../ports/system-clock.ts";
import { isSameMount, readBootMark, writeBootMark } from "./boot-mark.ts";
import { type DataDirDeps, type DataDirSettings, openDataDir } from "./data-dir.ts";
import { chooseRootKey, openRootKey, readRootKey, rotateRootKey } from "./root-key.ts";

const nothing = (): void => undefined;
const silent: Log = {
  debug: nothing,
  info: nothing,
  infoLine: nothing,
  warn: nothing,
  error: nothing,
  child: () => silent,
  flush: async () => undefined,
};

function depsWith(changes: Partial<DataDirDeps> = {}): DataDirDeps {
  return {
    disk: createNodeDisk(),
    clock: systemClock,
    random: cryptoRandom,
    log: silent,
    processFacts: createProcessFacts(),
    answers: async () => false,
    ...changes,
  };
}

/** A disk that has no room but that of the file "reserve". */
function fullDisk(directory: string): Disk {
  const disk = createNodeDisk();
  const isFull = async () => (await disk.stat(join(directory, "reserve"))) !== undefined;
  return {
    ...disk,
    fileSystem: async (path) => ({
      ...(await disk.fileSystem(path)),
      freeBytes: (await isFull()) ? 0 : 16 * 1024 * 1024,
    }),
    create: async (path, mode) => {
      if (await isFull()) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
      return disk.create(path, mode);
    },
  };
}

function diskOfType(type: number): Disk {
  const disk = createNodeDisk();
  return { ...disk, fileSystem: async () => ({ type, freeBytes: 1e9, totalBytes: 1e10 }) };
}

describe("a data directory", () => {
  let parent: string;
  let settings: DataDirSettings;

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), "atoll-data-"));
    settings = {
      directory: join(parent, "new", "data"),
      siteName: undefined,
      socketPath: undefined,
    };
  });

  async function openAndRelease(changes: Partial<DataDirSettings> = {}) {
    const opened = await openDataDir(depsWith(), { ...settings, ...changes });
    await opened.release();
    return opened;
  }

  test("is opened on a full disk in the room that was set aside for that", async () => {
    const first = await openAndRelease();
    await writeFile(join(settings.directory, "reserve"), "room");
    const disk = fullDisk(settings.directory);
    const second = await openDataDir(depsWith({ disk }), settings);
    await second.release();
    expect(second.identity).toEqual(first.identity);
    expect(await disk.stat(join(settings.directory, "reserve"))).toBeUndefined();
  });

  test("is made with its parents, for its owner only, and is the same site when opened again", async () => {
    const first = await openAndRelease();
    const second = await openAndRelease();
    expect(second.identity).toEqual(first.identity);
    expect(second.keyRing).toEqual(first.keyRing);
    expect(first.identity.incarnation).toBe(1);
    for (const name of ["", "segments", "index", "checkpoint"]) {
      expect((await stat(join(settings.directory, name))).mode & 0o777).toBe(0o700);
    }
    expect(await createNodeDisk().list(settings.directory)).not.toContain("quarantine");
    for (const name of ["site.json", "cluster-key.json"]) {
      expect((await stat(join(settings.directory, name))).mode & 0o777).toBe(0o600);
    }
  });

  test("takes the name it is given and keeps it", async () => {
    await openAndRelease({ siteName: "berlin" });
    expect((await openAndRelease()).identity.name).toBe("berlin");
    expect((await openAndRelease({ siteName: "paris" })).identity.name).toBe("paris");
  });

  test("that was copied continues as a new origin of the same site", async () => {
    const original = await openAndRelease();
    const copy = join(parent, "copy");
    await cp(settings.directory, copy, { recursive: true });
    const opened = await openAndRelease({ directory: copy });
    expect(opened.identity.siteId).toBe(original.identity.siteId);
    expect(opened.identity.incarnation).toBe(2);
    expect(opened.identity.origin).not.toBe(original.identity.origin);
    const again = await openAndRelease({ directory: copy });
    expect(again.identity).toEqual(opened.identity);
    expect((await openAndRelease()).identity).toEqual(original.identity);
  });

  test("is refused while another opener holds it", async () => {
    const held = await openDataDir(depsWith(), settings);
    await expect(openAndRelease()).rejects.toMatchObject({ kind: "locked" });
    await held.release();
    await openAndRelease();
  });

  test("reached by a symbolic link is refused", async () => {
    await openAndRelease();
    const link = join(parent, "link");
    await symlink(settings.directory, link);
    await expect(openAndRelease({ directory: link })).rejects.toThrow("is a symbolic link");
  });

  test("of another user is refused", async () => {
    await openAndRelease();
    const processFacts = { ...createProcessFacts(), uid: 4711 };
    await expect(openDataDir(depsWith({ processFacts }), settings)).rejects.toMatchObject({
      kind: "unsupported",
      message: expect.stringMatching(/belongs to user \d+, but atoll runs as user 4711/),
    });
  });

  test("that cannot be where it is asked for is refused with what to do", async () => {
    const file = join(settings.directory, "file");
    await mkdir(settings.directory, { recursive: true, mode: 0o700 });
    await writeFile(file, "");
    for (const [directory, code] of [
      [join(file, "data"), "ENOTDIR"],
      ["/proc/atoll-data", "ENOENT"],
    ] as const) {
      await expect(openDataDir(depsWith(), { ...settings, directory })).rejects.toMatchObject({
        ...{ kind: "unsupported", hint: expect.stringContaining("--data") },
        message: `the data directory ${directory} cannot be used (${code})`,
      });
    }
  });

  test("that everybody can write is refused", async () => {
    await openAndRelease();
    await chmod(settings.directory, 0o777);
    await expect(openAndRelease()).rejects.toThrow("written by every user");
  });

  test("with somebody's files in it is left alone", async () => {
    await mkdir(settings.directory, { recursive: true });
    await writeFile(join(settings.directory, "thesis.tex"), "x");
    await expect(openAndRelease()).rejects.toThrow('"thesis.tex"');
  });

  test("that is a file is refused", async () => {
    const directory = join(parent, "file");
    await writeFile(directory, "x");
    await expect(openAndRelease({ directory })).rejects.toThrow("is not a directory");
  });

  test.each([
    ["NFS", 0x6969],
    ["CIFS", 0xff534d42 | 0],
    ["FUSE", 0x65735546],
  ])("on %s is refused by name", async (name, type) => {
    await mkdir(settings.directory, { recursive: true, mode: 0o700 });
    const opened = openDataDir(depsWith({ disk: diskOfType(type) }), settings);
    await expect(opened).rejects.toMatchObject({
      kind: "unsupported",
      message: expect.stringContaining(name),
    });
  });

  test("on a container's overlay opens with a warning", async () => {
    const warnings: string[] = [];
    const log = { ...silent, warn: (_: unknown, message: string) => warnings.push(message) };
    const opened = await openDataDir(depsWith({ disk: diskOfType(0x794c7630), log }), settings);
    await opened.release();
    expect(warnings).toEqual([expect.stringContaining("overlay")]);
  });

  test("that lost its cluster key is refused instead of sealing with a new one", async () => {
    await openAndRelease();
    await rm(join(settings.directory, "cluster-key.json"));
    await expect(openAndRelease()).rejects.toMatchObject({ kind: "corrupt" });
  });

  test("that lost its site.json but has segments is refused", async () => {
    await openAndRelease();
    await writeFile(join(settings.directory, "segments", "seg-0000000001.atoll"), "x");
    await writeFile(join(settings.directory, "boot.json"), "{}");
    await rm(join(settings.directory, "site.json"));
    await expect(openAndRelease()).rejects.toThrow(/holds segments, but its site\.json is missing/);
  });

  test("of a newer program is refused by name", async () => {
    await openAndRelease();
    const path = join(settings.directory, "site.json");
    const stored = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...stored, format: 3 }));
    await expect(openAndRelease()).rejects.toMatchObject({ kind: "unsupported" });
  });

  test("keeps its root key until it is rotated, and then not even in a backup", async () => {
    await openAndRelease();
    const deps = { disk: createNodeDisk(), random: cryptoRandom };
    const first = await openRootKey(deps, settings.directory);
    expect(await readRootKey(deps.disk, settings.directory)).toEqual(first);
    expect(first.id).toMatch(/^ATOL[A-Z2-7]{16}$/);
    expect(first.secret).toMatch(/^[A-Za-z0-9._]{40}$/);
    const second = await rotateRootKey(deps, settings.directory);
    expect(second.secret).not.toBe(first.secret);
    for (const name of ["root-key.json", "root-key.json.bak"]) {
      expect(await readFile(join(settings.directory, name), "utf8")).not.toContain(first.secret);
    }
  });

  test("has the root key in force that was given out last, of several rotations at once", async () => {
    const deps = depsWith();
    await openAndRelease();
    const rootKey = await chooseRootKey(deps, settings.directory, undefined);
    const pairs = await Promise.all([1, 2, 3, 4].map(() => rootKey.rotate()));
    expect(new Set(pairs.map(({ secret }) => secret)).size).toBe(4);
    expect(rootKey.current()).toEqual(pairs[3]);
    expect(await readRootKey(deps.disk, settings.directory)).toEqual(pairs[3]);
  });

  test("may hold the directory that earlier programs made for nothing, before and after", async () => {
    await mkdir(join(settings.directory, "quarantine"), { recursive: true, mode: 0o700 });
    await chmod(settings.directory, 0o700);
    const first = await openAndRelease();
    expect((await openAndRelease()).identity).toEqual(first.identity);
    expect(await createNodeDisk().list(settings.directory)).toContain("quarantine");
  });

  test("whose boot mark a newer program wrote is refused by name", async () => {
    await openAndRelease();
    const path = join(settings.directory, "boot.json");
    await writeFile(path, JSON.stringify({ format: 2, clean: true, failedStarts: 0 }));
    // Taken for torn, it would no longer say where the log has to end.
    await expect(readBootMark(createNodeDisk(), settings.directory)).rejects.toMatchObject({
      ...{ kind: "unsupported", message: `${path} has format 2, newer than this program` },
    });
  });

  test("forgets a torn boot mark rather than believing an older one", async () => {
    await openAndRelease();
    const disk = createNodeDisk();
    const logEnd = { segment: 3, offset: 8192 };
    const mark = { bootId: "b", fileSystem: "m", clean: true, failedStarts: 0, logEnd };
    await writeBootMark(disk, settings.directory, mark);
    await writeBootMark(disk, settings.directory, { ...mark, clean: false });
    expect(await readBootMark(disk, settings.directory)).toEqual({ ...mark, clean: false });
    await writeFile(join(settings.directory, "boot.json"), "{");
    expect(await readBootMark(disk, settings.directory)).toBeUndefined();
  });
});

test("the same mount needs the same boot and the same file system, both known", () => {
  const logEnd = undefined;
  const mark = { bootId: "b", fileSystem: "m", clean: false, failedStarts: 0, logEnd };
  expect(isSameMount(mark, { bootId: "b", fileSystem: "m" })).toBe(true);
  expect(isSameMount(mark, { bootId: "c", fileSystem: "m" })).toBe(false);
  expect(isSameMount(mark, { bootId: "b", fileSystem: "n" })).toBe(false);
  const unknown = { ...mark, bootId: undefined };
  expect(isSameMount(unknown, { bootId: undefined, fileSystem: "m" })).toBe(false);
});

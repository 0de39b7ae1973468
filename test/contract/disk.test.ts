import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Disk, WriteMode } from "../../src/ports/disk.ts";
import { createNodeDisk } from "../../src/ports/node-disk.ts";
import { Seed } from "../sim/seed.ts";
import { SimDisk } from "../sim/sim-disk.ts";

type Fixture = {
  readonly disk: Disk;
  readonly root: string;
  readonly symlink: (path: string, target: string) => void;
  readonly close: () => void;
};

function realDisk(): Fixture {
  const root = mkdtempSync(`${tmpdir()}/atoll-disk-`);
  return {
    disk: createNodeDisk(),
    root,
    symlink: (path, target) => symlinkSync(target, path),
    close: () => rmSync(root, { recursive: true, force: true }),
  };
}

function simulatedDisk(): Fixture {
  const disk = new SimDisk(new Seed("contract"), { directories: ["/data"] });
  return {
    disk,
    root: "/data",
    symlink: (path, target) => disk.plantSymlink(path, target),
    close: () => undefined,
  };
}

describe.each([
  ["the real disk", realDisk],
  ["the simulated disk", simulatedDisk],
])("%s", (_name, open) => {
  let fixture: Fixture;
  let disk: Disk;
  let root: string;

  beforeEach(() => {
    fixture = open();
    disk = fixture.disk;
    root = fixture.root;
  });
  afterEach(() => fixture.close());

  /** Fresh aligned memory filled with one value. */
  function aligned(bytes: number, value: number): Uint8Array {
    return disk.allocateAligned(bytes).fill(value);
  }

  async function write(path: string, text: string): Promise<void> {
    const file = await disk.create(path, "buffered");
    await file.write(Buffer.from(text), 0);
    await file.sync();
    await file.close();
  }

  async function text(path: string): Promise<string> {
    return Buffer.from(await disk.readFile(path)).toString();
  }

  describe.each<WriteMode>(["direct", "buffered"])("writing %s", (mode) => {
    test("what was written is read back, by every way of reading", async () => {
      const file = await disk.create(`${root}/f`, mode);
      await file.write(aligned(8192, 1), 0);
      await file.write(aligned(4096, 2), 8192);
      await file.sync();
      await file.close();
      const expected = Buffer.concat([Buffer.alloc(8192, 1), Buffer.alloc(4096, 2)]);
      expect(Buffer.compare(await disk.readFile(`${root}/f`), expected)).toBe(0);
      const reader = await disk.openRead(`${root}/f`);
      const into = Buffer.alloc(4096);
      expect(await reader.read(into, 6144)).toBe(4096);
      expect(Buffer.compare(into, expected.subarray(6144, 10_240))).toBe(0);
      expect(reader.readSync(into, 8192)).toBe(4096);
      expect(Buffer.compare(into, Buffer.alloc(4096, 2))).toBe(0);
      expect(await reader.sizeBytes()).toBe(12_288);
      await reader.close();
    });

    test("a write of many megabytes is whole", async () => {
      const bytes = aligned(5 * 1024 * 1024, 0);
      for (let at = 0; at < bytes.length; at += 4096) bytes[at] = (at / 4096) % 251;
      const file = await disk.create(`${root}/big`, mode);
      await file.write(bytes, 4096);
      await file.sync();
      await file.close();
      const read = await disk.readFile(`${root}/big`);
      expect(read.length).toBe(bytes.length + 4096);
      expect(Buffer.compare(read.subarray(4096), bytes)).toBe(0);
    });

    test("parts are written one behind the other", async () => {
      const file = await disk.create(`${root}/f`, mode);
      const sizes = Array.from({ length: 1500 }, (_none, at) => 4096 * (1 + (at % 3)));
      const parts = sizes.map((bytes, at) => aligned(bytes, at % 251));
      await file.writeParts(parts, 4096);
      await file.writeParts([], 0);
      await file.writeParts([aligned(4096, 255)], 0);
      await file.sync();
      await file.close();
      const read = await disk.readFile(`${root}/f`);
      const expected = Buffer.concat([Buffer.alloc(4096, 255), ...parts]);
      expect(expected.equals(read)).toBe(true);
    });

    test("several writes may be under way at once", async () => {
      const file = await disk.create(`${root}/f`, mode);
      const pages = [1, 2, 3, 4, 5];
      await Promise.all(
        pages.map((value, index) => file.write(aligned(4096, value), index * 4096)),
      );
      await file.sync();
      await file.close();
      const read = await disk.readFile(`${root}/f`);
      expect(pages.map((_value, index) => read[index * 4096])).toEqual(pages);
    });

    test("writes that are alone are all there", async () => {
      const file = await disk.create(`${root}/f`, mode);
      const count = 100;
      for (let at = 0; at < count; at++) {
        await file.write(aligned(4096, at + 1), at * 4096, true);
        await file.sync();
      }
      await file.close();
      const read = await disk.readFile(`${root}/f`);
      expect(read.length).toBe(count * 4096);
      for (let at = 0; at < count; at++) expect(read[at * 4096 + 4095]).toBe(at + 1);
    });

    test("a cut file ends where it was cut, and grows again with zeros", async () => {
      const file = await disk.create(`${root}/f`, mode);
      await file.write(aligned(12_288, 7), 0);
      await file.truncate(4096);
      await file.sync();
      expect((await disk.stat(`${root}/f`))?.sizeBytes).toBe(4096);
      await file.write(aligned(4096, 9), 8192);
      await file.sync();
      await file.close();
      const read = await disk.readFile(`${root}/f`);
      expect([read.length, read[4095], read[4096], read[8191], read[8192]]).toEqual([
        12_288, 7, 0, 0, 9,
      ]);
    });

    test("an existing file is opened without losing its bytes", async () => {
      await write(`${root}/f`, "x".repeat(4096));
      const file = await disk.openWrite(`${root}/f`, mode);
      await file.write(aligned(4096, 65), 4096);
      await file.sync();
      await file.close();
      expect(await text(`${root}/f`)).toBe("x".repeat(4096) + "A".repeat(4096));
    });

    test("creating what exists fails with EEXIST and leaves it alone", async () => {
      await write(`${root}/f`, "kept");
      await expect(disk.create(`${root}/f`, mode)).rejects.toMatchObject({ code: "EEXIST" });
      expect(await text(`${root}/f`)).toBe("kept");
    });

    test("a symbolic link is not followed for writing", async () => {
      await write(`${root}/victim`, "kept");
      fixture.symlink(`${root}/link`, `${root}/victim`);
      await expect(disk.openWrite(`${root}/link`, mode)).rejects.toMatchObject({ code: "ELOOP" });
      await expect(disk.create(`${root}/link`, mode)).rejects.toMatchObject({ code: "EEXIST" });
    });
  });

  test("a buffered write may begin and end anywhere", async () => {
    const file = await disk.create(`${root}/f`, "buffered");
    await file.write(Buffer.from("0123456789"), 4090);
    await file.write(Buffer.from("ab"), 4095);
    await file.sync();
    await file.close();
    const read = Buffer.from(await disk.readFile(`${root}/f`));
    expect(read.length).toBe(4100);
    expect(read.subarray(4088).toString("latin1")).toBe("\0\x0001234ab789");
  });

  test("a direct write that is not aligned fails with EINVAL", async () => {
    const file = await disk.create(`${root}/f`, "direct");
    const memory = aligned(8192, 1);
    await expect(file.write(memory.subarray(0, 100), 0)).rejects.toMatchObject({ code: "EINVAL" });
    await expect(file.write(memory.subarray(0, 4096), 7)).rejects.toMatchObject({ code: "EINVAL" });
    await expect(file.write(memory.subarray(1, 4097), 0)).rejects.toMatchObject({ code: "EINVAL" });
    const parts = [memory.subarray(0, 4096), memory.subarray(4096, 4196)];
    await expect(file.writeParts(parts, 0)).rejects.toMatchObject({ code: "EINVAL" });
    // A disk that has been fast is written to on this thread: it fails in the same way.
    for (let at = 0; at < 64; at++) await file.write(memory, at * 8192, true);
    await expect(file.write(memory, 7, true)).rejects.toMatchObject({ code: "EINVAL" });
    await file.close();
  });

  test("reading at the end of a file gives what is left, and nothing beyond", async () => {
    await write(`${root}/f`, "0123456789");
    const reader = await disk.openRead(`${root}/f`);
    const into = Buffer.alloc(8);
    expect(await reader.read(into, 6)).toBe(4);
    expect(into.subarray(0, 4).toString()).toBe("6789");
    expect(reader.readSync(into, 10)).toBe(0);
    expect(await reader.read(into, 99)).toBe(0);
    await reader.close();
  });

  test("an open file outlives its name", async () => {
    await write(`${root}/f`, "still here");
    const reader = await disk.openRead(`${root}/f`);
    await disk.remove(`${root}/f`);
    const into = Buffer.alloc(10);
    expect(reader.readSync(into, 0)).toBe(10);
    expect(into.toString()).toBe("still here");
    await reader.close();
  });

  test("what is not there is ENOENT, and undefined for stat", async () => {
    const nowhere = `${root}/nowhere`;
    expect(await disk.stat(nowhere)).toBeUndefined();
    const attempts = [
      () => disk.openRead(nowhere),
      () => disk.openWrite(nowhere, "buffered"),
      () => disk.readFile(nowhere),
      () => disk.list(nowhere),
      () => disk.remove(nowhere),
      () => disk.rename(nowhere, `${root}/other`),
      () => disk.link(nowhere, `${root}/other`),
      () => disk.syncDirectory(nowhere),
      () => disk.makeDirectory(`${nowhere}/child`),
      () => disk.create(`${nowhere}/child`, "buffered"),
    ];
    // One after the other: a rejection that nobody waits for yet counts as unhandled.
    for (const attempt of attempts) {
      await expect(attempt()).rejects.toMatchObject({ code: "ENOENT" });
    }
  });

  test("a symbolic link is not followed for reading, and stat shows it as one", async () => {
    await write(`${root}/secret`, "secret");
    fixture.symlink(`${root}/link`, `${root}/secret`);
    await expect(disk.openRead(`${root}/link`)).rejects.toMatchObject({ code: "ELOOP" });
    await expect(disk.readFile(`${root}/link`)).rejects.toMatchObject({ code: "ELOOP" });
    expect((await disk.stat(`${root}/link`))?.kind).toBe("symlink");
  });

  test("what the operator names is read wherever a symbolic link leads; no directory is", async () => {
    await write(`${root}/renewed.pem`, "certificate");
    fixture.symlink(`${root}/live.pem`, `${root}/renewed.pem`);
    for (const name of ["live.pem", "renewed.pem"]) {
      expect(Buffer.from(await disk.readNamed(`${root}/${name}`)).toString()).toBe("certificate");
    }
    await expect(disk.readNamed(root)).rejects.toMatchObject({ code: "EISDIR" });
    await expect(disk.readNamed(`${root}/none`)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("files are for their owner only, directories too", async () => {
    await write(`${root}/f`, "12345");
    await disk.makeDirectory(`${root}/d`);
    expect(await disk.stat(`${root}/f`)).toMatchObject({ kind: "file", sizeBytes: 5, mode: 0o600 });
    expect(await disk.stat(`${root}/d`)).toMatchObject({ kind: "directory", mode: 0o700 });
  });

  test("making a directory again is fine, unless a file is in the way", async () => {
    await disk.makeDirectory(`${root}/d`);
    await disk.makeDirectory(`${root}/d`);
    await write(`${root}/f`, "");
    await expect(disk.makeDirectory(`${root}/f`)).rejects.toMatchObject({ code: "EEXIST" });
  });

  test("a directory lists its names in order", async () => {
    for (const name of ["b", "c", "a"]) await write(`${root}/${name}`, "");
    await disk.syncDirectory(root);
    expect(await disk.list(root)).toEqual(["a", "b", "c"]);
  });

  test("renaming replaces what was there", async () => {
    await write(`${root}/new`, "new");
    await write(`${root}/old`, "old");
    await disk.rename(`${root}/new`, `${root}/old`);
    expect(await disk.list(root)).toEqual(["old"]);
    expect(await text(`${root}/old`)).toBe("new");
  });

  test("a directory is renamed with everything in it, but not over a full one", async () => {
    await disk.makeDirectory(`${root}/from`);
    await write(`${root}/from/f`, "inside");
    await disk.makeDirectory(`${root}/full`);
    await write(`${root}/full/g`, "");
    await expect(disk.rename(`${root}/from`, `${root}/full`)).rejects.toMatchObject({
      code: "ENOTEMPTY",
    });
    await disk.rename(`${root}/from`, `${root}/to`);
    expect(await text(`${root}/to/f`)).toBe("inside");
  });

  test("a second name shares the bytes and is refused where something is", async () => {
    await write(`${root}/one`, "shared");
    await disk.link(`${root}/one`, `${root}/two`);
    await expect(disk.link(`${root}/one`, `${root}/two`)).rejects.toMatchObject({ code: "EEXIST" });
    await disk.remove(`${root}/one`);
    expect(await text(`${root}/two`)).toBe("shared");
  });

  test("a tree is removed whole, and removing nothing is fine", async () => {
    await disk.makeDirectory(`${root}/d`);
    await disk.makeDirectory(`${root}/d/e`);
    await write(`${root}/d/e/f`, "");
    await write(`${root}/d/g`, "");
    await disk.removeTree(`${root}/d`);
    await disk.removeTree(`${root}/d`);
    expect(await disk.list(root)).toEqual([]);
  });

  test("the file system tells its type and how much room it has", async () => {
    const facts = await disk.fileSystem(root);
    expect(facts.type).toBeGreaterThan(0);
    expect(facts.freeBytes).toBeGreaterThan(0);
    expect(facts.totalBytes).toBeGreaterThanOrEqual(facts.freeBytes);
  });
});

import { chmod, mkdtemp, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { createNodeDisk } from "../ports/node-disk.ts";
import { asFields, readJsonFile, refuseNewerFormat, writeJsonFile } from "./json-file.ts";

const disk = createNodeDisk();

function parseNumber(value: unknown): number | undefined {
  const count = asFields(value)?.["count"];
  return typeof count === "number" ? count : undefined;
}

describe("a JSON file on the real disk", () => {
  let path: string;

  beforeEach(async () => {
    const directory = await mkdtemp(join(tmpdir(), "atoll-json-"));
    await chmod(directory, 0o700);
    path = join(directory, "facts.json");
  });

  test("that was never written is absent", async () => {
    expect(await readJsonFile(disk, path, parseNumber)).toBeUndefined();
  });

  test("comes back as written, readable by its owner only", async () => {
    await writeJsonFile(disk, path, { count: 1 });
    expect(await readJsonFile(disk, path, parseNumber)).toBe(1);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("keeps the version before the last one as .bak", async () => {
    for (const count of [1, 2, 3]) await writeJsonFile(disk, path, { count });
    expect(await readJsonFile(disk, path, parseNumber)).toBe(3);
    expect(await readJsonFile(disk, `${path}.bak`, parseNumber)).toBe(2);
  });

  test.each(["", "{", '{"count":"three"}', "[]"])("torn to %j gives the backup", async (torn) => {
    await writeJsonFile(disk, path, { count: 1 });
    await writeJsonFile(disk, path, { count: 2 });
    await writeFile(path, torn);
    expect(await readJsonFile(disk, path, parseNumber)).toBe(1);
  });

  test("with neither version readable is damage, never absent", async () => {
    await writeJsonFile(disk, path, { count: 1 });
    await writeFile(path, "");
    await expect(readJsonFile(disk, path, parseNumber)).rejects.toMatchObject({ kind: "corrupt" });
    expect(await readFile(path, "utf8")).toBe("");
  });

  test("is written although a crash left a temporary file behind", async () => {
    await writeFile(`${path}.tmp`, "half of someth");
    await writeJsonFile(disk, path, { count: 4 });
    expect(await readJsonFile(disk, path, parseNumber)).toBe(4);
  });
});

test("a file of a newer program is refused by name", () => {
  expect(() => refuseNewerFormat("/d/site.json", 2, 1)).toThrow(/site\.json has format 2/);
  expect(() => refuseNewerFormat("/d/site.json", 1, 1)).not.toThrow();
  expect(() => refuseNewerFormat("/d/site.json", 1, 2)).not.toThrow();
  expect(() => refuseNewerFormat("/d/site.json", undefined, 1)).not.toThrow();
});

test.each(["2", 0, 1.5, null, {}])(
  "a file of format %j is refused, not taken for torn",
  (format) => {
    expect(() => refuseNewerFormat("/d/site.json", format, 1)).toThrow(
      `/d/site.json has format ${JSON.stringify(format)}, which this program does not know`,
    );
  },
);

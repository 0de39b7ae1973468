import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..");

type Table = { readonly file: string; readonly rows: readonly string[] };

/** Tables of a Markdown text, each with the line above it that says what it is. */
function tablesOf(file: string, lines: readonly string[]): Table[] {
  const tables: Table[] = [];
  lines.forEach((line, at) => {
    if (!line.startsWith("| ---")) return;
    const end = lines.findIndex((later, index) => index > at && !later.startsWith("|"));
    const title = lines.slice(0, at - 1).findLast((earlier) => earlier !== "") ?? "";
    tables.push({ file, rows: [title, ...lines.slice(at - 1, end === -1 ? undefined : end)] });
  });
  return tables;
}

/** Tables in the comments above the codecs. */
function tablesOfCode(): Table[] {
  return ["src/core", "src/storage/segment"].flatMap((directory) => {
    const names = readdirSync(join(ROOT, directory)).filter((name) => name.endsWith(".ts"));
    return names.flatMap((name) => {
      const file = `${directory}/${name}`;
      const comments =
        readFileSync(join(ROOT, file), "utf8").match(/\/\*\n(?: \*.*\n)+? \*\//g) ?? [];
      return comments.flatMap((comment) => {
        const lines = comment.split("\n").map((line) => line.replace(/^ ?\*\/?\/? ?/, ""));
        return tablesOf(file, lines);
      });
    });
  });
}

const inCode = tablesOfCode();
const inDocs = tablesOf(
  "docs/FORMAT.md",
  readFileSync(join(ROOT, "docs", "FORMAT.md"), "utf8").split("\n"),
);

describe("docs/FORMAT.md", () => {
  test("has every table that stands above a codec, with its title", () => {
    expect(inCode.length).toBeGreaterThan(15);
    const documented = inDocs.map((table) => table.rows.join("\n"));
    for (const table of inCode) {
      expect(documented, `${table.file}: copy its table to docs/FORMAT.md`).toContain(
        table.rows.join("\n"),
      );
    }
  });

  test("has no table that stands above no codec", () => {
    const code = new Set(inCode.map((table) => table.rows.join("\n")));
    const strangers = inDocs.filter((table) => !code.has(table.rows.join("\n")));
    expect(strangers.map((table) => table.rows[0])).toEqual([]);
  });

  test("leaves no gap and no overlap between the fields of a fixed layout", () => {
    let checked = 0;
    for (const { rows } of inCode.filter((table) => table.rows[1]?.startsWith("| offset"))) {
      const cells = rows.slice(3).map((row) => row.split("|").map((cell) => cell.trim()));
      const fixed = cells.filter(([, offset = ""]) => /^\d+$/.test(offset));
      let next = 0;
      for (const [, offset = "", bytes = ""] of fixed) {
        expect(Number(offset), `${rows[0]} at ${offset}`).toBe(next);
        next = Number(offset) + Number(bytes);
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(50);
  });
});

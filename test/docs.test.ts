import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import config from "../vitest.config.ts";
import { renderImportTable } from "./tidy/import-table-doc.ts";
import { ROOT } from "./tidy/source-file.ts";

const README_LINES_MAX = 120;

function textOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

const PAGES = [
  ...["README.md", "CONTRIBUTING.md", "CHANGELOG.md"],
  ...readdirSync(join(ROOT, "docs"), { recursive: true })
    .map((name) => join("docs", String(name)))
    .filter((name) => name.endsWith(".md")),
];

/** Targets of links to files of ours. */
function linksOf(page: string): string[] {
  return [...textOf(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
    .map((match) => match[1] ?? "")
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** Paths of ours that stand in backticks, such as `src/http`. */
function pathsOf(page: string): string[] {
  return [...textOf(page).matchAll(/`((?:src|test|docs|bench)\/[\w./-]+)`/g)].map(
    (match) => match[1] ?? "",
  );
}

describe("the words", () => {
  test("README is short and gives the two commands as they are typed", () => {
    const readme = textOf("README.md");
    expect(readme.trimEnd().split("\n").length).toBeLessThanOrEqual(README_LINES_MAX);
    expect(readme).toContain("\nnpm ci && npm start\n");
    expect(readme).toContain("\nnpm ci && npm test\n");
  });

  test.each(PAGES)("what %s links to exists", (page) => {
    const missing = linksOf(page).filter((link) => !existsSync(join(ROOT, dirname(page), link)));
    expect(missing).toEqual([]);
  });

  test.each(["README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md", "docs/TESTING.md"])(
    "every file that %s names exists",
    (page) => {
      expect(pathsOf(page).filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    },
  );

  test("ARCHITECTURE shows the import table as the rules hold it", () => {
    const page = textOf("docs/ARCHITECTURE.md");
    const [before = "", after = ""] = page.split(
      /(?<=\| --- \| --- \| --- \| --- \|\n)(?:\|.*\n)*/,
    );
    const asItShouldBe = before + renderImportTable() + after;
    if (process.env["WRITE_DOCS"] === "1") {
      writeFileSync(join(ROOT, "docs/ARCHITECTURE.md"), asItShouldBe);
    } else expect(page).toBe(asItShouldBe);
  });

  test("TESTING gives the minutes of every suite", () => {
    const projects = (config.test?.projects ?? []) as { test: { name: string } }[];
    const suites = projects.map(({ test: { name } }) => (name === "unit" ? "check" : name));
    expect(suites.length).toBeGreaterThan(3);
    const testing = textOf("docs/TESTING.md");
    for (const suite of suites) {
      expect(testing).toMatch(new RegExp(`^\\| ${suite} \\| .* \\| [\\d.]+ \\|$`, "m"));
    }
  });

  test("the licence is Apache 2.0, whole", () => {
    const licence = textOf("LICENSE");
    expect(licence).toContain("Apache License");
    expect(licence).toContain("END OF TERMS AND CONDITIONS");
    expect(JSON.parse(textOf("package.json"))).toMatchObject({ license: "Apache-2.0" });
  });

  test("CI runs the README's test command and nothing else", () => {
    const lines = textOf(".ci/run").trimEnd().split("\n");
    expect(lines[0]).toBe("#!/usr/bin/env bash");
    const commands = lines.filter((line) => !/^(#|set |cd )/.test(line));
    expect(commands).toEqual(["npm ci && npm test"]);
    expect(statSync(join(ROOT, ".ci/run")).mode & 0o111).not.toBe(0);
  });

  test("decisions are numbered without gaps and have every section", () => {
    const names = readdirSync(join(ROOT, "docs", "decisions")).sort();
    names.forEach((name, at) => {
      expect(name).toMatch(new RegExp(`^${String(at).padStart(4, "0")}-[a-z0-9-]+\\.md$`));
      const headings = [...textOf(join("docs", "decisions", name)).matchAll(/^## (.*)$/gm)];
      expect([name, ...headings.map((heading) => heading[1])]).toEqual([
        name,
        ...["Context", "Decision", "Consequences", "Rejected"],
        "How we would notice that it was wrong",
      ]);
    });
  });
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  checkBans,
  checkBrandCasts,
  checkCommentPlaces,
  checkComments,
  checkFileNames,
} from "./tidy/ban-rules.ts";
import { checkBlackBox, checkCycles, checkImportTable } from "./tidy/import-rules.ts";
import { checkLock, type LockedPackages } from "./tidy/lock-rules.ts";
import { checkDocComments, checkNpmScripts, checkSizes, describeSizes } from "./tidy/size-rules.ts";
import { parseSource, ROOT, readProject, type SourceFile } from "./tidy/source-file.ts";

type Rule = (files: readonly SourceFile[]) => string[];

const RULES = {
  "imports follow the table of areas": checkImportTable,
  "no files import each other in a circle": checkCycles,
  "black-box tests import nothing of src": checkBlackBox,
  "nothing on the ban list is used": checkBans,
  "no comment puts work off or silences a checker": checkComments,
  "doc comments stand on what they describe": checkCommentPlaces,
  "file names say what is in them": checkFileNames,
  "only core makes branded values": checkBrandCasts,
  "files, functions, lines and parameter lists are short": checkSizes,
  "public functions are documented": checkDocComments,
} as const satisfies Record<string, Rule>;

function textOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

function scriptsOfPackage(): Record<string, string> {
  return (JSON.parse(textOf("package.json")) as { scripts: Record<string, string> }).scripts;
}

describe("the house is tidy", () => {
  const files = readProject();

  test.each(Object.entries(RULES))("%s", (_name, rule) => {
    expect(rule(files)).toEqual([]);
  });

  test("package.json offers few scripts", () => {
    expect(checkNpmScripts(scriptsOfPackage())).toEqual([]);
  });

  test("the lock file names no host, so that any registry can serve it", () => {
    expect(textOf("package-lock.json")).not.toContain('"resolved"');
  });

  test("the lock file names the packages of every platform, or npm ci may refuse it", () => {
    const lock = JSON.parse(textOf("package-lock.json")) as { packages: LockedPackages };
    expect(checkLock(lock.packages)).toEqual([]);
  });

  test("sizes are printed for whoever reads the log", () => {
    const sizes = describeSizes(files);
    console.log(sizes);
    expect(sizes).toMatch(/^src: [1-9]\d* files/);
  });
});

/** Bad code for each rule: what the rule looks at, and the sentence it must answer with. */
const BAD: ReadonlyArray<{
  readonly rule: keyof typeof RULES;
  readonly files: Readonly<Record<string, string>>;
  readonly says: RegExp;
}> = [
  {
    rule: "imports follow the table of areas",
    files: { "src/core/a.ts": 'import type { Log } from "../ports/log.ts";' },
    says: /^src\/core\/a\.ts:1 imports src\/ports\/log\.ts: src\/core\/ may import nothing of ours/,
  },
  {
    rule: "imports follow the table of areas",
    files: { "src/s3api/a.ts": 'import { b } from "../http/header-rules.ts";' },
    says: /src\/s3api\/ may import .*src\/http\/exchange\.ts; move/,
  },
  {
    rule: "imports follow the table of areas",
    files: { "src/s3api/a.ts": 'import { b } from "../replication/apply.ts";' },
    says: /imports src\/replication\/apply\.ts/,
  },
  {
    rule: "imports follow the table of areas",
    files: { "src/storage/a.ts": 'export { join } from "node:path";' },
    says: /imports node:path: src\/storage\/ may not/,
  },
  {
    rule: "imports follow the table of areas",
    files: { "src/storage/a.ts": 'export const b = () => import("lmdb");' },
    says: /imports lmdb: only .*kv-lmdb.* may/,
  },
  {
    rule: "imports follow the table of areas",
    files: { "src/control/a.ts": 'import { b } from "left-pad/b";' },
    says: /imports left-pad, which no row/,
  },
  {
    rule: "imports follow the table of areas",
    files: { "src/ports/a.ts": 'const name = "x"; export const b = () => import(name);' },
    says: /imports a computed name/,
  },
  {
    rule: "imports follow the table of areas",
    files: { "src/storage/a.ts": 'import { b } from "./b.test.ts";' },
    says: /the product may not lean on tests/,
  },
  {
    rule: "imports follow the table of areas",
    files: { "src/elsewhere/a.ts": "export const b = 1;" },
    says: /belongs to no area/,
  },
  {
    rule: "imports follow the table of areas",
    files: { "src/core/a.ts": 'export type B = import("../ports/log.ts").Log;' },
    says: /imports src\/ports\/log\.ts/,
  },
  {
    rule: "no files import each other in a circle",
    files: {
      "src/core/a.ts": 'import type { B } from "./b.ts";',
      "src/core/b.ts": 'export { c } from "./c.ts";',
      "src/core/c.ts": 'import "./a.ts";',
    },
    says: /a\.ts -> src\/core\/b\.ts -> src\/core\/c\.ts -> src\/core\/a\.ts/,
  },
  {
    rule: "black-box tests import nothing of src",
    files: {
      "test/e2e/a.test.ts": 'import { b } from "../support/b.ts";',
      "test/support/b.ts": 'import { c } from "../../src/core/c.ts";',
    },
    says: /test\/e2e\/a\.test\.ts reaches src\/core\/c\.ts through test\/support\/b\.ts/,
  },
  ...(
    [
      ["Date.now()", "Clock port"],
      ["new Date()", "Clock port"],
      ["globalThis.performance.now()", "Clock port"],
      ["setTimeout(f, 1)", "Clock port"],
      ["setInterval(f, 1)", "Clock port"],
      ["Math.random()", "Random port"],
      ["crypto.randomUUID()", "Random port"],
      ["crypto['randomBytes'](8)", "Random port"],
      ["fetch(url)", "Network port"],
      ["process.env['HOME']", "add a setting"],
      ["process['env'].HOME", "add a setting"],
      ["console.log(1)", "Log port"],
    ] as const
  ).map(([code, instead]) => ({
    rule: "nothing on the ban list is used" as const,
    files: { "src/http/a.ts": `export const b = (): unknown => ${code};` },
    says: new RegExp(`^src/http/a\\.ts:1 has .*: .*${instead}`),
  })),
  ...(
    [
      ['import { randomBytes as bytes } from "node:crypto";', "Random port"],
      ['import { setTimeout as wait } from "node:timers/promises";', "Clock port"],
      ['import { readFileSync } from "node:fs";', "Disk port"],
      ['import { env } from "node:process";', "add a setting"],
      ["export enum B { C }", "union of strings"],
      ["export namespace B { export const c = 1; }", "module of its own"],
      ["export default 1;", "by its name"],
      ['export * from "./b.ts";', "name what is exported"],
      ['export * as b from "./b.ts";', "name what is exported"],
    ] as const
  ).map(([code, instead]) => ({
    rule: "nothing on the ban list is used" as const,
    files: { "src/http/a.ts": code },
    says: new RegExp(`^src/http/a\\.ts:1 has .*: .*${instead}`),
  })),
  ...["test.only", "it.skip", "describe.skip.each([1])", "context.skip", "test.todo"].map(
    (callee) => ({
      rule: "nothing on the ban list is used" as const,
      files: { "src/http/a.test.ts": `${callee}("b", () => {});` },
      says: /finish the test or delete it/,
    }),
  ),
  {
    rule: "no comment puts work off or silences a checker",
    files: { "test/e2e/a.test.ts": `// ${"FIX"}ME: later` },
    says: /says FIXME: finish it/,
  },
  {
    rule: "no comment puts work off or silences a checker",
    files: { "src/http/a.ts": `// ${"biome"}-ignore lint: no` },
    says: /has biome-ignore: mend what it silences/,
  },
  ...["/** B. */\n/** C. */\nconst c = 1;", "/** B. */\n\nconst c = 1;"].map((text) => ({
    rule: "doc comments stand on what they describe" as const,
    files: { "src/http/a.ts": text },
    says: /a\.ts:1 describes nothing: move it to what it is about/,
  })),
  ...[
    "src/core/utils.ts",
    "src/core/byte-helpers.ts",
    "test/common/a.ts",
    "src/http/types.test.ts",
  ].map((path) => ({
    rule: "file names say what is in them" as const,
    files: { [path]: "export const b = 1;" },
    says: /name it after the thing it holds/,
  })),
  ...["b as BucketName", "<BucketName>b", "b as unknown as BucketName[]"].map((cast) => ({
    rule: "only core makes branded values" as const,
    files: {
      "src/core/names.ts": 'export type BucketName = Brand<string, "BucketName">;',
      "src/storage/a.ts": `export const c = (b: string): unknown => ${cast};`,
    },
    says: /^src\/storage\/a\.ts:1 casts to BucketName: call core's parse function/,
  })),
  ...["src/http/a.ts", "src/http/a.test.ts", "test/support/a.ts"].map((path) => ({
    rule: "files, functions, lines and parameter lists are short" as const,
    files: { [path]: `export const b = 1;\n${"// c\n".repeat(400)}` },
    says: /has 401 lines: split it below 401/,
  })),
  {
    rule: "files, functions, lines and parameter lists are short",
    files: { "src/http/a.ts": `export function b(): void {${"\n".repeat(60)}}\n` },
    says: /is a function of 61 lines: split it below 61/,
  },
  {
    rule: "files, functions, lines and parameter lists are short",
    files: { "src/http/a.ts": `export const b = "${"c".repeat(90)}";\n` },
    says: /a\.ts:1 has 110 columns/,
  },
  {
    rule: "files, functions, lines and parameter lists are short",
    files: { "src/http/a.ts": "export class B { c(d = 1, e = 2, f = 3, g = 4, h = 5) {} }" },
    says: /takes 5 parameters: pass one object instead/,
  },
  ...["function b() {}", "const b = () => 1;", "class B {}"].map((code) => ({
    rule: "public functions are documented" as const,
    files: { "src/ports/a.ts": `/* not a doc comment */\nexport ${code}` },
    says: /a\.ts:2 exports [bB] without a doc comment/,
  })),
];

function parseAll(sources: Readonly<Record<string, string>>): SourceFile[] {
  return Object.entries(sources).map(([path, text]) => parseSource(path, text));
}

describe("each rule can fail", () => {
  test.each(BAD)("$rule: $files", ({ rule, files, says }) => {
    const problems = RULES[rule](parseAll(files));
    expect(problems.join("\n")).toMatch(says);
  });

  test("every rule has bad code of its own", () => {
    expect(new Set(BAD.map((row) => row.rule))).toEqual(new Set(Object.keys(RULES)));
  });

  test("a menu of 13 scripts is too long", () => {
    const scripts = Object.fromEntries(Array.from({ length: 13 }, (_, at) => [`s${at}`, "true"]));
    expect(checkNpmScripts(scripts)).toEqual([
      "package.json has 13 scripts: fold them into 12 or fewer.",
    ]);
  });
});

describe("the lock file", () => {
  const wants = { optionalDependencies: { native: "1.0.0" } };

  test.each([
    ["beside", { "node_modules/a": wants, "node_modules/native": {} }],
    ["inside", { "node_modules/a": wants, "node_modules/a/node_modules/native": {} }],
    ["above", { "node_modules/b/node_modules/a": wants, "node_modules/b/node_modules/native": {} }],
  ])("may hold an optional package %s the one that wants it", (_where, packages) => {
    expect(checkLock(packages)).toEqual([]);
  });

  test("must not forget one", () => {
    const elsewhere = { "node_modules/a": wants, "node_modules/b/node_modules/native": {} };
    expect(checkLock(elsewhere).join()).toMatch(/^package-lock\.json lacks native@1\.0\.0/);
  });
});

describe("rules look at syntax, not at text", () => {
  test.each([
    ['export const b = "Date.now() and setTimeout( in a string";'],
    ["// Math.random( in a comment\nexport const b = 1;"],
    ["export const b = (prefetch: (c: number) => void): void => prefetch(1);"],
    ["export const b = (ms: number): Date => new Date(ms);"],
    ["export const b = (query: { skip(n: number): void }): void => query.skip(1);"],
    ['export const TABLE = {\n  a: "b",\n'.concat('  c: "d",\n'.repeat(100), "};")],
  ])("%s is no offence", (text) => {
    const files = parseAll({ "src/http/a.ts": text });
    const problems = [checkBans, checkComments, checkSizes].flatMap((rule) => rule(files));
    expect(problems).toEqual([]);
  });
});

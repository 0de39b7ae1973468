import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../tidy/source-file.ts";
import { INPUT_CASES, SECURITY_CASES, type SecurityCase } from "./security-cases.ts";

export type NamedTest = {
  readonly file: string;
  readonly name: string;
  readonly tags: readonly string[];
};

const TAG = /\[([SN]\d+)\]\s*/g;
const NAME = /(["'`])((?:\[[SN]\d+\] )+(?:(?!\1).)*)\1/g;

/** Every name of a test that carries numbers of cases. */
export function taggedTests(): NamedTest[] {
  const files = ["src", "test"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true })
      .map((name) => `${folder}/${String(name)}`)
      .filter((name) => name.endsWith(".test.ts"))
      .sort(),
  );
  return files.flatMap((file) =>
    [...readFileSync(join(ROOT, file), "utf8").matchAll(NAME)].map((match) => {
      const text = match[2] ?? "";
      const tags = [...text.matchAll(TAG)].map((tag) => tag[1] ?? "");
      return { file, name: text.replace(TAG, ""), tags };
    }),
  );
}

/** The tests that hold a case: those with its number, and those it names. */
export function testsOf(tag: string, tests: readonly NamedTest[], row?: SecurityCase): NamedTest[] {
  const named = (row?.heldBy ?? []).flatMap(([file, words]) => {
    const line = readFileSync(join(ROOT, file), "utf8")
      .split("\n")
      .find((text) => text.includes(words));
    const name = /(["'`])(.*)\1/.exec(line ?? "")?.[2];
    return name === undefined ? [] : [{ file, name, tags: [tag] }];
  });
  return [...tests.filter(({ tags }) => tags.includes(tag)), ...named];
}

const HEAD = `# Security

Generated from the names of tests by
\`WRITE_DOCS=1 npx vitest run --project unit test/docs-security.test.ts\`; do not edit by hand. A test
that holds a case carries its number: \`[S24]\`. What Atoll does by construction stands in
[ARCHITECTURE.md](ARCHITECTURE.md); a fault that you find is best told in private to its maintainers.

The whole of it: one verifier of signatures for every form of request; keys are never paths; limits on
everything a client can claim; authorization before existence; secrets are written and never read back.
\`npm run fuzz -- --minutes 10 --seed 7\` sends mutated requests for as long as wanted, and with
\`--case N\` one of them again.
`;

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function listOf(tests: readonly NamedTest[]): string {
  return tests.map(({ file, name }) => `[${cell(name)}](../${file})`).join("<br>");
}

/** docs/SECURITY.md as it should be. */
export function renderSecurityDoc(): string {
  const tests = taggedTests();
  const rows = SECURITY_CASES.map((row, at) => {
    const tag = `S${at + 1}`;
    const held =
      row.cannot === undefined ? listOf(testsOf(tag, tests, row)) : `does not apply: ${row.cannot}`;
    return `| ${tag} | ${row.ids} | ${row.product} | ${row.story} | ${held} |\n`;
  });
  const inputs = Object.entries(INPUT_CASES).map(
    ([number, story]) => `| N${number} | ${story} | ${listOf(testsOf(`N${number}`, tests))} |\n`,
  );
  const applying = SECURITY_CASES.filter((row) => row.cannot === undefined).length;
  return [
    HEAD,
    `## Published faults of servers like this one (${SECURITY_CASES.length}, of which ${applying} apply)\n`,
    "| case | published as | where | what went wrong | held here by |\n| --- | --- | --- | --- | --- |",
    rows.join(""),
    "## Input that means harm\n",
    "| case | what | held here by |\n| --- | --- | --- |",
    inputs.join(""),
  ].join("\n");
}

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { INPUT_CASES, SECURITY_CASES } from "./support/security-cases.ts";
import { renderSecurityDoc, taggedTests, testsOf } from "./support/security-doc.ts";

const path = join(import.meta.dirname, "..", "docs", "SECURITY.md");

/** Published cases, those that apply, and tests that hold them: these numbers only ever grow. */
const FLOOR = { published: 67, applying: 62, tests: 50 } as const;

test("docs/SECURITY.md is what the names of tests say", () => {
  const current = renderSecurityDoc();
  if (process.env["WRITE_DOCS"] === "1") writeFileSync(path, current);
  expect(
    readFileSync(path, "utf8"),
    "docs/SECURITY.md is stale: run `WRITE_DOCS=1 npx vitest run --project unit test/docs-security.test.ts`",
  ).toBe(current);
});

test("every published case that applies is held by a named test", () => {
  const tests = taggedTests();
  const bare = SECURITY_CASES.flatMap((row, at) => {
    const tag = `S${at + 1}`;
    const held = testsOf(tag, tests, row).length >= Math.max(1, row.heldBy?.length ?? 0);
    return row.cannot !== undefined || held ? [] : [`${tag} (${row.ids})`];
  });
  expect(bare, "name a test for these, or say why they cannot happen").toEqual([]);
});

test("every case of hostile input is held by a named test", () => {
  const tests = taggedTests();
  const bare = Object.keys(INPUT_CASES).filter(
    (number) => testsOf(`N${number}`, tests).length === 0,
  );
  expect(bare).toEqual([]);
});

test("the numbers of cases and of their tests never fall", () => {
  const applying = SECURITY_CASES.filter((row) => row.cannot === undefined);
  expect(SECURITY_CASES.length).toBeGreaterThanOrEqual(FLOOR.published);
  expect(applying.length).toBeGreaterThanOrEqual(FLOOR.applying);
  expect(taggedTests().length).toBeGreaterThanOrEqual(FLOOR.tests);
});

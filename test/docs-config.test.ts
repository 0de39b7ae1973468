import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderConfigDoc } from "./support/config-doc.ts";

const path = join(import.meta.dirname, "..", "docs", "CONFIG.md");

test("docs/CONFIG.md is what src/config.ts says", () => {
  const current = renderConfigDoc();
  if (process.env["WRITE_DOCS"] === "1") writeFileSync(path, current);
  expect(
    readFileSync(path, "utf8"),
    "docs/CONFIG.md is stale: run `WRITE_DOCS=1 npx vitest run test/docs-config.test.ts`",
  ).toBe(current);
});

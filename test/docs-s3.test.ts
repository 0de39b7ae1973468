import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderS3Doc } from "./support/s3-doc.ts";

const path = join(import.meta.dirname, "..", "docs", "S3.md");

test("docs/S3.md is what the operations table says", () => {
  const current = renderS3Doc();
  if (process.env["WRITE_DOCS"] === "1") writeFileSync(path, current);
  expect(
    readFileSync(path, "utf8"),
    "docs/S3.md is stale: run `WRITE_DOCS=1 npx vitest run --project unit test/docs-s3.test.ts`",
  ).toBe(current);
});

import { expect, test } from "vitest";
import { versioningOf, versioningSetting } from "./bucket-versioning.ts";

test("each state that a bucket can be put into reads back as it was written", () => {
  expect(versioningOf(versioningSetting("enabled"))).toBe("enabled");
  expect(versioningOf(versioningSetting("suspended"))).toBe("suspended");
});

test("a bucket without the setting, or with one nobody knows, is unversioned", () => {
  for (const value of [undefined, Buffer.alloc(0), Buffer.of(0), Buffer.of(3), Buffer.of(1, 1)]) {
    expect(versioningOf(value)).toBe("unversioned");
  }
});

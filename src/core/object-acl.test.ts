import { expect, test } from "vitest";
import { withAcl } from "./object-acl.ts";

test("an ACL takes its place by name, replaces the one before, and goes without a trace", () => {
  const system = [
    ["content-type", "a/b"],
    ["x-amz-website-redirect-location", "/x"],
  ] as const;
  const first = withAcl(system, "public-read");
  expect(first.map(([name]) => name)).toEqual([
    ...["content-type", "x-amz-acl", "x-amz-website-redirect-location"],
  ]);
  expect(withAcl(first, "authenticated-read")).toContainEqual(["x-amz-acl", "authenticated-read"]);
  expect(withAcl(withAcl(first, "authenticated-read"), "")).toEqual(system);
});

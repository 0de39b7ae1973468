import { expect, test } from "vitest";
import { parseTaggingHeader } from "./tagging-header.ts";

test("tags are read as a query string and sorted by key", () => {
  expect(parseTaggingHeader("b=2&a=x%20y&c")).toEqual([
    ["a", "x y"],
    ["b", "2"],
    ["c", ""],
  ]);
  expect(parseTaggingHeader(undefined)).toEqual([]);
});

test.each([
  ["=1", "InvalidArgument"],
  ["=", "InvalidArgument"],
  [`${"k".repeat(129)}=1`, "InvalidTag"],
  [`a=${"v".repeat(257)}`, "InvalidTag"],
  ["a=%3Cb%3E", "InvalidTag"],
  ["a=1&a=2", "InvalidArgument"],
  ["aws:a=1", "InvalidTag"],
  ["a=%ff", "InvalidArgument"],
  ["a=b=c", "InvalidArgument"],
  [Array.from({ length: 11 }, (_, index) => `k${index}=v`).join("&"), "BadRequest"],
])("%s is refused as %s", (header, code) => {
  expect(() => parseTaggingHeader(header)).toThrow(expect.objectContaining({ code }));
});

import { describe, expect, test } from "vitest";
import { fc } from "../../../test/support/properties.ts";
import { S3Error } from "../errors.ts";
import { contentRange, parsePartNumber, partRange, readCopyRange, readRange } from "./range.ts";

describe("a range of ten bytes", () => {
  test.each([
    ["bytes=0-0", 0, 1],
    ["bytes=0-9", 0, 10],
    ["bytes=0-99", 0, 10],
    ["bytes=3-", 3, 10],
    ["bytes=9-9", 9, 10],
    ["bytes=-4", 6, 10],
    ["bytes=-40", 0, 10],
    ["Bytes= 2 - 3 ", 2, 4],
    ["bytes=0-99999999999999999999999", 0, 10],
  ])("%s is %i up to %i", (header, start, end) => {
    expect(readRange(header, 10)).toEqual({ kind: "part", range: { start, end } });
  });

  test.each([
    [undefined],
    ["bytes=0-1,4-5"],
    ["bytes=5-2"],
    ["bytes=-"],
    ["bytes="],
    ["bytes=a-b"],
    ["bytes=1"],
    ["bytes=--1"],
    ["lines=0-1"],
    ["0-1"],
  ])("%s is ignored", (header) => {
    expect(readRange(header, 10)).toEqual({ kind: "whole" });
  });

  test.each([["bytes=10-"], ["bytes=10-11"], ["bytes=-0"], ["bytes=99999999999999999999-"]])(
    "%s cannot be satisfied",
    (header) => {
      expect(readRange(header, 10)).toEqual({ kind: "unsatisfiable" });
    },
  );
});

test.each([["bytes=0-0"], ["bytes=-0"], ["bytes=0-"]])(
  "an empty object has no bytes for %s",
  (header) => {
    expect(readRange(header, 0)).toEqual({ kind: "unsatisfiable" });
  },
);

test("the last bytes of an empty object are all of it", () => {
  expect(readRange("bytes=-1", 0)).toEqual({ kind: "whole" });
});

test("a satisfiable range always lies inside the object and is never empty", () => {
  const number = fc.oneof(fc.constant(""), fc.nat(30).map(String));
  fc.assert(
    fc.property(number, number, fc.nat(20), (first, last, size) => {
      const wish = readRange(`bytes=${first}-${last}`, size);
      if (wish.kind !== "part") return;
      expect(wish.range.start).toBeLessThan(wish.range.end);
      expect(wish.range.end).toBeLessThanOrEqual(size);
      expect(contentRange(wish.range, size)).toMatch(/^bytes \d+-\d+\/\d+$/);
    }),
  );
});

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (failure) {
    return failure instanceof S3Error ? failure.code : "not an S3Error";
  }
  return undefined;
}

test("a copy range must name both ends and lie inside its source", () => {
  expect(readCopyRange(undefined, 10)).toEqual({ start: 0, end: 10 });
  expect(readCopyRange("bytes=2-9", 10)).toEqual({ start: 2, end: 10 });
  expect(codeOf(() => readCopyRange("bytes=10-11", 10))).toBe("InvalidRequest");
  expect(codeOf(() => readCopyRange("bytes=0-0", 0))).toBe("InvalidRequest");
  for (const header of [
    "bytes=2-10",
    "bytes=2-",
    "bytes=-2",
    "2-3",
    "bytes=3-2",
    "bytes=0-1,2-3",
    "",
  ]) {
    expect(codeOf(() => readCopyRange(header, 10))).toBe("InvalidArgument");
  }
});

test.each([["0"], ["10001"], ["-1"], ["1.5"], ["abc"], [""], ["99999999"]])(
  "%s is no part number",
  (text) => {
    expect(codeOf(() => parsePartNumber(text))).toBe("InvalidArgument");
  },
);

test("part numbers reach from 1 to 10,000", () => {
  expect([parsePartNumber("1"), parsePartNumber("10000")]).toEqual([1, 10_000]);
});

test("a part lies behind all parts before it, counted from one", () => {
  const parts = [1, 3, 7].map((partNumber) => ({ partNumber, size: 5, checksums: [] }));
  expect(partRange(parts, 15, 2)).toEqual({ range: { start: 5, end: 10 }, part: parts[1] });
  expect(codeOf(() => partRange(parts, 15, 4))).toBe("InvalidPartNumber");
});

test("the first part of an object without parts is the object", () => {
  expect(partRange([], 4, 1).range).toEqual({ start: 0, end: 4 });
  expect(codeOf(() => partRange([], 4, 2))).toBe("InvalidPartNumber");
});

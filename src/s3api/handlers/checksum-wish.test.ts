import { expect, test } from "vitest";
import { headersOf } from "../headers/header-list.ts";
import { readChecksumAlgorithm, readChecksumPlan } from "./checksum-wish.ts";

const plan = (algorithm: string | undefined, type: string | undefined) =>
  readChecksumPlan(
    headersOf({
      ...(algorithm === undefined ? {} : { "x-amz-checksum-algorithm": algorithm }),
      ...(type === undefined ? {} : { "x-amz-checksum-type": type }),
    }),
  );

test.each([
  ["CRC32", undefined, "COMPOSITE"],
  ["crc32c", "FULL_OBJECT", "FULL_OBJECT"],
  ["CRC64NVME", undefined, "FULL_OBJECT"],
  ["SHA256", "composite", "COMPOSITE"],
])("an upload with %s and type %s is %s", (algorithm, type, expected) => {
  expect(plan(algorithm, type)).toEqual({ algorithm: algorithm.toUpperCase(), type: expected });
});

test("an upload that names nothing leaves it to us", () => {
  expect(plan(undefined, undefined)).toBeUndefined();
  expect(readChecksumAlgorithm(headersOf({}))).toBeUndefined();
});

test.each([
  ["SHA1", "FULL_OBJECT"],
  ["CRC64NVME", "COMPOSITE"],
  ["MD5", undefined],
  ["CRC32", "HALF_OBJECT"],
  [undefined, "COMPOSITE"],
])("an upload with %s and type %s is refused", (algorithm, type) => {
  expect(() => plan(algorithm, type)).toThrow(expect.objectContaining({ code: "InvalidRequest" }));
});

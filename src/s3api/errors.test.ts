import { expect, test } from "vitest";
import { StorageFault, type StorageFaultKind } from "../core/faults.ts";
import { S3_ERRORS, S3Error, toS3Error } from "./errors.ts";

test("every code is written as AWS writes them and has an error status", () => {
  for (const [code, row] of Object.entries(S3_ERRORS)) {
    expect(code).toMatch(/^[A-Z][A-Za-z0-9]+$/);
    expect(row.status === 301 || (row.status >= 400 && row.status <= 507), code).toBe(true);
    expect(row.message.length, code).toBeGreaterThan(8);
  }
});

test("an S3 error carries the table's status and message, or the message of the case", () => {
  const plain = new S3Error("NoSuchKey");
  expect([plain.status, plain.message, plain.fields]).toEqual([
    404,
    "The specified key does not exist.",
    {},
  ]);
  const worded = new S3Error("InvalidArgument", {
    message: "Part number must be an integer between 1 and 10000, inclusive",
    fields: { ArgumentName: "partNumber" },
  });
  expect(worded.message).toContain("Part number");
  expect(worded.fields).toEqual({ ArgumentName: "partNumber" });
});

test.each([
  ["corrupt", "InternalError", 500],
  ["io", "InternalError", 500],
  ["locked", "InternalError", 500],
  ["unsupported", "InternalError", 500],
  ["disk-full", "InsufficientCapacity", 507],
  ["busy", "SlowDown", 503],
  ["closed", "SlowDown", 503],
  ["unreachable", "ServiceUnavailable", 503],
] as const satisfies ReadonlyArray<readonly [StorageFaultKind, string, number]>)(
  "a %s fault is answered with %s",
  (kind, code, status) => {
    const fault = new StorageFault(kind, "segment 7 at /data/secret/path");
    const error = toS3Error(fault);
    expect([error.code, error.status]).toEqual([code, status]);
    expect(error.message).not.toContain("/data");
    expect(error.cause).toBe(fault);
  },
);

test("a clock that jumped is told to the client, and not to the log for each request", () => {
  const error = toS3Error(new StorageFault("clock", "this site's clock"));
  expect([error.code, error.status, error.cause]).toEqual(["ServiceUnavailable", 503, undefined]);
  expect(error.message).toContain("clock has jumped");
  expect(error.headers).toEqual([["Retry-After", "10"]]);
});

test("an S3 error passes unchanged and the unknown becomes InternalError without its words", () => {
  const known = new S3Error("AccessDenied");
  expect(toS3Error(known)).toBe(known);
  for (const failure of [new TypeError("secret"), "secret", undefined, { secret: 1 }]) {
    const error = toS3Error(failure);
    expect(error.code).toBe("InternalError");
    expect(JSON.stringify({ ...error, cause: undefined }) + error.message).not.toContain("secret");
  }
});

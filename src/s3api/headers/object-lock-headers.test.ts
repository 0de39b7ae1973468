import { describe, expect, test } from "vitest";
import { headersOf } from "../../../test/support/headers.ts";
import { S3Error } from "../errors.ts";
import type { HeaderLines } from "./object-headers.ts";
import { pushLockHeaders, readLockHeaders } from "./object-lock-headers.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const MODE = "x-amz-object-lock-mode";
const UNTIL = "x-amz-object-lock-retain-until-date";
const HOLD = "x-amz-object-lock-legal-hold";
const LATER = "2026-01-01T00:00:00.001Z";

function refusalOf(...lines: ReadonlyArray<readonly [string, string]>): unknown {
  try {
    return readLockHeaders(headersOf(lines), NOW);
  } catch (failure) {
    if (failure instanceof S3Error) return [failure.code, failure.fields["ArgumentName"]];
    throw failure;
  }
}

describe("the headers that lock a version", () => {
  test("ask for nothing when there are none", () => {
    expect(refusalOf()).toEqual({ retention: undefined, legalHold: undefined });
  });

  test.each(["GOVERNANCE", "COMPLIANCE"] as const)("ask for %s until a moment", (mode) => {
    expect(refusalOf([MODE, mode], [UNTIL, LATER], [HOLD, "ON"])).toEqual({
      retention: { mode, untilMs: NOW + 1 },
      legalHold: true,
    });
  });

  test("can take a hold away, which is not the same as not asking", () => {
    expect(refusalOf([HOLD, "OFF"])).toEqual({ retention: undefined, legalHold: false });
  });

  test.each([
    ["a mode alone", [[MODE, "GOVERNANCE"]], MODE],
    ["a date alone", [[UNTIL, LATER]], UNTIL],
    [
      "an unknown mode",
      [
        [MODE, "governance"],
        [UNTIL, LATER],
      ],
      MODE,
    ],
    [
      "a mode that is inherited",
      [
        [MODE, "constructor"],
        [UNTIL, LATER],
      ],
      MODE,
    ],
    [
      "the present moment",
      [
        [MODE, "GOVERNANCE"],
        [UNTIL, "2026-01-01T00:00:00Z"],
      ],
      UNTIL,
    ],
    [
      "the past",
      [
        [MODE, "GOVERNANCE"],
        [UNTIL, "2005-10-12"],
      ],
      UNTIL,
    ],
    [
      "a date of the wrong form",
      [
        [MODE, "GOVERNANCE"],
        [UNTIL, "tomorrow"],
      ],
      UNTIL,
    ],
    ["a hold of another kind", [[HOLD, "on"]], HOLD],
    ["an empty hold", [[HOLD, ""]], HOLD],
  ] as const)("are refused with %s", (_what, lines, name) => {
    expect(refusalOf(...lines)).toEqual(["InvalidArgument", name]);
  });
});

test("a lock is shown in the parts that the caller may see", () => {
  const lock = { retention: { mode: "COMPLIANCE", untilMs: NOW }, legalHold: true } as const;
  const shown = (seeRetention: boolean, seeLegalHold: boolean): HeaderLines => {
    const lines: HeaderLines = [];
    pushLockHeaders(lines, lock, { seeRetention, seeLegalHold });
    return lines;
  };
  expect(shown(false, false)).toEqual([]);
  expect(shown(true, false)).toEqual([
    [MODE, "COMPLIANCE"],
    [UNTIL, "2026-01-01T00:00:00.000Z"],
  ]);
  expect(shown(false, true)).toEqual([[HOLD, "ON"]]);
});

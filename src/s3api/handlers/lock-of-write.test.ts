import { describe, expect, test } from "vitest";
import type { BucketLock } from "../../core/object-lock.ts";
import { S3Error } from "../errors.ts";
import { headersOf } from "../headers/header-list.ts";
import { OBJECT_LOCK } from "../settings/object-lock.ts";
import { lockOfWrite } from "./lock-of-write.ts";

const NOW = Date.parse("2026-01-31T00:00:00Z");
const DAY_MS = 86_400_000;
const MODE = "x-amz-object-lock-mode";
const UNTIL = "x-amz-object-lock-retain-until-date";
const HOLD = "x-amz-object-lock-legal-hold";

function lockOf(lock: BucketLock | undefined, headers: Record<string, string> = {}) {
  const bucketSettings = new Map<string, Uint8Array>();
  if (lock !== undefined) bucketSettings.set(OBJECT_LOCK.name, OBJECT_LOCK.encode(lock));
  return lockOfWrite({ headers: headersOf(headers), bucketSettings }, { nowMs: () => NOW });
}

const BARE = { defaultRetention: undefined };
const TWO_DAYS = { defaultRetention: { mode: "GOVERNANCE", unit: "days", count: 2 } } as const;

describe("a version begins", () => {
  test("without a lock where nobody asks for one", () => {
    expect(lockOf(undefined)).toBeUndefined();
    expect(lockOf(BARE)).toBeUndefined();
  });

  test("with the bucket's default, counted from now", () => {
    expect(lockOf(TWO_DAYS)).toEqual({
      retention: { mode: "GOVERNANCE", untilMs: NOW + 2 * DAY_MS },
      legalHold: false,
    });
  });

  test("with what the request asks for in place of the default", () => {
    const headers = { [MODE]: "COMPLIANCE", [UNTIL]: "2026-02-01T00:00:00Z" };
    expect(lockOf(TWO_DAYS, headers)).toEqual({
      retention: { mode: "COMPLIANCE", untilMs: NOW + DAY_MS },
      legalHold: false,
    });
  });

  test("with a legal hold beside the default, or alone", () => {
    expect(lockOf(TWO_DAYS, { [HOLD]: "ON" })).toEqual({
      retention: { mode: "GOVERNANCE", untilMs: NOW + 2 * DAY_MS },
      legalHold: true,
    });
    expect(lockOf(BARE, { [HOLD]: "ON" })).toEqual({ retention: undefined, legalHold: true });
  });

  test("not at all where the default cannot be read", () => {
    const bucketSettings = new Map([[OBJECT_LOCK.name, Buffer.of(9)]]);
    const write = { headers: headersOf({}), bucketSettings };
    expect(() => lockOfWrite(write, { nowMs: () => NOW })).toThrow(S3Error);
  });
});

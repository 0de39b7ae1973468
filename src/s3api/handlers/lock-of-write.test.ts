import { describe, expect, test } from "vitest";
import {
  type BucketName,
  type ObjectKey,
  parseBucketName,
  parseObjectKey,
  parseUploadId,
  type UploadId,
} from "../../core/names.ts";
import type { BucketLock } from "../../core/object-lock.ts";
import type { UploadRecord } from "../../core/records.ts";
import { S3Error } from "../errors.ts";
import { headersOf } from "../headers/header-list.ts";
import { OBJECT_LOCK } from "../settings/object-lock.ts";
import { lockOfCompleted, lockOfUpload, lockOfWrite } from "./lock-of-write.ts";

const NOW = Date.parse("2026-01-31T00:00:00Z");
const DAY_MS = 86_400_000;
const MODE = "x-amz-object-lock-mode";
const UNTIL = "x-amz-object-lock-retain-until-date";
const HOLD = "x-amz-object-lock-legal-hold";

function settingsOf(lock: BucketLock | undefined) {
  const bucketSettings = new Map<string, Uint8Array>();
  if (lock !== undefined) bucketSettings.set(OBJECT_LOCK.name, OBJECT_LOCK.encode(lock));
  return bucketSettings;
}

function lockOf(lock: BucketLock | undefined, headers: Record<string, string> = {}) {
  const write = { headers: headersOf(headers), bucketSettings: settingsOf(lock) };
  return lockOfWrite(write, { nowMs: () => NOW });
}

const BARE = { defaultRetention: undefined };
const TWO_DAYS = { defaultRetention: { mode: "GOVERNANCE", unit: "days", count: 2 } } as const;

const bucket = parseBucketName("locked") as BucketName;
const key = parseObjectKey("film") as ObjectKey;
const UPLOAD: UploadRecord = {
  ...{ uploadId: parseUploadId("0".repeat(32)) as UploadId, bucket, key, createdMs: NOW },
  ...{ initiator: "me", encryption: undefined, checksum: undefined },
  attributes: { system: [], user: [], storageClass: "STANDARD", tags: [] },
};

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

  test("of an upload with what the upload asked for, or the default from its completion", () => {
    const created = NOW + 7 * DAY_MS;
    const completed = (lock: BucketLock, headers: Record<string, string> = {}) => {
      const call = { headers: headersOf(headers), bucketSettings: settingsOf(lock) };
      const upload = { ...UPLOAD, lock: lockOfUpload(call, { nowMs: () => NOW }) };
      return lockOfCompleted(call)(upload, created);
    };
    const retention = { mode: "GOVERNANCE", untilMs: created + 2 * DAY_MS };
    expect(completed(BARE)).toBeUndefined();
    expect(completed(TWO_DAYS)).toEqual({ retention, legalHold: false });
    expect(completed(TWO_DAYS, { [HOLD]: "ON" })).toEqual({ retention, legalHold: true });
    expect(completed(BARE, { [HOLD]: "ON" })).toEqual({ retention: undefined, legalHold: true });
    const asked = { [MODE]: "COMPLIANCE", [UNTIL]: "2026-02-01T00:00:00Z" };
    expect(completed(TWO_DAYS, asked)).toEqual({
      retention: { mode: "COMPLIANCE", untilMs: NOW + DAY_MS },
      legalHold: false,
    });
  });

  test("not at all where the default cannot be read", () => {
    const bucketSettings = new Map([[OBJECT_LOCK.name, Buffer.of(9)]]);
    const write = { headers: headersOf({}), bucketSettings };
    expect(() => lockOfWrite(write, { nowMs: () => NOW })).toThrow(S3Error);
  });
});

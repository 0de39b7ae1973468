import { ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import { FieldReader, writeVarintField } from "./tagged-fields.ts";

/*
 * Object lock of a bucket, the value of its setting "object-lock":
 *
 * | tag | value                                                                  |
 * | --- | ---------------------------------------------------------------------- |
 * | 1   | mode of the default retention: varint, 1 governance, 2 compliance      |
 * | 3   | days of the default retention: varint                                  |
 * | 5   | years of the default retention: varint                                 |
 *
 * No field at all: locked, without a default retention. The mode comes with days or with years.
 */
const TAG = { mode: 1, days: 3, years: 5 } as const;

export const LOCK_MODES = ["GOVERNANCE", "COMPLIANCE"] as const;
export type LockMode = (typeof LOCK_MODES)[number];

/** What new versions of a bucket get that bring no retention of their own. */
export type DefaultRetention = { readonly mode: LockMode } & (
  | { readonly unit: "days"; readonly count: number }
  | { readonly unit: "years"; readonly count: number }
);

export type BucketLock = { readonly defaultRetention: DefaultRetention | undefined };

/** AWS: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html */
export const RETENTION_COUNT_MAX = { days: 36_500, years: 100 } as const;

const DAY_MS = 86_400_000;

/** The value of the setting; the same lock has the same bytes. */
export function encodeBucketLock({ defaultRetention }: BucketLock): Buffer {
  const writer = new ByteWriter();
  if (defaultRetention !== undefined) {
    const { mode, unit, count } = defaultRetention;
    writeVarintField(writer, TAG.mode, LOCK_MODES.indexOf(mode) + 1);
    writeVarintField(writer, TAG[unit], count);
  }
  return writer.finish();
}

/** Throws LayoutError, or StorageFault for unknown fields: what cannot be read must deny. */
export function decodeBucketLock(bytes: Uint8Array): BucketLock {
  const fields = new FieldReader(new ByteReader(bytes), bytes.length);
  let mode: LockMode | undefined;
  const counts: { days?: number; years?: number } = {};
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    switch (tag) {
      case TAG.mode:
        mode = LOCK_MODES[fields.reader.varint() - 1];
        if (mode === undefined) throw new LayoutError("a retention of an unknown mode");
        break;
      case TAG.days:
        counts.days = fields.reader.varint();
        break;
      case TAG.years:
        counts.years = fields.reader.varint();
        break;
      default:
        fields.passUnknown(tag);
    }
  }
  const { days, years } = counts;
  if (mode === undefined && days === undefined && years === undefined) {
    return { defaultRetention: undefined };
  }
  if (mode === undefined || (days === undefined) === (years === undefined)) {
    throw new LayoutError("a retention needs a mode, and either days or years");
  }
  if (days !== undefined) return { defaultRetention: { mode, unit: "days", count: days } };
  return { defaultRetention: { mode, unit: "years", count: years ?? 0 } };
}

/**
 * Until when a version is kept that was created at `createdMs` under a default retention: so many
 * days, or calendar years, later to the millisecond. 29 February becomes 1 March.
 */
export function retainedUntilMs({ unit, count }: DefaultRetention, createdMs: number): number {
  switch (unit) {
    case "days":
      return createdMs + count * DAY_MS;
    case "years": {
      const created = new Date(createdMs);
      return created.setUTCFullYear(created.getUTCFullYear() + count);
    }
  }
}

import type { HlcClock } from "../core/hlc.ts";
import type { BucketName, ObjectKey } from "../core/names.ts";
import { makeVersionId } from "../core/names.ts";
import type { Clock } from "../ports/clock.ts";
import type { Hash } from "../ports/hash.ts";
import type { Kv } from "../ports/kv.ts";
import type { Random } from "../ports/random.ts";
import type { Acknowledgements } from "./acknowledgements.ts";
import type { Admission } from "./admission.ts";
import type { Bodies } from "./body-reader.ts";
import type { BulkLane } from "./bulk-lane.ts";
import type { Committer } from "./commit.ts";
import type { LocalQuotas } from "./local-quotas.ts";
import type { BucketRow } from "./metadata/bucket-rows.ts";
import type { ObjectRow } from "./metadata/object-row.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { StoredBucket, StoredObject } from "./store.ts";
import type { TimeBounds } from "./time-bounds.ts";

/** What the parts of the store work with. */
export type StoreParts = {
  readonly kv: Kv;
  readonly hash: Hash;
  readonly random: Random;
  readonly clock: Clock;
  readonly hlc: HlcClock;
  readonly committer: Committer;
  /** What clients see: everything acknowledged, nothing ahead in line. */
  readonly index: RowReader;
  readonly bulk: BulkLane;
  readonly bodies: Bodies;
  readonly admission: Admission;
  readonly quotas: LocalQuotas;
  readonly acknowledgements: Acknowledgements;
  readonly timeBounds: TimeBounds;
  /**
   * Whether this site may make operations of its own accord: its clock is believed, and it knows
   * where its log ends.
   */
  readonly mayStamp: () => boolean;
};

/**
 * A bucket as its users see it; undefined when there is none or it was deleted. A write that the
 * deletion did not know of keeps its bucket for as long as it is there itself.
 */
export function findBucket(view: RowReader, name: BucketName): StoredBucket | undefined {
  const row = view.get(TABLES.bucket, name);
  if (row === undefined) return undefined;
  return row.deleted && !isKeptByContent(view, row) ? undefined : toStoredBucket(row);
}

/** Whether a bucket that was deleted holds what its deletions did not know of. */
export function isKeptByContent(view: RowReader, { name, creations }: BucketRow): boolean {
  const usage = view.get(TABLES.usage, name);
  if (usage === undefined || creations.length === 0) return false;
  return usage.objects + usage.noncurrent + usage.markers > 0;
}

/** Rows never change once they are made, and every request asks for its bucket's. */
const shownBuckets = new WeakMap<BucketRow, StoredBucket>();

/** A bucket's row as its users see it; settings that were removed are left out. Hot path. */
export function toStoredBucket(row: BucketRow): StoredBucket {
  const known = shownBuckets.get(row);
  if (known !== undefined) return known;
  const shown = showBucket(row);
  shownBuckets.set(row, shown);
  return shown;
}

function showBucket(row: BucketRow): StoredBucket {
  const settings = new Map<string, Uint8Array>();
  for (const [name, { value }] of row.settings) {
    if (value !== undefined) settings.set(name, value);
  }
  return { name: row.name, createdMs: row.createdMs, owner: row.owner, settings };
}

/** An object's row as its users see it. The place is shared: laying a batch out sets it. */
export function toStoredObject(bucket: BucketName, key: ObjectKey, row: ObjectRow): StoredObject {
  const { stamp, object, nullSlot: isNull, place } = row;
  row.version ??= makeVersionId(stamp.hlc, stamp.origin);
  const { version } = row;
  return { bucket, key, version, isNull, hlc: stamp.hlc, record: object, place };
}

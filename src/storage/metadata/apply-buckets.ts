import { NOTHING_SEEN } from "../../core/causality.ts";
import type { BucketName } from "../../core/names.ts";
import type { Vector } from "../../core/records.ts";
import type { ApplyContext, Input } from "./apply-context.ts";
import {
  type BucketRow,
  emptyBucket,
  homesOf,
  withCreation,
  withDeletion,
  withSetting,
} from "./bucket-rows.ts";
import { TABLES } from "./rows.ts";

/**
 * Concurrent creations are one bucket. A creation that came after a deletion begins it anew: what
 * was set before does not count any more.
 */
export function applyBucketCreate(
  context: ApplyContext,
  { stamp, place, body }: Input<"bucket-create">,
  seen: Vector = NOTHING_SEEN,
): void {
  const { bucket, createdMs, owner } = body;
  const creation = { ...stamp, home: place.home, vector: seen, createdMs, owner };
  change(context, bucket, (row) => withCreation(row, creation));
}

/** A deletion removes what its origin had seen, and nothing beside. */
export function applyBucketDelete(
  context: ApplyContext,
  { stamp, place, body }: Input<"bucket-delete">,
  seen: Vector = NOTHING_SEEN,
): void {
  const deletion = { ...stamp, home: place.home, vector: seen };
  change(context, body.bucket, (row) => withDeletion(row, deletion));
}

/** Sets or removes a setting, also of a bucket whose creation has not come yet. */
export function applyBucketSetting(
  context: ApplyContext,
  { stamp, place, body }: Input<"bucket-setting">,
): void {
  const setting = { stamp, home: place.home, value: body.value };
  change(context, body.bucket, (row) => withSetting(row, body.name, setting));
}

function change(
  { view, references }: ApplyContext,
  bucket: BucketName,
  next: (row: BucketRow) => BucketRow,
): void {
  const before = view.get(TABLES.bucket, bucket);
  const after = next(before ?? emptyBucket(bucket));
  for (const home of homesOf(after)) references.addLive(home, 1, 0);
  for (const home of before === undefined ? [] : homesOf(before)) references.addLive(home, -1, 0);
  view.put(TABLES.bucket, bucket, after);
}

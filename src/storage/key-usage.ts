import { CREATOR_SETTING, creatorOf } from "../core/bucket-creator.ts";
import type { AccessKeyId, BucketName } from "../core/names.ts";
import type { KeyUsage } from "./local-quotas.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import { findBucket } from "./store-parts.ts";

type Creations = {
  /** `bucketChanges` of the rows that this was made from. */
  readonly changes: number;
  readonly byKey: ReadonlyMap<AccessKeyId, readonly BucketName[]>;
};

/**
 * The buckets by the key that made them: they change rarely, and a write of a key with a quota
 * needs them.
 */
const creations = new WeakMap<RowReader, Creations>();

/** What the buckets of a key hold together. Costs a look-up for each of them. */
export function keyUsage(rows: RowReader, id: AccessKeyId): KeyUsage {
  let buckets = 0;
  let bytes = 0;
  let objects = 0;
  for (const bucket of bucketsOf(rows, id)) {
    if (findBucket(rows, bucket) === undefined) continue;
    buckets += 1;
    const usage = rows.get(TABLES.usage, bucket);
    bytes += usage?.bytes ?? 0;
    objects += (usage?.objects ?? 0) + (usage?.noncurrent ?? 0);
  }
  return { buckets, bytes, objects };
}

function bucketsOf(rows: RowReader, id: AccessKeyId): readonly BucketName[] {
  let known = creations.get(rows);
  if (known === undefined || known.changes !== rows.bucketChanges) {
    known = { changes: rows.bucketChanges, byKey: readCreations(rows) };
    creations.set(rows, known);
  }
  return known.byKey.get(id) ?? [];
}

function readCreations(rows: RowReader): Creations["byKey"] {
  const byKey = new Map<AccessKeyId, BucketName[]>();
  for (const { row } of rows.rows(TABLES.bucket, "", "~")) {
    const creator = creatorOf(row.settings.get(CREATOR_SETTING)?.value);
    if (creator === undefined) continue;
    const buckets = byKey.get(creator);
    if (buckets === undefined) byKey.set(creator, [row.name]);
    else buckets.push(row.name);
  }
  return byKey;
}

import { CREATOR_SETTING, creatorOf } from "../core/bucket-creator.ts";
import type { AccessKeyId, BucketName } from "../core/names.ts";
import type { KeyUsage } from "./local-quotas.ts";
import { keptUntilChanged } from "./metadata/kept-until-changed.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import { findBucket } from "./store-parts.ts";

/**
 * The buckets by the key that made them: they change rarely, and a write of a key with a quota
 * needs them.
 */
const creations = keptUntilChanged("bucketChanges", readCreations);

/** What the buckets of a key hold together. Costs a look-up for each of them. */
export function keyUsage(rows: RowReader, id: AccessKeyId): KeyUsage {
  let buckets = 0;
  let bytes = 0;
  let objects = 0;
  for (const bucket of creations(rows).get(id) ?? []) {
    if (findBucket(rows, bucket) === undefined) continue;
    buckets += 1;
    const usage = rows.get(TABLES.usage, bucket);
    bytes += usage?.bytes ?? 0;
    objects += (usage?.objects ?? 0) + (usage?.noncurrent ?? 0);
  }
  return { buckets, bytes, objects };
}

function readCreations(rows: RowReader): ReadonlyMap<AccessKeyId, readonly BucketName[]> {
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

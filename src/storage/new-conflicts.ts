import { type BucketName, makeVersionId, type ObjectKey, type VersionId } from "../core/names.ts";
import type { ConflictsRecord } from "../core/records.ts";

/** A write that became a conflict when an operation came in. */
export type NewConflict = {
  readonly bucket: BucketName;
  readonly key: ObjectKey;
  readonly version: VersionId;
};

/** The conflicts that arise by verdicts. */
export function arisenIn(record: ConflictsRecord | undefined): NewConflict[] {
  if (record === undefined) return [];
  const { bucket, key } = record;
  return record.verdicts
    .filter(({ verdict }) => verdict === "expected")
    .map(({ write }) => ({ bucket, key, version: makeVersionId(write.hlc, write.origin) }));
}

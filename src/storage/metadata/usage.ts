import { LIMITS } from "../../core/limits.ts";
import type { BucketName } from "../../core/names.ts";
import type { Usage } from "../store-figures.ts";
import { bucketEnd, bucketStart, prefixKeyOf } from "./keys.ts";
import { TABLES, type UsageRow } from "./rows.ts";
import type { RowReader } from "./stored-rows.ts";
import type { IndexView } from "./view.ts";

const NOTHING: UsageRow = {
  objects: 0,
  bytes: 0,
  uploads: 0,
  tombstones: 0,
  prefixes: 0,
  noncurrent: 0,
  markers: 0,
  voided: 0,
  metas: 0,
  conflicts: 0,
  marked: 0,
};
/** Where the usage of prefixes beyond the cap goes; no key starts with NUL. */
const OTHER = "\0other";

/** By how much counts change; `prefixes` follows from the others. */
type Change = { readonly [Name in Exclude<keyof UsageRow, "prefixes">]?: number };

/**
 * Counts a change in the same transaction as the rows it follows from, so that counts are exact
 * without scanning.
 */
export function addUsage(
  view: IndexView,
  { bucket, key }: { readonly bucket: BucketName; readonly key: string },
  change: Change,
): void {
  const before = view.get(TABLES.usage, bucket) ?? NOTHING;
  const objects = change.objects ?? 0;
  const bytes = change.bytes ?? 0;
  const opened =
    objects === 0 && bytes === 0 ? 0 : addPrefix(view, before, { bucket, key, objects, bytes });
  const after = {
    objects: before.objects + objects,
    bytes: before.bytes + bytes,
    uploads: before.uploads + (change.uploads ?? 0),
    tombstones: before.tombstones + (change.tombstones ?? 0),
    prefixes: before.prefixes + opened,
    noncurrent: before.noncurrent + (change.noncurrent ?? 0),
    markers: before.markers + (change.markers ?? 0),
    voided: before.voided + (change.voided ?? 0),
    metas: before.metas + (change.metas ?? 0),
    conflicts: before.conflicts + (change.conflicts ?? 0),
    marked: before.marked + (change.marked ?? 0),
  };
  if (isNothing(after)) view.remove(TABLES.usage, bucket);
  else view.put(TABLES.usage, bucket, after);
}

function isNothing({ objects, uploads, tombstones, prefixes, ...rest }: UsageRow): boolean {
  const versions = rest.noncurrent + rest.markers + rest.voided + rest.metas;
  const history = rest.conflicts + rest.marked;
  return objects + uploads + tombstones + prefixes + versions + history === 0;
}

/** The part of a key before its first "/", if it has one and it is not too long to list. */
function firstSegment(key: string): string | undefined {
  const slash = key.indexOf("/");
  if (slash < 0) return undefined;
  return slash > LIMITS.usagePrefixBytesMax ? OTHER : key.slice(0, slash + 1);
}

/** Counts by first path segment; returns how the number of listed segments has changed. */
function addPrefix(
  view: IndexView,
  usage: UsageRow,
  change: { bucket: BucketName; key: string; objects: number; bytes: number },
): number {
  let prefix = firstSegment(change.key);
  if (prefix === undefined) return 0;
  let key = prefixKeyOf(change.bucket, prefix);
  let before = view.get(TABLES.prefix, key);
  if (before === undefined) {
    // While anything is counted as "other", every unlisted prefix is: then an object is always
    // taken off the count that it was added to.
    const otherKey = prefixKeyOf(change.bucket, OTHER);
    const other = view.get(TABLES.prefix, otherKey);
    const full = usage.prefixes >= LIMITS.usagePrefixesMax;
    if (full || other !== undefined || prefix === OTHER) {
      prefix = OTHER;
      key = otherKey;
      before = other;
    }
  }
  const objects = (before?.objects ?? 0) + change.objects;
  const bytes = (before?.bytes ?? 0) + change.bytes;
  const listed = prefix === OTHER ? 0 : 1;
  if (objects === 0 && bytes === 0) {
    view.remove(TABLES.prefix, key);
    return before === undefined ? 0 : -listed;
  }
  view.put(TABLES.prefix, key, { objects, bytes });
  return before === undefined ? listed : 0;
}

/** Number of objects counted under a first path segment, slash included. */
export function countedIn(view: RowReader, bucket: BucketName, segment: string): number {
  return view.get(TABLES.prefix, prefixKeyOf(bucket, segment))?.objects ?? 0;
}

/** Objects under all first path segments of a bucket that are not listed. */
export function countedElsewhere(view: RowReader, bucket: BucketName): number {
  return countedIn(view, bucket, OTHER);
}

/** What a bucket holds, by first path segment; the rest of a long list stands under "other". */
export function readUsage(view: RowReader, bucket: BucketName): Usage {
  const row = view.get(TABLES.usage, bucket) ?? NOTHING;
  const prefixes = new Map<string, { objects: number; bytes: number }>();
  const start = bucketStart(bucket);
  for (const { key, row: usage } of view.rows(TABLES.prefix, start, bucketEnd(bucket))) {
    const name = key.slice(start.length);
    prefixes.set(name === OTHER ? "other" : name, { objects: usage.objects, bytes: usage.bytes });
  }
  const { objects, bytes, noncurrent, markers, conflicts } = row;
  const versions = objects + noncurrent;
  return { objects, bytes, versions, deleteMarkers: markers, conflicts, prefixes };
}

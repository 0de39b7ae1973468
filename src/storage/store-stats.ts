import type { Hlc } from "../core/hlc.ts";
import type { BucketName } from "../core/names.ts";
import type { Committer } from "./commit.ts";
import { POSITION_KEY } from "./metadata/keys.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import { readUsage } from "./metadata/usage.ts";
import type { Quantiles } from "./quantiles.ts";
import { type Segments, segmentName } from "./segment/segments.ts";
import type { StoreStats, Usage } from "./store.ts";
import type { StoreParts } from "./store-parts.ts";

export type StatsDeps = {
  readonly parts: StoreParts;
  readonly segments: Segments;
  readonly committer: Committer;
  readonly syncMs: Quantiles;
  readonly replayedOperations: number;
  readonly lastHlc: () => Hlc;
};

/** What the store knows of itself, in bytes, counts and milliseconds; reads the small tables. */
export function readStats(deps: StatsDeps): StoreStats {
  const { parts, segments, committer, syncMs } = deps;
  const usage = sumUsage(parts);
  const position = parts.index.get(TABLES.position, POSITION_KEY);
  return {
    objects: usage.objects,
    bytes: usage.bytes,
    versions: usage.versions,
    deleteMarkers: usage.deleteMarkers,
    conflicts: usage.conflicts,
    multipartUploads: usage.uploads,
    segments: sumSegments(deps),
    commit: {
      batches: committer.batches,
      operations: committer.operations,
      syncMs: { p50: syncMs.at(0.5), p99: syncMs.at(0.99) },
      directIo: segments.writeMode === "direct",
    },
    index: {
      applied: position === undefined ? "" : `${shortName(position.segment)}:${position.offset}`,
      replayedOperations: deps.replayedOperations,
      bytes: parts.kv.sizeBytes(),
    },
    hlc: deps.lastHlc(),
  };
}

/** Objects and bytes of a bucket and of its first path segments, exact at once. */
export function bucketUsage({ index }: StoreParts, name: BucketName): Usage {
  return readUsage(index, name);
}

function shortName(segment: number): string {
  return segmentName(segment).replace(/\.atoll$/, "");
}

type UsageSum = Pick<
  StoreStats,
  "objects" | "bytes" | "versions" | "deleteMarkers" | "conflicts"
> & {
  readonly uploads: number;
};

function sumUsage({ kv, hash }: StoreParts): UsageSum {
  const sum = { objects: 0, bytes: 0, versions: 0, deleteMarkers: 0, conflicts: 0, uploads: 0 };
  const { prefix } = TABLES.usage;
  for (const { value } of kv.range({ gte: indexKey(prefix, ""), lt: indexKey(prefix, "~") })) {
    const row = decodeRow(TABLES.usage, value, hash.crc32);
    sum.objects += row.objects;
    sum.bytes += row.bytes;
    sum.versions += row.objects + row.noncurrent;
    sum.deleteMarkers += row.markers;
    sum.conflicts += row.conflicts;
    sum.uploads += row.uploads;
  }
  return sum;
}

function sumSegments({ parts, segments }: StatsDeps): StoreStats["segments"] {
  const { kv, hash, bulk } = parts;
  const { prefix } = TABLES.segment;
  let liveBytes = 0;
  for (const { value } of kv.range({ gte: indexKey(prefix, ""), lt: indexKey(prefix, "~") })) {
    liveBytes += decodeRow(TABLES.segment, value, hash.crc32).bytes;
  }
  let fileBytes = 0;
  let open = 0;
  let pinnedBytes = 0;
  for (const facts of segments.facts.values()) {
    fileBytes += facts.sizeBytes;
    if (!facts.sealed) open += 1;
    if (bulk.isPinned(facts.id)) pinnedBytes += facts.sizeBytes;
  }
  const deadBytes = Math.max(0, fileBytes - liveBytes);
  return { count: segments.facts.size, open, liveBytes, deadBytes, pinnedBytes };
}

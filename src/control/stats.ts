import { formatHlc } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import { parseBucketName } from "../core/names.ts";
import type { Clock } from "../ports/clock.ts";
import type { ProcessFacts } from "../ports/process-facts.ts";
import type { ReplicationStatus, ReplicationWatch } from "../replication/status.ts";
import type { LifecycleSchedule } from "../storage/lifecycle/lifecycle-schedule.ts";
import type { SiteIdentity } from "../storage/site-identity.ts";
import type { Store, StoreStats } from "../storage/store.ts";
import { showKeyQuota } from "./admin-quotas.ts";
import type { LatencyQuantiles } from "./latency-histogram.ts";
import { lifecycleFacts } from "./lifecycle-facts.ts";
import { replicationFacts } from "./replication-facts.ts";
import { REST, type RequestStats, type TrafficRow, type TrafficTop } from "./request-stats.ts";

/** What the site is doing; "serving" is the only state in which S3 answers. */
export type SiteState = "starting" | "recovering" | "serving" | "draining";

export type StatsDeps = {
  readonly version: string;
  readonly clock: Clock;
  readonly processFacts: ProcessFacts;
  readonly requests: RequestStats;
  readonly state: () => SiteState;
  /** Undefined until the site has been opened. */
  readonly site: () =>
    | {
        readonly store: Store;
        readonly identity: Omit<SiteIdentity, "keyPair" | "withdrawn" | "withdrawing">;
        readonly lifecycle: Pick<LifecycleSchedule, "stats">;
      }
    | undefined;
  /** Undefined until the site has been opened. */
  readonly replication: () => ReplicationWatch | undefined;
  /** `clock.monotonicMs()` when the process started. */
  readonly startedMonotonicMs: number;
};

/** Rises with every incompatible change of `/v1/meta/stats`. */
const STATS_SCHEMA_VERSION = 1;

/** The document that `/v1/meta/stats` answers, once the site has been opened. */
export async function collectStats(deps: StatsDeps): Promise<Record<string, unknown> | undefined> {
  const replication = await deps.replication()?.status();
  return describeSite(deps, replication);
}

function describeSite(
  deps: StatsDeps,
  replication: ReplicationStatus | undefined,
): Record<string, unknown> | undefined {
  const site = deps.site();
  if (site === undefined) return undefined;
  const { store, identity } = site;
  const facts = store.stats();
  const slot = deps.requests.slot();
  const upMs = deps.clock.monotonicMs() - deps.startedMonotonicMs;
  return {
    schema_version: STATS_SCHEMA_VERSION,
    version: deps.version,
    now: new Date(deps.clock.nowMs()).toISOString(),
    uptime_seconds: Math.floor(upMs / 1000),
    site: { ...showIdentity(identity), hlc: formatHlc(facts.hlc), state: deps.state() },
    objects: {
      count: facts.objects,
      bytes: facts.bytes,
      versions: facts.versions,
      delete_markers: facts.deleteMarkers,
      multipart_uploads: facts.multipartUploads,
    },
    buckets: showBuckets(store, facts, deps.requests.buckets(), slot),
    segments: {
      count: facts.segments.count,
      open: facts.segments.open,
      live_bytes: facts.segments.liveBytes,
      dead_bytes: facts.segments.deadBytes,
      pinned_bytes: facts.segments.pinnedBytes,
      bodies_mended: store.rows.mended(),
    },
    requests: showOperations(deps.requests.operations(), slot),
    keys: showKeys(deps.requests.keys(), slot),
    key_quotas: showKeyQuotas(store),
    commit: {
      batches: facts.commit.batches,
      operations: facts.commit.operations,
      sync_ms: { p50: facts.commit.syncMs.p50, p99: facts.commit.syncMs.p99 },
      direct_io: facts.commit.directIo,
    },
    index: {
      applied: facts.index.applied,
      replayed_operations: facts.index.replayedOperations,
      bytes: facts.index.bytes,
    },
    lifecycle: lifecycleFacts(site.lifecycle.stats()),
    replication: replicationFacts(replication),
    process: {
      rss_bytes: deps.processFacts.rssBytes(),
      event_loop_delay_ms: { p99: roundMs(deps.processFacts.eventLoopDelayP99Ms()) },
      open_files: deps.processFacts.openFiles() ?? 0,
    },
  };
}

function showIdentity({
  siteId,
  name,
  clusterId,
  incarnation,
}: Omit<SiteIdentity, "keyPair" | "withdrawn" | "withdrawing">): Record<string, unknown> {
  return { id: siteId, name, cluster: clusterId, incarnation };
}

type Latencies = { latency_ms: LatencyQuantiles; latency_ms_since_start: LatencyQuantiles };

function latenciesOf(row: TrafficRow, slot: number): Latencies {
  return {
    latency_ms: row.latency.lastMinute(slot),
    latency_ms_since_start: row.latency.sinceStart(),
  };
}

function showOperations(top: TrafficTop, slot: number): Record<string, unknown> {
  return showRows(top, (row) => ({
    count: row.count,
    errors: Object.fromEntries(row.errors),
    in_bytes: row.inBytes,
    out_bytes: row.outBytes,
    ...latenciesOf(row, slot),
  }));
}

function showKeys(top: TrafficTop, slot: number): Record<string, unknown> {
  return showRows(top, (row) => ({
    requests: row.count,
    in_bytes: row.inBytes,
    out_bytes: row.outBytes,
    ...latenciesOf(row, slot),
  }));
}

/** What each access key with a quota may store and does; so many of them, and no more. */
function showKeyQuotas(store: Store): ReadonlyArray<Record<string, unknown>> {
  const quotas = [...store.quotas.ofKeys()].slice(0, LIMITS.statsNamesMax);
  return quotas.map(([id, quota]) => showKeyQuota(store, id, quota));
}

/** Existing buckets, the busiest first, then those without traffic up to the limit. */
function showBuckets(
  store: Store,
  facts: Pick<StoreStats, "objects" | "bytes">,
  top: TrafficTop,
  slot: number,
): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  let objectsShown = 0;
  let bytesShown = 0;
  let count = 0;
  const add = (name: string, row: TrafficRow | undefined): void => {
    const bucket = parseBucketName(name);
    if (bucket === undefined || name === REST || count >= LIMITS.statsNamesMax) return;
    if (Object.hasOwn(shown, name) || store.bucket(bucket) === undefined) return;
    const usage = store.bucketUsage(bucket);
    objectsShown += usage.objects;
    bytesShown += usage.bytes;
    count += 1;
    shown[name] = showBucket(usage, row, slot);
  };
  for (const [name, row] of top) add(name, row);
  for (const bucket of store.buckets()) {
    if (count >= LIMITS.statsNamesMax) break;
    add(bucket.name, undefined);
  }
  const rest = { objects: facts.objects - objectsShown, bytes: facts.bytes - bytesShown };
  const restTraffic = top.get(REST);
  if (rest.objects > 0 || restTraffic !== undefined) {
    shown[REST] = showBucket(rest, restTraffic, slot);
  }
  return shown;
}

function showBucket(
  usage: { readonly objects: number; readonly bytes: number },
  row: TrafficRow | undefined,
  slot: number,
): Record<string, unknown> {
  return {
    objects: usage.objects,
    bytes: usage.bytes,
    requests: row === undefined ? {} : Object.fromEntries(row.operations),
    ...(row === undefined
      ? { latency_ms: {}, latency_ms_since_start: {} }
      : latenciesOf(row, slot)),
  };
}

// Names come from outside: as own properties of an object without prototype they are harmless.
function showRows(
  top: TrafficTop,
  show: (row: TrafficRow) => Record<string, unknown>,
): Record<string, unknown> {
  const shown: Record<string, unknown> = Object.create(null);
  for (const [name, row] of top) shown[name] = show(row);
  return shown;
}

function roundMs(ms: number): number {
  return Number(ms.toFixed(3));
}

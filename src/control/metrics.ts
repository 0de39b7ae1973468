import { Counter, Gauge, Registry } from "prom-client";
import type { ReplicationStatus } from "../replication/status.ts";
import type { LifecycleStats } from "../storage/lifecycle/lifecycle-schedule.ts";
import type { Store } from "../storage/store.ts";
import { addReplication } from "./replication-metrics.ts";
import type { TrafficRow } from "./request-stats.ts";
import type { StatsDeps } from "./stats.ts";

type StoreFacts = ReturnType<Store["stats"]>;

export type RenderedMetrics = { readonly contentType: string; readonly text: string };

/** Renders the site's facts in Prometheus' text format. They are read when it is called. */
export function createMetrics(deps: StatsDeps): () => Promise<RenderedMetrics> {
  const registry = new Registry();
  addProcess(registry, deps);
  addRequests(registry, deps);
  addLifecycle(registry, deps);
  // Read once for all that is told of them: the store sums up the usage of every bucket.
  let replication: ReplicationStatus | undefined;
  let store: StoreFacts | undefined;
  addStore(registry, deps, () => store);
  addReplication(registry, () => replication);
  return async () => {
    replication = await deps.replication()?.status();
    store = deps.site()?.store.stats();
    return { contentType: Registry.PROMETHEUS_CONTENT_TYPE, text: await registry.metrics() };
  };
}

function gauge(
  registry: Registry,
  name: string,
  help: string,
  read: () => number | undefined,
): void {
  new Gauge({
    name: `atoll_${name}`,
    help,
    registers: [registry],
    collect() {
      const value = read();
      if (value === undefined) this.remove();
      else this.set(value);
    },
  });
}

// The counts live elsewhere; a counter that is set anew at each scrape still only rises.
function counter(
  registry: Registry,
  name: string,
  help: string,
  read: () => number | undefined,
): void {
  new Counter({
    name: `atoll_${name}`,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(read() ?? 0);
    },
  });
}

function addProcess(registry: Registry, deps: StatsDeps): void {
  const { processFacts } = deps;
  new Gauge({
    name: "atoll_build_info",
    help: "Always 1; the version is a label.",
    labelNames: ["version"],
    registers: [registry],
  }).set({ version: deps.version }, 1);
  gauge(registry, "uptime_seconds", "Seconds since the process started.", () => {
    return (deps.clock.monotonicMs() - deps.startedMonotonicMs) / 1000;
  });
  gauge(registry, "ready", "1 while the site serves, else 0.", () =>
    deps.state() === "serving" ? 1 : 0,
  );
  gauge(registry, "process_resident_memory_bytes", "Resident memory.", () =>
    processFacts.rssBytes(),
  );
  gauge(registry, "process_open_files", "Open file descriptors.", () => processFacts.openFiles());
  gauge(
    registry,
    "event_loop_delay_seconds",
    "99th percentile of the event loop's delay, over the last minute at least.",
    () => processFacts.eventLoopDelayP99Ms() / 1000,
  );
}

const OPERATION_COUNTERS = {
  requests_total: ["Finished requests.", (row: TrafficRow) => row.count],
  request_in_bytes_total: ["Bytes of request bodies.", (row: TrafficRow) => row.inBytes],
  request_out_bytes_total: ["Bytes of response bodies.", (row: TrafficRow) => row.outBytes],
  request_duration_seconds_total: [
    "Time spent in requests.",
    (row: TrafficRow) => row.durationMs / 1000,
  ],
} as const satisfies Record<string, readonly [string, (row: TrafficRow) => number]>;

function addRequests(registry: Registry, deps: StatsDeps): void {
  const { requests } = deps;
  for (const [name, [help, read]] of Object.entries(OPERATION_COUNTERS)) {
    new Counter({
      name: `atoll_${name}`,
      help: `${help} By operation.`,
      labelNames: ["operation"],
      registers: [registry],
      collect() {
        this.reset();
        for (const [operation, row] of requests.operations()) this.inc({ operation }, read(row));
      },
    });
  }
  new Counter({
    name: "atoll_request_errors_total",
    help: "Requests that were answered with an S3 error. By operation and error code.",
    labelNames: ["operation", "error"],
    registers: [registry],
    collect() {
      this.reset();
      for (const [operation, row] of requests.operations()) {
        for (const [error, count] of row.errors) this.inc({ operation, error }, count);
      }
    },
  });
  new Gauge({
    name: "atoll_request_duration_seconds",
    help: "Quantiles of request durations over the last 60 s. By operation.",
    labelNames: ["operation", "quantile"],
    registers: [registry],
    collect() {
      this.reset();
      for (const [operation, row] of requests.operations()) {
        const { p50, p95, p99 } = row.latency.lastMinute(requests.slot());
        for (const [quantile, ms] of [
          ["0.5", p50],
          ["0.95", p95],
          ["0.99", p99],
        ] as const) {
          if (ms !== undefined) this.set({ operation, quantile }, ms / 1000);
        }
      }
    },
  });
}

function addStore(
  registry: Registry,
  { site }: StatsDeps,
  facts: () => StoreFacts | undefined,
): void {
  const of = (read: (facts: StoreFacts) => number) => (): number | undefined => {
    const now = facts();
    return now === undefined ? undefined : read(now);
  };
  const gauges = {
    objects: ["Objects.", (facts) => facts.objects],
    object_bytes: ["Bytes of objects.", (facts) => facts.bytes],
    versions: ["Versions of objects, current ones too.", (facts) => facts.versions],
    delete_markers: ["Delete markers.", (facts) => facts.deleteMarkers],
    multipart_uploads: ["Multipart uploads under way.", (facts) => facts.multipartUploads],
    segments: ["Segment files.", (facts) => facts.segments.count],
    segments_open: ["Segment files that are being written.", (facts) => facts.segments.open],
    segment_live_bytes: ["Bytes in segments in use.", (facts) => facts.segments.liveBytes],
    segment_dead_bytes: ["Bytes in segments not in use.", (facts) => facts.segments.deadBytes],
    segment_pinned_bytes: ["Bytes kept for readers.", (facts) => facts.segments.pinnedBytes],
    index_bytes: ["Bytes of the index.", (facts) => facts.index.bytes],
    commit_sync_p50_seconds: ["Median of a sync.", (facts) => facts.commit.syncMs.p50 / 1000],
    commit_sync_p99_seconds: [
      "99th percentile of a sync.",
      (facts) => facts.commit.syncMs.p99 / 1000,
    ],
    direct_io: [
      "1 when the log is written past the page cache.",
      (facts) => (facts.commit.directIo ? 1 : 0),
    ],
  } as const satisfies Record<string, readonly [string, (facts: StoreFacts) => number]>;
  for (const [name, [help, read]] of Object.entries(gauges)) gauge(registry, name, help, of(read));
  counter(
    registry,
    "bodies_mended_total",
    "Damaged bodies that were replaced by those of peers.",
    () => site()?.store.rows.mended(),
  );
  counter(
    registry,
    "commit_batches_total",
    "Committed batches.",
    of((facts) => facts.commit.batches),
  );
  counter(
    registry,
    "commit_operations_total",
    "Committed operations.",
    of((facts) => facts.commit.operations),
  );
  counter(
    registry,
    "index_replayed_operations_total",
    "Operations replayed into the index at the last start.",
    of((facts) => facts.index.replayedOperations),
  );
}

function addLifecycle(registry: Registry, { site }: StatsDeps): void {
  const counters = {
    expired: ["Objects that lifecycles expired.", (stats) => stats.expired],
    removed: ["Versions and markers that lifecycles removed.", (stats) => stats.removed],
    uploads_aborted: ["Uploads that lifecycles aborted.", (stats) => stats.uploadsAborted],
  } as const satisfies Record<string, readonly [string, (stats: LifecycleStats) => number]>;
  for (const [name, [help, read]] of Object.entries(counters)) {
    counter(registry, `lifecycle_${name}_total`, help, () => {
      const stats = site()?.lifecycle.stats();
      return stats === undefined ? undefined : read(stats);
    });
  }
}

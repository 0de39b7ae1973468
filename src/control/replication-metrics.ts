import { Counter, Gauge, type Registry } from "prom-client";
import type { PeerStatus, ReplicationStatus } from "../replication/status.ts";

type PeerGauge = readonly [help: string, read: (peer: PeerStatus) => number | undefined];

const PEER_GAUGES = {
  in_sync: [
    "1 while a peer and this site have applied the same operations.",
    (peer) => (peer.state === "in-sync" ? 1 : 0),
  ],
  operations_behind: [
    "Operations of this site's log that a peer has not applied.",
    (peer) => peer.behind?.operations,
  ],
  bytes_behind: ["Bytes of bodies in those operations.", (peer) => peer.behind?.detail?.bytes],
  seconds_behind: ["Age of the oldest of them.", (peer) => peer.behind?.detail?.seconds],
  operations_ahead: [
    "Operations that a peer has and this site has not applied.",
    (peer) => peer.ahead,
  ],
  clock_skew_seconds: [
    "How far a peer's clock is ahead of this site's.",
    (peer) => (peer.skewMs === undefined ? undefined : peer.skewMs / 1000),
  ],
  heard_seconds_ago: ["Time since a peer's last message.", (peer) => peer.heardSecondsAgo],
} as const satisfies Record<string, PeerGauge>;

const SITE_GAUGES = {
  conflicts: ["Conflicts that nobody has resolved.", (status) => status.conflicts],
  parked_operations: ["Operations whose bytes no peer could give.", (status) => status.parked],
  remote_bodies: [
    "Bodies that are shown here and stand at other sites only, of metadata-first buckets.",
    (status) => status.remote.manifests,
  ],
  remote_bytes: ["Bytes of those bodies.", (status) => status.remote.bytes],
  clock_trusted: [
    "0 while writes wait because this site's clock has jumped, else 1.",
    ({ clock }) => (clock.kind === "trusted" ? 1 : 0),
  ],
  quarantined_origins: [
    "Origins whose operations are held back because their time is ahead.",
    (status) => status.quarantined.length,
  ],
} as const satisfies Record<
  string,
  readonly [help: string, read: (status: ReplicationStatus) => number]
>;

/** Adds what replication tells; `status` is read once for all of them at each scrape. */
export function addReplication(
  registry: Registry,
  status: () => ReplicationStatus | undefined,
): void {
  for (const [name, [help, read]] of Object.entries(PEER_GAUGES)) {
    new Gauge({
      name: `atoll_replication_${name}`,
      help: `${help} By peer.`,
      labelNames: ["peer"],
      registers: [registry],
      collect() {
        this.reset();
        for (const peer of status()?.peers ?? []) {
          const value = read(peer);
          if (value !== undefined) this.set({ peer: peer.label }, value);
        }
      },
    });
  }
  for (const [name, [help, read]] of Object.entries(SITE_GAUGES)) {
    new Gauge({
      name: `atoll_replication_${name}`,
      help,
      registers: [registry],
      collect() {
        const now = status();
        if (now === undefined) this.remove();
        else this.set(read(now));
      },
    });
  }
  addStates(registry, status);
  addBuckets(registry, status);
  addRefused(registry, status);
}

function addStates(registry: Registry, status: () => ReplicationStatus | undefined): void {
  new Gauge({
    name: "atoll_replication_state",
    help: "Always 1; how a peer stands, as repl-status says it, is a label. By peer and state.",
    labelNames: ["peer", "state"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { label: peer, state } of status()?.peers ?? []) this.set({ peer, state }, 1);
    },
  });
}

function addRefused(registry: Registry, status: () => ReplicationStatus | undefined): void {
  new Counter({
    name: "atoll_replication_refused_messages_total",
    help: "Messages of peers that were refused since the start. By reason.",
    labelNames: ["reason"],
    registers: [registry],
    collect() {
      this.reset();
      for (const [reason, count] of status()?.refused ?? []) this.inc({ reason }, count);
    },
  });
}

function addBuckets(registry: Registry, status: () => ReplicationStatus | undefined): void {
  new Gauge({
    name: "atoll_replication_bucket_operations_behind",
    help: "Operations that a peer has not applied. By peer and bucket.",
    labelNames: ["peer", "bucket"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { label: peer, behind } of status()?.peers ?? []) {
        for (const [bucket, { operations }] of behind?.detail?.buckets ?? []) {
          this.set({ peer, bucket }, operations);
        }
      }
    },
  });
}

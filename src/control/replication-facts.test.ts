import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { hlcFromMs } from "../core/hlc.ts";
import { parseOriginId, parseSeq, parseSiteId } from "../core/names.ts";
import type { PeerStatus, ReplicationStatus } from "../replication/status.ts";
import { replicationFacts } from "./replication-facts.ts";
import { addReplication } from "./replication-metrics.ts";

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the test's own data is wrong");
  return value;
}

const NOW_MS = Date.parse("2026-11-20T21:00:00.000Z");
const ORIGIN = must(parseOriginId("ab".repeat(8)));
const SITE = must(parseSiteId("9f".repeat(8)));

const paris: PeerStatus = {
  ...{ site: SITE, label: "paris", state: "catching-up" },
  addresses: ["https://paris.example.org:9000"],
  behind: {
    operations: 14,
    detail: {
      bytes: 4096,
      seconds: 1.23456,
      buckets: new Map([
        ["photos", { operations: 3, bytes: 96 }],
        ["videos", { operations: 10, bytes: 4000 }],
      ]),
    },
    etaSeconds: 0.5,
  },
  ahead: 2,
  aheadDetail: {
    ...{ bytes: 50, seconds: 0.5 },
    buckets: new Map([["music", { operations: 2, bytes: 50 }]]),
  },
  ...{ skewMs: 3.4, heardSecondsAgo: 0.25 },
  lastError: { message: "connection refused", atMs: NOW_MS, overMs: NOW_MS + 9000 },
};
const oslo: PeerStatus = {
  ...{ site: must(parseSiteId("5c".repeat(8))), label: "oslo", state: "connecting" },
  ...{
    addresses: [],
    behind: undefined,
    ahead: undefined,
    aheadDetail: undefined,
    skewMs: undefined,
  },
  ...{ heardSecondsAgo: undefined, lastError: undefined },
};
const STATUS: ReplicationStatus = {
  clock: { kind: "jumped", witness: "monotonic", aheadMs: 600_000, sinceMs: NOW_MS },
  peers: [paris, oslo],
  conflicts: 5,
  parked: 1,
  remote: { manifests: 3, bytes: 12_000_000 },
  refused: new Map([
    ["replayed", 2],
    ["clock", 1],
  ]),
  moved: {
    ...{ operationsTaken: 1234, pageBytesTaken: 5_000_000, chunkBytesTaken: 70_000_000 },
    ...{ bytesServed: 8, lies: 1, passedOver: 3, leases: 2 },
  },
  quarantined: [
    {
      ...{
        origin: ORIGIN,
        dot: { origin: ORIGIN, seq: must(parseSeq(9)) },
        hlc: hlcFromMs(NOW_MS),
      },
      ...{ from: SITE, sinceMs: NOW_MS, aheadMs: 61_234 },
    },
  ],
};

test("replication has exactly the shape that monitors rely on", async () => {
  const facts = JSON.stringify(replicationFacts(STATUS), undefined, 2);
  await expect(`${facts}\n`).toMatchFileSnapshot("../../test/golden/control/replication.json");
});

test("a site without peers says so in the same shape", () => {
  expect(replicationFacts()).toEqual({
    ...{
      peers: {},
      conflicts: 0,
      ...{ parked: 0, remote_bodies: 0, remote_bytes: 0 },
      quarantined: {},
      refused_messages: {},
      clock: { state: "trusted" },
      moved: {
        ...{ operations_taken: 0, page_bytes_taken: 0, chunk_bytes_taken: 0, bytes_served: 0 },
        ...{ lies_found: 0, peers_passed_over: 0, chunk_lists_leased: 0 },
      },
    },
  });
});

test("metrics say it by peer, and nothing of what is not known", async () => {
  const registry = new Registry();
  let status: ReplicationStatus | undefined;
  addReplication(registry, () => status);
  const before = await registry.metrics();
  expect(before.split("\n").filter((line) => /^atoll/.test(line))).toEqual([]);
  status = STATUS;
  const lines = (await registry.metrics()).split("\n").filter((line) => /^atoll/.test(line));
  expect(lines).toEqual([
    'atoll_replication_in_sync{peer="paris"} 0',
    'atoll_replication_in_sync{peer="oslo"} 0',
    'atoll_replication_operations_behind{peer="paris"} 14',
    'atoll_replication_bytes_behind{peer="paris"} 4096',
    'atoll_replication_seconds_behind{peer="paris"} 1.23456',
    'atoll_replication_operations_ahead{peer="paris"} 2',
    'atoll_replication_clock_skew_seconds{peer="paris"} 0.0034',
    'atoll_replication_heard_seconds_ago{peer="paris"} 0.25',
    "atoll_replication_conflicts 5",
    "atoll_replication_parked_operations 1",
    "atoll_replication_remote_bodies 3",
    "atoll_replication_remote_bytes 12000000",
    "atoll_replication_clock_trusted 0",
    "atoll_replication_quarantined_origins 1",
    'atoll_replication_state{peer="paris",state="catching-up"} 1',
    'atoll_replication_state{peer="oslo",state="connecting"} 1',
    'atoll_replication_bucket_operations_behind{peer="paris",bucket="photos"} 3',
    'atoll_replication_bucket_operations_behind{peer="paris",bucket="videos"} 10',
    'atoll_replication_refused_messages_total{reason="replayed"} 2',
    'atoll_replication_refused_messages_total{reason="clock"} 1',
  ]);
});

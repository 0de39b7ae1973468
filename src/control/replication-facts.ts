import { formatHlc } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import {
  type LagDetail,
  NOTHING_MOVED,
  type PeerStatus,
  type PeerTrouble,
  type ReplicationStatus,
} from "../replication/status.ts";
import { clockFacts } from "./admin-clock.ts";

const NOTHING = { operations: 0, bytes: 0 };
const NO_BUCKETS: LagDetail["buckets"] = new Map();
const NONE: ReplicationStatus = {
  ...{
    peers: [],
    conflicts: 0,
    parked: 0,
    remote: { manifests: 0, bytes: 0 },
    quarantined: [],
    refused: new Map(),
    clock: { kind: "trusted" },
    moved: NOTHING_MOVED,
  },
};

/** How replication stands, for the statistics and `atoll repl-status`. */
export function replicationFacts(status: ReplicationStatus = NONE): Record<string, unknown> {
  const { peers, conflicts, parked, remote, quarantined, refused, clock, moved } = status;
  return {
    peers: Object.fromEntries(peers.map((peer) => [peer.label, peerFacts(peer)])),
    conflicts,
    parked,
    remote_bodies: remote.manifests,
    remote_bytes: remote.bytes,
    quarantined: Object.fromEntries(
      quarantined.map(({ origin, dot, hlc, from, sinceMs, aheadMs }) => [
        origin,
        {
          ...{ next_operation: dot.seq, hlc: formatHlc(hlc), from },
          ...{ since: new Date(sinceMs).toISOString(), ahead_seconds: seconds(aheadMs / 1000) },
        },
      ]),
    ),
    refused_messages: Object.fromEntries(
      [...refused].sort(([left], [right]) => (left < right ? -1 : 1)),
    ),
    clock: clockFacts(clock),
    moved: {
      operations_taken: moved.operationsTaken,
      page_bytes_taken: moved.pageBytesTaken,
      chunk_bytes_taken: moved.chunkBytesTaken,
      bytes_served: moved.bytesServed,
      lies_found: moved.lies,
      peers_passed_over: moved.passedOver,
      chunk_lists_leased: moved.leases,
    },
  };
}

function peerFacts(peer: PeerStatus): Record<string, unknown> {
  const { site, state, addresses, behind, ahead, aheadDetail } = peer;
  const { skewMs, heardSecondsAgo, lastError } = peer;
  const { operations, detail, etaSeconds } = behind ?? {};
  return {
    ...{ site, state, addresses },
    operations_behind: operations,
    bytes_behind: detail?.bytes,
    seconds_behind: detail === undefined ? undefined : seconds(detail.seconds),
    eta_seconds: etaSeconds === undefined ? undefined : seconds(etaSeconds),
    operations_ahead: ahead,
    bytes_ahead: aheadDetail?.bytes,
    seconds_ahead: aheadDetail === undefined ? undefined : seconds(aheadDetail.seconds),
    buckets: bucketFacts(peer),
    clock_skew_ms: skewMs === undefined ? undefined : Math.round(skewMs),
    heard_seconds_ago: heardSecondsAgo === undefined ? undefined : seconds(heardSecondsAgo),
    last_error: lastError === undefined ? null : troubleFacts(lastError),
  };
}

function troubleFacts({ message, atMs, overMs }: PeerTrouble): Record<string, unknown> {
  const at = (ms: number): string => new Date(ms).toISOString();
  return { message, at: at(atMs), over_since: overMs === undefined ? null : at(overMs) };
}

/** Those that wait for most come first; the names are bounded as everywhere in the statistics. */
function bucketFacts({ behind, aheadDetail }: PeerStatus): Record<string, unknown> {
  const out = behind?.detail?.buckets ?? NO_BUCKETS;
  const into = aheadDetail?.buckets ?? NO_BUCKETS;
  const waiting = (name: string): number =>
    (out.get(name)?.operations ?? 0) + (into.get(name)?.operations ?? 0);
  const names = [...new Set([...out.keys(), ...into.keys()])]
    .sort((left, right) => waiting(right) - waiting(left))
    .slice(0, LIMITS.statsNamesMax);
  return Object.fromEntries(
    names.map((name) => {
      const { operations, bytes } = out.get(name) ?? NOTHING;
      const ahead = into.get(name);
      const incoming =
        ahead === undefined ? {} : { operations_ahead: ahead.operations, bytes_ahead: ahead.bytes };
      return [name, { operations_behind: operations, bytes_behind: bytes, ...incoming }];
    }),
  );
}

function seconds(value: number): number {
  return Number(value.toFixed(3));
}

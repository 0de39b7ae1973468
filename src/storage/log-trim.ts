import { asBuffer } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { HLC_ZERO, type Hlc, hlcMs } from "../core/hlc.ts";
import { type OriginId, parseSeq } from "../core/names.ts";
import { chainAfter } from "../core/operation-codec.ts";
import type { LocalRecord, Vector } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { Kv } from "../ports/kv.ts";
import { isAwaited, type PeerPosition } from "./acknowledgements.ts";
import { type BatchPlace, type LoggedOperation, readLogOperations } from "./log-batch.ts";
import { dotOfKey } from "./metadata/apply-origins.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import type { Segments } from "./segment/segments.ts";
import type { TimeBounds } from "./time-bounds.ts";

type TrimPoint = Extract<LocalRecord, { kind: "segments-dropped" }>["trimPoints"][number];

/** Where the operations of an origin end in a segment: its last operation there. */
export type OriginEnd = TrimPoint & { readonly hlc: Hlc };

export type LogTrimDeps = {
  readonly kv: Kv;
  readonly hash: Hash;
  readonly segments: Segments;
};

type Run = BatchPlace & { readonly origin: OriginId; readonly last: number };

const NO_CHAIN = new Uint8Array(32);

/**
 * The last operation of each origin in each of these segments. When the segments are dropped, the
 * logs of those origins begin behind them.
 */
export async function endsOfLogs(
  deps: LogTrimDeps,
  segments: ReadonlySet<number>,
): Promise<ReadonlyMap<number, readonly OriginEnd[]>> {
  const ends = new Map<number, OriginEnd[]>();
  if (segments.size === 0) return ends;
  for (const run of lastRuns(deps, segments)) {
    const end = await endOf(deps, run);
    if (end === undefined) continue;
    ends.set(run.segment, [...(ends.get(run.segment) ?? []), end]);
  }
  return ends;
}

/** The last run of each origin in each segment. */
function lastRuns({ kv, hash }: LogTrimDeps, segments: ReadonlySet<number>): Iterable<Run> {
  const { prefix } = TABLES.logRun;
  const runs = new Map<string, Run>();
  for (const { key, value } of kv.range({ gte: indexKey(prefix, ""), lt: indexKey(prefix, "~") })) {
    const { segment, offset, count } = decodeRow(TABLES.logRun, value, hash.crc32);
    if (!segments.has(segment)) continue;
    const dot = dotOfKey(asBuffer(key).toString("utf8", prefix.length));
    if (dot === undefined) continue;
    // Runs of an origin come in the order of its log.
    const last = dot.seq + count - 1;
    runs.set(`${segment} ${dot.origin}`, { segment, offset, origin: dot.origin, last });
  }
  return runs.values();
}

async function endOf(deps: LogTrimDeps, run: Run): Promise<OriginEnd | undefined> {
  const { origin, last } = run;
  const seq = parseSeq(last);
  if (seq === undefined) return undefined;
  const operations = await readLogOperations(deps, run).catch(nothingIfDamaged);
  const found = operations.findLast(
    ({ operation: { dot } }) => dot.origin === origin && dot.seq === seq,
  );
  if (found === undefined) return { origin, seq, chain: NO_CHAIN, hlc: HLC_ZERO };
  const { chainBefore, hlc } = found.operation;
  const sha256 = (bytes: Uint8Array) => deps.hash.digest("SHA256", bytes);
  return { origin, seq, chain: chainAfter(sha256, chainBefore, found.encoded), hlc };
}

/** A segment that is damaged goes as any other, once nobody needs it; only its chain is lost. */
function nothingIfDamaged(failure: unknown): readonly LoggedOperation[] {
  if (failure instanceof StorageFault && failure.kind === "corrupt") return [];
  throw failure;
}

/** Who may still need what the log holds. */
export type LogReaders = {
  /** Every other member of the cluster. */
  readonly peers: readonly PeerPosition[];
  /** Vectors behind which everything is kept. */
  readonly held: readonly Vector[];
  readonly nowMs: number;
  readonly timeBounds: Pick<TimeBounds, "historyMs" | "peerMs">;
};

/**
 * Whether a part of the log that ends so is still needed: by a peer that has not applied it and is
 * awaited, or because it is young. A site alone keeps no history.
 */
export function isNeeded(ends: readonly OriginEnd[], readers: LogReaders): boolean {
  const { peers, held, nowMs, timeBounds } = readers;
  if (held.some((vector) => !reaches(vector, ends))) return true;
  if (peers.length === 0) return false;
  if (ends.some(({ hlc }) => nowMs - hlcMs(hlc) < timeBounds.historyMs)) return true;
  return peers.some(
    (peer) => isAwaited(peer, nowMs, timeBounds.peerMs) && !reaches(peer.applied, ends),
  );
}

function reaches(vector: Vector, ends: readonly OriginEnd[]): boolean {
  return ends.every(({ origin, seq }) => (vector.get(origin) ?? 0) >= seq);
}

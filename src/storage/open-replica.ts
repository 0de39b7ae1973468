import { StorageFault } from "../core/faults.ts";
import { hlcMs } from "../core/hlc.ts";
import { laterStamp } from "../core/lww.ts";
import type { ContentHash, OriginId, Seq } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { Operation, Vector } from "../core/records.ts";
import type { Log } from "../ports/log.ts";
import { readChunk } from "./chunk-reader.ts";
import { giveUp, stampInNullSlot } from "./give-up.ts";
import { ingest } from "./ingest.ts";
import { type BatchPlace, type LoggedOperation, readLogBatch } from "./log-batch.ts";
import { readLogPage } from "./log-pages.ts";
import { isOfDeleteAgain } from "./metadata/again.ts";
import { historyOf } from "./metadata/apply-conflicts.ts";
import { deletesOf } from "./metadata/apply-deletes.ts";
import {
  type KeyName,
  type Located,
  nullVersion,
  sameWrite,
  versionById,
} from "./metadata/key-versions.ts";
import { logRunKeyOf, objectKeyOf } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import { isDeleted } from "./metadata/voided-rows.ts";
import type { OriginLogs } from "./origin-logs.ts";
import { ParkedEntries } from "./parked-entries.ts";
import type { ReadOperation, RecentBatches } from "./recent-batches.ts";
import type { LogPage, Replica } from "./replica.ts";
import type { Segments } from "./segment/segments.ts";
import type { BodyWriter } from "./store.ts";
import { type StoreParts, toStoredObject } from "./store-parts.ts";
import { VisibleLogs } from "./visible-logs.ts";

export type ReplicaDeps = {
  readonly parts: StoreParts;
  readonly origin: OriginId;
  readonly ownOrigins: ReadonlySet<OriginId>;
  readonly origins: OriginLogs;
  readonly segments: Segments;
  readonly recent: RecentBatches;
  /** Seq of the last operation of our own, with what is ahead in line. */
  readonly ownSeq: () => Seq;
  readonly damaged: (segment: number, offset: number) => void;
  readonly log: Log;
  readonly stage: () => Promise<BodyWriter>;
};

/** The log as other sites see it, over the parts of the store. */
export function createReplica(deps: ReplicaDeps): Replica {
  const { parts, origin } = deps;
  const { index, hash, committer, acknowledgements } = parts;
  const logs = new VisibleLogs(parts, origin);
  const chunks = { ...deps, index, hash };
  const { kv, segments, origins } = { ...deps, ...parts };
  const parked = new ParkedEntries({ kv, hash, segments, origins });
  return {
    origin,
    ownOrigins: deps.ownOrigins,
    received: () => logs.received,
    applied: () => logs.applied,
    holes: () => logs.holes,
    parked: (part) => logs.parked(part),
    parkedCount: () => origins.parkedCount,
    floors: () => logs.floors(),
    readLog: (after, bytesMax) => readLog(deps, logs, after, bytesMax),
    onCommit: (listener) => committer.onCommit(listener),
    ingest: (operations, heads) => ingest(deps, operations, heads),
    parkedEntry: (dot) => parked.read(dot),
    superseded: (operation, isGone) => isSuperseded(parts, operation, isGone),
    giveUp: async (dot) => {
      const entry = await parked.read(dot);
      return entry !== undefined && giveUp(parts, deps.origins, decodeOperation(entry.encoded));
    },
    acknowledge: (site, applied, received = applied) =>
      acknowledgements.note(site, applied, received),
    holdLog: (vectors) => acknowledgements.hold(vectors),
    manifest: (name) => index.get(TABLES.manifest, name)?.chunks,
    hasChunk: (name) => index.get(TABLES.chunk, name) !== undefined,
    readChunk: (name, offset, bytes) => readChunk(chunks, name, offset, bytes),
    leaseChunks: (names) => leaseChunks(parts, names),
    stageBody: deps.stage,
  };
}

function readLog(
  deps: ReplicaDeps,
  logs: VisibleLogs,
  after: Vector,
  bytesMax: number,
): Promise<LogPage> {
  const { kv, hash } = deps.parts;
  const received = new Map<OriginId, Seq>();
  for (const [origin, { seq }] of logs.received) received.set(origin, seq);
  const read = (place: BatchPlace) => readBatch(deps, place);
  const wish = { after, received, floors: logs.floors(), bytesMax };
  return readLogPage({ kv, hash, ownOrigins: deps.ownOrigins, read }, wish);
}

/**
 * The operations of a batch. Those that were parked when it was written may have their bytes since,
 * and a body that is damaged where it stands may have been written anew, or be had elsewhere.
 */
async function readBatch(deps: ReplicaDeps, place: BatchPlace): Promise<readonly ReadOperation[]> {
  const { segments, parts, recent } = deps;
  const kept = recent.get(place);
  if (kept !== undefined) return kept;
  const operations = await readLogBatch({ segments, hash: parts.hash }, place);
  const found: LoggedOperation[] = [];
  for (const logged of operations) {
    const { damagedAt, missing } = logged;
    if (damagedAt !== undefined) deps.damaged(place.segment, damagedAt);
    const isLacking = missing === "parked" || damagedAt !== undefined;
    found.push(isLacking ? await whatIsHere(deps, logged) : logged);
  }
  return found;
}

async function whatIsHere(deps: ReplicaDeps, logged: LoggedOperation): Promise<LoggedOperation> {
  const { parts } = deps;
  const { dot, body } = logged.operation;
  if (parts.index.get(TABLES.parked, logRunKeyOf(dot.origin, dot.seq)) !== undefined) return logged;
  if (body.kind !== "object-put") return { ...logged, missing: undefined };
  const located = locate(parts.index, logged.operation);
  const gone = logged.damagedAt === undefined ? "void" : "parked";
  if (located?.kind !== "object") return { ...logged, missing: gone };
  const { row } = located;
  if (row.object.body.kind !== "inline") return { ...logged, missing: undefined };
  const object = toStoredObject(body.bucket, body.key, row);
  try {
    const inline = await parts.bodies.inline(object);
    return { ...logged, inline, missing: undefined };
  } catch (failure) {
    if (!(failure instanceof StorageFault) || failure.kind !== "corrupt") throw failure;
    return { ...logged, missing: "parked" };
  }
}

/** The version that an operation put, wherever it stands now. */
function locate(index: RowReader, { body, dot, hlc }: Operation): Located | undefined {
  if (body.kind !== "object-put") return undefined;
  const id = { hlc, origin: dot.origin };
  const found = body.nullSlot ? nullVersion(index, body) : versionById(index, body, id);
  if (found !== undefined && sameWrite(found.row.stamp, id)) return found;
  const history = historyOf(index, body, id);
  return history?.kind === "conflict"
    ? { kind: "object", row: history.row, current: false }
    : undefined;
}

/**
 * Whether a put is no longer wanted: its version was removed, or a later write is known to have
 * taken its place. One that only lost would be a conflict, and may still be had from somebody.
 *
 * @param isGone every member was asked, and none has its bytes.
 */
function isSuperseded(parts: StoreParts, operation: Operation, isGone = false): boolean {
  const { index, clock, timeBounds } = parts;
  const { body, dot, hlc } = operation;
  if (body.kind !== "object-put") return false;
  const stamp = { hlc, origin: dot.origin };
  if (!body.nullSlot) {
    const deletes = deletesOf(index, body, stamp);
    // What is kept behind its delete may come back.
    return deletes !== undefined && isDeleted(deletes) && (isGone || deletes.kept === undefined);
  }
  const standing = stampInNullSlot(index, body);
  if (standing === undefined || !laterStamp(standing, stamp)) return false;
  // Who keeps a conflict has its bytes.
  if (isGone || (standing.origin === dot.origin && !isDeletedAgain(index, body))) return true;
  const isOld = clock.nowMs() - hlcMs(hlc) > timeBounds.conflictMs;
  return isOld || historyOf(index, body, stamp)?.kind === "settled";
}

/** Whether the null slot was emptied by a delete of another origin than that which said it last. */
function isDeletedAgain(index: RowReader, { bucket, key }: KeyName): boolean {
  const tombstone = index.get(TABLES.tombstone, objectKeyOf(bucket, key));
  return tombstone !== undefined && isOfDeleteAgain(tombstone);
}

/** Pins the segments of the chunks that are here; gives what lets go of them, once. */
function leaseChunks({ index, bulk }: StoreParts, names: readonly ContentHash[]): () => void {
  const segments = new Set<number>();
  for (const name of names) {
    const place = index.get(TABLES.chunk, name)?.place;
    if (place !== undefined) segments.add(place.segment);
  }
  for (const segment of segments) bulk.pin(segment);
  return () => {
    for (const segment of segments) bulk.unpin(segment);
    segments.clear();
  };
}

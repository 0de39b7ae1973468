import type { StorageFault } from "../core/faults.ts";
import { LIMITS } from "../core/limits.ts";
import type { SiteId } from "../core/names.ts";
import type { LocalRecord } from "../core/records.ts";
import type { Clock } from "../ports/clock.ts";
import type { Disk } from "../ports/disk.ts";
import type { Log } from "../ports/log.ts";
import { isAwaited } from "./acknowledgements.ts";
import type { CommitLane } from "./commit-lane.ts";
import { Graveyards } from "./graveyards.ts";
import { placeOfOperation } from "./log-pages.ts";
import { endsOfLogs, isNeeded, type OriginEnd } from "./log-trim.ts";
import { dropOldMarks } from "./mark-horizon.ts";
import { MarkMoves } from "./mark-moves.ts";
import { DROPPED_KEY, POSITION_KEY, segmentKeyOf } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import { OldRows } from "./old-rows.ts";
import { takeCheckpoint } from "./recovery.ts";
import { type SealingDeps, sealLeftover } from "./sealing.ts";
import type { SegmentFacts, Segments } from "./segment/segments.ts";
import { listSites } from "./sites.ts";
import type { HouseReport } from "./store.ts";
import type { StoreParts } from "./store-parts.ts";
import type { WarmPages } from "./warm-pages.ts";

export type HouseDeps = {
  readonly parts: StoreParts;
  readonly disk: Disk;
  readonly log: Log;
  readonly clock: Clock;
  /** Why the clock is not believed now: then nothing is given up because it is old. */
  readonly refusal: () => StorageFault | undefined;
  readonly segments: Segments;
  readonly lane: CommitLane;
  /** This site: it waits for every other member. */
  readonly siteId: SiteId;
  readonly warm: WarmPages;
  readonly sealing: SealingDeps;
  /** Segments left open by earlier processes, with where their batches end. */
  readonly leftovers: Array<{ facts: SegmentFacts; batchesEnd: number }>;
  readonly checkpointDirectory: string;
};

/** How often tombstones and marks of removed versions are looked through for old ones. */
const MARKS_LOOK_MS = 60 * 60 * 1000;
/** The same while space is short. */
const MARKS_LOOK_TIGHT_MS = 60 * 1000;
/** How long an idle house goes without a look: only what time brings about could be found. */
const REST_MS = 60 * 60 * 1000;
/** The open bulk segment is dropped before it is full when it has this size and no live chunk. */
const DEAD_BULK_BYTES_MIN = 16 * 1024 * 1024;
/**
 * A copy of the index is taken when so much log would have to be replayed without it after a power
 * cut: some seconds' worth, for a copy slows foreground writes while it is taken.
 */
const CHECKPOINT_LOG_BYTES_MIN = 1024 * 1024 * 1024;
const CHECKPOINT_INDEX_SHARE = 2;

type Candidate = { readonly facts: SegmentFacts; readonly ends: readonly OriginEnd[] };
type Dropped = Extract<LocalRecord, { kind: "segments-dropped" }>;

/**
 * Housekeeping: seals idle segments, drops dead ones, forgets what is old, and takes checkpoints of
 * the index. Does nothing while nothing has happened.
 */
export class House {
  readonly #deps: HouseDeps;
  readonly #oldRows: OldRows;
  #batchesSeen = -1;
  #marksLookedAtMs: number;
  readonly #markMoves: MarkMoves;
  readonly #graveyards: Graveyards;
  #marksMovedAtMs = Number.NEGATIVE_INFINITY;
  #lastWriteMs: number;
  #bytesAtCheckpoint: number;
  /** Segments that the log says are dropped, but whose files still exist. */
  #leaving: readonly SegmentFacts[] = [];
  /** Some segments could be dropped, but are still being read. */
  #isHeldUp = false;
  #rest: { readonly activity: number; readonly untilMs: number } | undefined;

  constructor(deps: HouseDeps) {
    this.#deps = deps;
    this.#oldRows = new OldRows(deps.parts, deps.siteId);
    this.#markMoves = new MarkMoves(deps.parts);
    this.#graveyards = new Graveyards(deps.parts, deps.segments);
    this.#lastWriteMs = deps.clock.monotonicMs();
    this.#marksLookedAtMs = this.#lastWriteMs;
    this.#bytesAtCheckpoint = this.#logBytes();
  }

  /**
   * Grows with every batch, once the index shows it, and with every chunk whose pin is released.
   * Whoever notes this number before reading can tell later whether there is anything new.
   */
  get activity(): number {
    const { committer, bulk } = this.#deps.parts;
    return committer.shown + bulk.unpinned;
  }

  /**
   * True when a look would find nothing: the last one found nothing, and nothing has happened
   * since. Looking all the same would do harm: reading the index writes to LMDB's table of readers,
   * and the disk of a site at rest is to stay idle.
   */
  get isAtRest(): boolean {
    const rest = this.#rest;
    if (rest === undefined || rest.activity !== this.activity) return false;
    return this.#deps.clock.monotonicMs() < rest.untilMs;
  }

  async keep(): Promise<HouseReport> {
    const { activity } = this;
    const report = await this.#keep();
    const isQuiet = Object.values(report).every((done) => done === 0 || done === false);
    // Acknowledgements of peers, and space freed by other programs, leave no batch behind that
    // would end the rest.
    const { admission } = this.#deps.parts;
    const hasLooked = isQuiet && !this.#oldRows.isUnderWay && !this.#isHeldUp;
    const rests = hasLooked && this.#peers().length === 0 && admission.keepsReserve;
    this.#rest = rests ? { activity, untilMs: this.#restEndMs() } : undefined;
    return report;
  }

  #restEndMs(): number {
    const { lane, parts, clock } = this.#deps;
    const restMs = clock.monotonicMs() + REST_MS;
    if (!lane.hasBatches && parts.bulk.currentSegment === undefined) return restMs;
    return Math.min(restMs, this.#lastWriteMs + LIMITS.segmentIdleMsMax + 1);
  }

  async #keep(): Promise<HouseReport> {
    const { admission, committer } = this.#deps.parts;
    // What follows writes, and may use the room that was set aside for it.
    await admission.refresh();
    await admission.makeRoom();
    const { batches } = committer;
    if (batches !== this.#batchesSeen) this.#lastWriteMs = this.#deps.clock.monotonicMs();
    this.#batchesSeen = batches;
    const segmentsSealed = (await this.#sealLeftovers()) + (await this.#sealIdle());
    const resultsExpired = await this.#forgetOld();
    await this.#writeAcknowledgements();
    const dropped = await this.#dropDead();
    await this.#moveMarks();
    const checkpointTaken = await this.#checkpoint();
    await admission.restoreReserve();
    return { segmentsSealed, resultsExpired, checkpointTaken, ...dropped };
  }

  /** Forgets what is old; returns how many results of completed uploads that were. */
  async #forgetOld(): Promise<number> {
    if (this.#deps.refusal() !== undefined) return 0;
    const resultsExpired = await this.#oldRows.expireResults();
    await this.#oldRows.endUploads();
    await this.#oldRows.forgetConflicts();
    await this.#dropMarks();
    return resultsExpired;
  }

  async #sealLeftovers(): Promise<number> {
    const { leftovers, sealing, segments } = this.#deps;
    let sealed = 0;
    for (let next = leftovers.shift(); next !== undefined; next = leftovers.shift()) {
      if (!segments.facts.has(next.facts.id)) continue;
      if (await sealLeftover(sealing, next.facts, next.batchesEnd)) sealed += 1;
    }
    return sealed;
  }

  async #sealIdle(): Promise<number> {
    const { parts, lane, clock, segments } = this.#deps;
    let sealed = 0;
    const idle = clock.monotonicMs() - this.#lastWriteMs > LIMITS.segmentIdleMsMax;
    if (idle && lane.hasBatches) {
      await lane.prepareRoll(parts.hlc.last);
      if (parts.committer.roll()) sealed += 1;
    }
    const current = parts.bulk.currentSegment;
    const facts = current === undefined ? undefined : segments.facts.get(current);
    const dead =
      facts !== undefined && facts.sizeBytes > DEAD_BULK_BYTES_MIN && this.#isUnneeded(facts.id);
    if (facts !== undefined && (idle || dead)) {
      await parts.bulk.sealCurrent();
      sealed += 1;
    }
    return sealed;
  }

  /**
   * Whether nothing in the segment is needed, by rows in the index or by writes that are in line.
   */
  #isUnneeded(segment: number, view: RowReader = this.#deps.parts.index): boolean {
    const { bulk } = this.#deps.parts;
    return !bulk.isPinned(segment) && view.get(TABLES.segment, segmentKeyOf(segment)) === undefined;
  }

  /** Whether a segment is only needed for removals, which may be said elsewhere. */
  #isGraveyard({ id, lane }: SegmentFacts): boolean {
    return lane === "commit" && this.#graveyards.isOne(id, this.#deps.parts.index);
  }

  #isDead(facts: SegmentFacts, view?: RowReader): boolean {
    const { lane, parts } = this.#deps;
    if (lane.holds(facts.id) || parts.bulk.currentSegment === facts.id) return false;
    return (
      this.#isUnneeded(facts.id, view) || this.#graveyards.isCleared(facts.id, view ?? parts.index)
    );
  }

  /**
   * The first commit segment without a durable footer. The one behind it says where its batches
   * end, so that a torn footer is told from a torn batch: until then that one must stay.
   */
  #firstOpen(): number {
    const commit = [...this.#deps.segments.facts.values()].filter(({ lane }) => lane === "commit");
    return Math.min(...commit.filter(({ sealed }) => !sealed).map(({ id }) => id));
  }

  /**
   * The segment of this site's last operation stays whatever becomes of that: nothing else tells a
   * rebuild how far the log has come, and sequences would be given out a second time.
   */
  #lastOperation(): number | undefined {
    const { index, kv, hash } = this.#deps.parts;
    const head = index.get(TABLES.position, POSITION_KEY);
    return head && placeOfOperation({ kv, hash }, head.origin, head.seq)?.segment;
  }

  /** The other members of the cluster. */
  #peers(): SiteId[] {
    const { parts, siteId } = this.#deps;
    const members = listSites(parts).filter(({ state }) => state === "active");
    return members.map(({ id }) => id).filter((id) => id !== siteId);
  }

  async #writeAcknowledgements(): Promise<void> {
    const { parts } = this.#deps;
    const records = parts.acknowledgements.due(this.#peers());
    if (records.length === 0) return;
    parts.admission.admitSmall();
    await parts.committer.submit(records.length * 256, (batch) => {
      for (const record of records) batch.local(record);
    });
  }

  /**
   * Walks all tombstones and marks, so only now and then. A member that was not heard of yet may
   * bring writes that are older than any of them; a site without peers waits for nobody.
   */
  async #dropMarks(): Promise<void> {
    const { parts, clock, log } = this.#deps;
    const peers = this.#peers();
    const since = clock.monotonicMs() - this.#marksLookedAtMs;
    if (since < MARKS_LOOK_MS) return;
    this.#marksLookedAtMs = clock.monotonicMs();
    const { acknowledgements, timeBounds } = parts;
    const nowMs = clock.nowMs();
    const positions = peers.flatMap((site) => acknowledgements.position(site) ?? []);
    if (positions.length < peers.length) return;
    const awaited = positions.filter((position) => isAwaited(position, nowMs, timeBounds.peerMs));
    const readers = { peers: awaited, held: acknowledgements.held(), nowMs };
    const marks = await dropOldMarks(parts, readers);
    if (marks > 0) log.info({ marks }, "marks of old removals were dropped");
  }

  /** Lets tombstones hold no segment by themselves: the next look can drop it. */
  async #moveMarks(): Promise<void> {
    const { parts, segments, clock, log } = this.#deps;
    const everyMs = parts.admission.keepsReserve ? MARKS_LOOK_MS : MARKS_LOOK_TIGHT_MS;
    if (clock.monotonicMs() - this.#marksMovedAtMs < everyMs) return;
    this.#marksMovedAtMs = clock.monotonicMs();
    const logEnd = this.#firstOpen();
    const sealed = [...segments.facts.values()].filter(
      (facts) => facts.lane === "commit" && facts.sealed && facts.id < logEnd,
    );
    const marks = await this.#markMoves.move(sealed);
    if (marks > 0) log.info({ marks }, "marks of removals were moved, to give space back");
  }

  /** Segments without anything that is live, and without operations that a peer still needs. */
  async #candidates(): Promise<Candidate[]> {
    const { parts, segments, clock } = this.#deps;
    const isBelieved = this.#deps.refusal() === undefined;
    const logEnd = isBelieved ? this.#firstOpen() : 0;
    const last = this.#lastOperation();
    const unneeded = [...segments.facts.values()]
      .filter(({ id, lane, sealed }) => sealed && (lane === "bulk" || (id < logEnd && id !== last)))
      .filter((facts) => this.#isDead(facts) || this.#isGraveyard(facts));
    // A slow reader keeps the segments that it reads from being dropped, and no others.
    const dead = unneeded.filter(({ id }) => !parts.bodies.isRead(id));
    this.#isHeldUp = dead.length < unneeded.length;
    const logs = dead.filter(({ lane }) => lane === "commit").map(({ id }) => id);
    const { kv, hash, acknowledgements, timeBounds } = parts;
    const ends = await endsOfLogs({ kv, hash, segments }, new Set(logs));
    const peers = this.#peers().flatMap((site) => acknowledgements.position(site) ?? []);
    const held = acknowledgements.held();
    const readers = { peers, held, nowMs: clock.nowMs(), timeBounds };
    return dead
      .map((facts) => ({ facts, ends: ends.get(facts.id) ?? [] }))
      .filter((candidate) => !isNeeded(candidate.ends, readers));
  }

  async #dropDead(): Promise<{ segmentsDropped: number; bytesFreed: number }> {
    if (this.#leaving.length === 0) this.#leaving = await this.#giveUpDead();
    const { parts, segments, warm, log } = this.#deps;
    const dropped = this.#leaving;
    // Readers that began while the record was written read to their end: a later look removes the
    // file.
    const isRead = dropped.some(({ id }) => parts.bodies.isRead(id));
    if (isRead) this.#isHeldUp = true;
    if (isRead || dropped.length === 0) return { segmentsDropped: 0, bytesFreed: 0 };
    let bytesFreed = 0;
    for (const facts of dropped) {
      await segments.drop(facts.id);
      warm.forget(facts.id);
      bytesFreed += facts.sizeBytes;
    }
    // What a segment undoes must never outlive it: without this a power cut could bring back one
    // that was dropped now and keep away one that is dropped later.
    await segments.syncDirectory();
    this.#leaving = [];
    log.info({ segments: dropped.length, bytesFreed }, "space given back");
    return { segmentsDropped: dropped.length, bytesFreed };
  }

  /** Says in the log which segments are dropped, if any. */
  async #giveUpDead(): Promise<readonly SegmentFacts[]> {
    const { parts } = this.#deps;
    const candidates = await this.#candidates();
    if (candidates.length === 0) return [];
    const graveyards = candidates.map(({ facts }) => facts).filter((one) => !this.#isDead(one));
    await this.#graveyards.clear(graveyards);
    parts.admission.admitSmall();
    return await parts.committer.submit(1024, (batch) => {
      const { view } = batch.context;
      const dead = candidates.filter(({ facts }) => this.#isDead(facts, view));
      if (dead.length > 0) {
        batch.local(mergeDropped(view.get(TABLES.dropped, DROPPED_KEY)?.record, dead));
      }
      return dead.map(({ facts }) => facts);
    });
  }

  #logBytes(): number {
    let bytes = 0;
    for (const facts of this.#deps.segments.facts.values()) {
      if (facts.lane === "commit") bytes += facts.sizeBytes;
    }
    return bytes;
  }

  async #checkpoint(): Promise<boolean> {
    const { parts, disk, checkpointDirectory } = this.#deps;
    const indexBytes = parts.kv.sizeBytes();
    const due = Math.max(CHECKPOINT_LOG_BYTES_MIN, indexBytes * CHECKPOINT_INDEX_SHARE);
    const logBytes = this.#logBytes();
    if (logBytes - this.#bytesAtCheckpoint < due || parts.admission.roomBytes < indexBytes) {
      return false;
    }
    this.#bytesAtCheckpoint = logBytes;
    await takeCheckpoint(disk, parts.kv, checkpointDirectory);
    return true;
  }
}

/** All segments ever dropped as runs, and the furthest trim point of each origin. */
function mergeDropped(before: Dropped | undefined, dead: readonly Candidate[]): Dropped {
  const runs: Array<[number, number]> = [];
  const old = before?.segments ?? [];
  for (let index = 0; index + 1 < old.length; index += 2) {
    runs.push([old[index] ?? 0, old[index + 1] ?? 0]);
  }
  for (const { facts } of dead) runs.push([facts.id, facts.id]);
  runs.sort((left, right) => left[0] - right[0]);
  const merged: Array<[number, number]> = [];
  for (const [first, last] of runs) {
    const top = merged.at(-1);
    if (top !== undefined && first <= top[1] + 1) top[1] = Math.max(top[1], last);
    else merged.push([first, last]);
  }
  const points = new Map<string, Dropped["trimPoints"][number]>();
  const ends = dead.flatMap((candidate) => candidate.ends);
  for (const { origin, seq, chain } of [...(before?.trimPoints ?? []), ...ends]) {
    const point = { origin, seq, chain };
    const known = points.get(point.origin);
    if (known === undefined || known.seq < point.seq) points.set(point.origin, point);
  }
  return { kind: "segments-dropped", segments: merged.flat(), trimPoints: [...points.values()] };
}

import { ByteWriter } from "../core/bytes.ts";
import { StorageFault } from "../core/faults.ts";
import { HlcClock } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import type { WriteMode } from "../ports/disk.ts";
import type { Log } from "../ports/log.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import { Admission } from "./admission.ts";
import { Bodies } from "./body-reader.ts";
import { BulkLane } from "./bulk-lane.ts";
import { believedClock, ClockGuard } from "./clock-guard.ts";
import { Committer } from "./commit.ts";
import { CommitLane, type LogEnd } from "./commit-lane.ts";
import { discoverSegments, type FoundSegments } from "./discovery.ts";
import { House } from "./house.ts";
import { openLocalQuotas } from "./local-quotas.ts";
import {
  type BatchPlace,
  type LogBatchDeps,
  type LoggedOperation,
  readLogBatch,
} from "./log-batch.ts";
import { isDropped } from "./metadata/apply.ts";
import { DROPPED_KEY } from "./metadata/keys.ts";
import { ReferenceCounts } from "./metadata/references.ts";
import { TABLES } from "./metadata/rows.ts";
import { IndexView } from "./metadata/view.ts";
import { Quantiles } from "./quantiles.ts";
import { RecentBatches } from "./recent-batches.ts";
import { endMissing, type Recovered, recoverIndex, settleLog } from "./recovery.ts";
import { ReserveFile } from "./reserve-file.ts";
import { newFooter, type SealingDeps, sealSegment } from "./sealing.ts";
import { type SegmentFacts, type SegmentOwner, Segments } from "./segment/segments.ts";
import type { SiteIdentity } from "./site-identity.ts";
import type { SitePorts } from "./site-ports.ts";
import type { Store } from "./store.ts";
import { createStore } from "./store-face.ts";
import { DEFAULT_TIME_BOUNDS, type TimeBounds } from "./time-bounds.ts";
import { WarmPages } from "./warm-pages.ts";
import { Withdrawals } from "./withdrawn.ts";
import { gateWrites, makeGates } from "./write-gate.ts";
import type { WriteHold } from "./write-hold.ts";

export type StoreSettings = {
  readonly directory: string;
  readonly identity: SiteIdentity;
  readonly writeMode: WriteMode;
  readonly segmentBytes: number;
  readonly freeReserveBytes: number | undefined;
  readonly reserveFileBytes: number;
  readonly timeBounds: Partial<TimeBounds>;
  readonly belief: "trusted" | "untrusted" | "rebuild";
  /** What the index leaves out; unless given, what the identity says has been withdrawn. */
  readonly withdrawals?: Withdrawals;
  /** Where the log ended when that was last written down. */
  readonly knownEnd: LogEnd | undefined;
  /** Writes it down. */
  readonly noteEnd: (end: LogEnd) => Promise<void>;
  readonly failStop: (fault: StorageFault) => void;
};

export type OpenedStore = {
  readonly store: Store;
  /** Watches the wall clock, once replication arms it. */
  readonly guard: ClockGuard;
  /** Lets writes of clients wait. */
  readonly hold: WriteHold;
  readonly replayedOperations: number;
  /** Where the log ends now. */
  readonly logEnd: () => LogEnd | undefined;
  /** Grows whenever something has changed here, once readers of the index see it. */
  readonly activity: () => number;
  /** Whether keeping house would find nothing to do. */
  readonly isAtRest: () => boolean;
  /**
   * The operations that are withdrawn just now, in the order of the log, each verified; among
   * others.
   */
  readonly withdrawing: AsyncIterable<LoggedOperation>;
};

/** Finds the segments, recovers the index, settles the end of the log and begins a new segment. */
export async function openStore(ports: SitePorts, settings: StoreSettings): Promise<OpenedStore> {
  const { identity } = settings;
  const owner: SegmentOwner = identity;
  const directory = `${settings.directory}/segments`;
  const { disk, hash, clock } = ports;
  const reserveFile = new ReserveFile({
    ...{ disk, directory: settings.directory },
    bytes: settings.reserveFileBytes,
  });
  const reserveBytes = settings.freeReserveBytes;
  const space = { disk, clock, directory: settings.directory, reserveBytes, reserveFile };
  const admission = new Admission(space);
  await admission.refresh();
  await admission.makeRoom();
  const segments = new Segments({ disk, hash, directory, owner, writeMode: settings.writeMode });
  const found = await discoverSegments({ disk, hash, directory, owner });
  for (const { facts } of found.log) segments.add(facts);
  for (const facts of found.bulk) segments.add(facts);
  const withdrawals = settings.withdrawals ?? new Withdrawals(identity.withdrawn);
  const recovered = await recoverIndex(
    {
      ...{ disk, hash, clock, segments, openKv: ports.openKv, logger: ports.log },
      log: found.log,
      origin: identity.origin,
      withdrawals,
      indexDirectory: `${settings.directory}/index`,
      checkpointDirectory: `${settings.directory}/checkpoint`,
      noteEnd: settings.noteEnd,
    },
    settings.belief,
  );
  try {
    checkEnd(recovered, settings.knownEnd);
    await settle(ports, { segments, found, recovered });
    return await assemble(ports, settings, { segments, found, recovered, admission });
  } catch (failure) {
    await recovered.kv.close();
    throw failure;
  }
}

/**
 * A last batch that is damaged looks like one that was torn, and would be cut: so the log has to
 * reach where it is known to have ended.
 */
function checkEnd({ replay: { position } }: Recovered, known: LogEnd | undefined): void {
  if (known === undefined || position.segment > known.segment) return;
  if (position.segment === known.segment && position.offset >= known.offset) return;
  throw endMissing(known);
}

type Found = {
  readonly segments: Segments;
  readonly found: FoundSegments;
  readonly recovered: Recovered;
};

/** Cuts the torn end, removes what was dropped before a crash, and misses nothing that was not. */
async function settle(ports: SitePorts, { segments, found, recovered }: Found): Promise<void> {
  const all = [...found.log.map(({ facts }) => facts), ...found.bulk];
  const open = all.map((facts) => ({ facts, path: segments.path(facts.id) }));
  await settleLog(ports.disk, open, recovered.replay.ends);
  const view = new IndexView(recovered.kv, ports.hash.crc32);
  const runs = view.get(TABLES.dropped, DROPPED_KEY)?.record.segments ?? [];
  const ids = [...segments.facts.keys()];
  const leftOver = ids.filter((id) => isDropped(runs, id));
  for (const id of leftOver) await segments.drop(id);
  // Names that a killed process had not synced, and those that were removed just now.
  await segments.syncDirectory();
  const last = Math.max(0, ...ids, ...runs);
  for (let id = 1; id <= last; id++) {
    if (segments.facts.has(id) || isDropped(runs, id)) continue;
    throw new StorageFault("corrupt", `segment ${id} is missing`, {
      hint: "Put the file back from a backup, or restore this site from another one.",
    });
  }
  segments.skipTo(last + 1);
}

async function assemble(
  ports: SitePorts,
  settings: StoreSettings,
  { segments, found, recovered, admission }: Found & { readonly admission: Admission },
): Promise<OpenedStore> {
  const { kv, replay } = recovered;
  const { disk, hash, random, log } = ports;
  const timeBounds = { ...DEFAULT_TIME_BOUNDS, ...settings.timeBounds };
  const guard = new ClockGuard(ports, timeBounds.clockDriftMs);
  const clock = believedClock(ports.clock, guard);
  const { origin } = settings.identity;
  const quotas = await openLocalQuotas(disk, settings.directory);
  const hlc = new HlcClock(() => clock.nowMs(), replay.head.hlc);
  const sealing: SealingDeps = { disk, hash, segments, origin, yieldTurn: () => turn(ports) };
  const seal = sealInBackground(ports, sealing);
  const lanes = { sealing, seal, segmentBytes: settings.segmentBytes, hlc };
  const { lane, bulk } = await openLanes(lanes, replay.position);
  const view = new IndexView(kv, hash.crc32);
  const index = view.stored;
  const references = new ReferenceCounts(view, { keepUnnamed: false });
  const syncMs = new Quantiles();
  const head = { ...replay.head };
  const recent = new RecentBatches();
  const committer = new Committer({
    ...{ kv, lane, view, hash, origin, syncMs, recent },
    context: { view, references },
    ...{ clock: hlc, time: clock, head, origins: replay.origins },
    records: new ByteWriter(64 * 1024),
    batchBytesMax: batchBytesMaxOf(settings),
    failStop: settings.failStop,
    defer: ports.defer,
  });
  const warm = new WarmPages();
  const damaged = tellOfDamage(log);
  const bodies = new Bodies({ segments, hash, index, warm, damaged });
  const acknowledgements = new Acknowledgements(index, clock);
  const gates = makeGates(guard);
  const bounds = { admission, quotas, acknowledgements, timeBounds, mayStamp: gates.areOpen };
  const parts = { kv, hash, random, clock, hlc, committer, index, bulk, bodies, ...bounds };
  const house = new House({
    ...{ parts, disk, log, clock, segments, lane, warm, sealing, refusal: () => guard.refusal() },
    siteId: settings.identity.siteId,
    leftovers: leftoversOf(found, replay.ends),
    checkpointDirectory: `${settings.directory}/checkpoint`,
  });
  const stats = {
    ...{ parts, segments, committer, syncMs },
    replayedOperations: replay.operations,
    lastHlc: () => hlc.last,
  };
  const ownOrigins = new Set([...found.origins, origin]);
  const known = { origin, ownOrigins, origins: replay.origins, ownSeq: () => head.seq };
  const logs = { ...known, damaged, log, recent };
  const made = createStore({ parts, house, stats, lane, segments, ...logs, sealed: seal.ended });
  const store = gateWrites(made, gates);
  const withdrawing = readBatches({ segments, hash }, replay.withdrawing);
  const rest = { activity: () => house.activity, isAtRest: () => house.isAtRest, withdrawing };
  const opening = { replayedOperations: replay.operations, logEnd: () => lane.end };
  return { store, guard, hold: gates.hold, ...opening, ...rest };
}

async function* readBatches(
  deps: LogBatchDeps,
  places: readonly BatchPlace[],
): AsyncIterable<LoggedOperation> {
  for (const place of places) yield* await readLogBatch(deps, place);
}

function batchBytesMaxOf({ writeMode }: StoreSettings): number {
  return writeMode === "direct" ? LIMITS.batchBytesMax : LIMITS.batchBytesMaxBuffered;
}

function tellOfDamage(log: Log): (segment: number, offset: number) => void {
  const hint = "look at the disk; with peers, `atoll repl-verify --peer NAME --repair` mends it";
  return (segment, offset) => log.error({ segment, offset, hint }, "stored bytes are damaged");
}

/** Begins a new segment in the commit lane; the bulk lane begins one when it needs it. */
async function openLanes(
  deps: {
    readonly sealing: SealingDeps;
    readonly seal: Seal;
    readonly segmentBytes: number;
    readonly hlc: HlcClock;
  },
  end: LogEnd,
): Promise<{ lane: CommitLane; bulk: BulkLane }> {
  const { sealing, seal, segmentBytes, hlc } = deps;
  const before = end.segment === 0 ? undefined : end;
  const { disk, hash, segments } = sealing;
  const makeFooter = (facts: SegmentFacts) => newFooter(sealing, facts);
  const shared = { disk, hash, segments, segmentBytes, seal, makeFooter };
  const lane = await CommitLane.open(shared, hlc.last, before);
  return { lane, bulk: new BulkLane({ ...shared, now: () => hlc.last }) };
}

/** Segments that earlier processes left open; their footers are written by and by. */
function leftoversOf(
  found: FoundSegments,
  ends: ReadonlyMap<number, number>,
): Array<{ facts: SegmentFacts; batchesEnd: number }> {
  const commit = found.log.map(({ facts, batchesEnd }) => ({
    facts,
    batchesEnd: ends.get(facts.id) ?? batchesEnd,
  }));
  const bulk = found.bulk.map((facts) => ({ facts, batchesEnd: facts.sizeBytes }));
  return [...commit, ...bulk].filter(({ facts }) => !facts.sealed);
}

type Seal = {
  (segment: Parameters<typeof sealSegment>[1]): void;
  /** Resolves when no footer is being written any more. */
  ended(): Promise<void>;
};

/** A segment without its footer is whole; a failure only leaves the sealing to the next start. */
function sealInBackground(ports: SitePorts, sealing: SealingDeps): Seal {
  const running = new Set<Promise<void>>();
  const seal = (segment: Parameters<typeof sealSegment>[1]): void => {
    const { id } = segment.facts;
    const sealed = sealSegment(sealing, segment)
      .catch((failure: unknown) => {
        const message = failure instanceof Error ? failure.message : String(failure);
        ports.log.warn({ segment: id, failure: message }, "a segment could not be sealed");
      })
      .finally(() => running.delete(sealed));
    running.add(sealed);
  };
  const ended = async (): Promise<void> => {
    await Promise.all(running);
  };
  return Object.assign(seal, { ended });
}

function turn(ports: SitePorts): Promise<void> {
  return new Promise((resolve) => ports.defer(resolve));
}

import { HLC_ZERO, parseHlc } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import { type OriginId, parseSeq, SEQ_ZERO, type Seq } from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { Dot, LogStart, Operation } from "../core/records.ts";
import { readLogOperations } from "./log-batch.ts";
import { placeOfOperation, readLogPage } from "./log-pages.ts";
import { readHeads } from "./log-starts.ts";
import type { RowStart, SettledWrite } from "./logical-rows.ts";
import { historyOf } from "./metadata/apply-conflicts.ts";
import { nullVersion, sameWrite } from "./metadata/key-versions.ts";
import { logRunKeyOf } from "./metadata/keys.ts";
import { TABLES } from "./metadata/rows.ts";
import type { Replica } from "./replica.ts";
import type { Segments } from "./segment/segments.ts";
import { readSettled } from "./settled-writes.ts";
import type { StoreParts } from "./store-parts.ts";

/*
 * Rows say nothing of an operation that waits here for its bytes. Who takes them over gets it by
 * its log, to wait for the bytes as well: so that log goes on in front of it, and brings all that
 * stands behind it once more, of which the rows speak. What is applied twice changes nothing, as
 * long as what overcame it is known:
 *
 * - marks of removals are among the rows: behind the reading of a parked operation none is dropped
 *   (mark-horizon.ts);
 * - a write of a null slot that was overwritten or settled is in no row, and would be a conflict
 *   when it comes again. Of each of those the other site is told.
 */

export type RowStartDeps = {
  readonly parts: Pick<StoreParts, "kv" | "hash" | "index">;
  readonly replica: Pick<Replica, "ownOrigins" | "floors" | "parked">;
  readonly segments: Segments;
};

type Refused = { readonly problem: string };

const WAITS = "bytes of some operations are not here yet (atoll repl-parked there)";
/** In front of each: rows can be had once nothing waits any more, whatever keeps them now. */
const REFUSALS = {
  trimmed: { problem: `${WAITS}, and the log does not reach back to them` },
  unsigned: { problem: `${WAITS}, and not all that came behind them can be told on` },
  many: { problem: `${WAITS}, and too much came behind them` },
  settled: { problem: "too many writes are known here by what overwrote them alone" },
} as const satisfies Record<string, Refused>;

/** What is read at a time of the log behind parked operations. */
const PAGE_BYTES = 128 * 1024;

/**
 * Where the logs go on for whoever takes over all rows that are read from now on, and what it has
 * to be told of what they bring; or why rows must not be taken from here now. `begun` is called in
 * the turn in which the logs stand there: nothing behind may be dropped from then on.
 *
 * @throws StorageFault "corrupt" when the log is damaged where it has to be read.
 */
export async function startRows(
  deps: RowStartDeps,
  begun: (heads: readonly LogStart[]) => void,
): Promise<RowStart | Refused> {
  const cuts = new Map<OriginId, LogStart>();
  for (;;) {
    const [parked] = firstParked(deps).filter(({ origin }) => !cuts.has(origin));
    if (parked === undefined) break;
    const cut = await cutBefore(deps, parked);
    if (cut === undefined) return REFUSALS.trimmed;
    cuts.set(parked.origin, cut);
  }
  const full = readHeads(deps.parts);
  const waiting = new Set(firstParked(deps).map(({ origin }) => origin));
  const heads = full.map((head) => (waiting.has(head.origin) && cuts.get(head.origin)) || head);
  const settled = readSettled(deps.parts);
  const behind = sumOf(full) - sumOf(heads);
  if (behind > LIMITS.operationsAgainMax) return REFUSALS.many;
  const started = heads.filter(({ seq }) => seq > 0);
  begun(started);
  // What is overcome meanwhile, by what comes by the logs, may be told as well.
  const overcome = behind === 0 ? [] : await overcomeBehind(deps, heads, full);
  if ("problem" in overcome) return overcome;
  settled.push(...overcome);
  return settled.length > LIMITS.settledWritesMax ? REFUSALS.settled : { heads: started, settled };
}

/** The first operation of each log that waits for its bytes. */
function firstParked({ parts, replica }: RowStartDeps): Dot[] {
  return readHeads(parts).flatMap(({ origin }) => {
    return replica.parked({ origin, behind: 0, countMax: 1 }).map(({ dot }) => dot);
  });
}

/** The place in a log in front of a parked operation, and of the group that it is part of. */
async function cutBefore(
  { parts, segments }: RowStartDeps,
  dot: Dot,
): Promise<LogStart | undefined> {
  const { kv, hash, index } = parts;
  const place = placeOfOperation({ kv, hash }, dot.origin, dot.seq);
  const vector = index.get(TABLES.parked, logRunKeyOf(dot.origin, dot.seq))?.vector;
  if (place === undefined || vector === undefined) return undefined;
  const all = (await readLogOperations({ segments, hash }, place))
    .map(({ operation }) => operation)
    .filter((one) => one.dot.origin === dot.origin);
  const parked = all.find((one) => one.dot.seq === dot.seq);
  if (parked === undefined) return undefined;
  const { group } = parked;
  const first = all.find((one) => group !== undefined && one.group?.id === group.id) ?? parked;
  return {
    origin: dot.origin,
    seq: parseSeq(first.dot.seq - 1) ?? SEQ_ZERO,
    chain: first.chainBefore,
    // Readings rise along a log: this one is behind all that is in front, and ahead of all else.
    hlc: parseHlc(first.hlc - 1n) ?? HLC_ZERO,
    // What the operation says is laid over this, and gives the same once more.
    vector,
  };
}

function sumOf(heads: readonly LogStart[]): number {
  return heads.reduce((sum, { seq }) => sum + seq, 0);
}

/**
 * Writes between these heads that no row here speaks of. They are read as who takes the rows over
 * will ask for them, so that it is known that it gets them.
 */
async function overcomeBehind(
  { parts, replica, segments }: RowStartDeps,
  heads: readonly LogStart[],
  full: readonly LogStart[],
): Promise<readonly SettledWrite[] | Refused> {
  const { kv, hash } = parts;
  const read = (place: Parameters<typeof readLogOperations>[1]) =>
    readLogOperations({ segments, hash }, place);
  const deps = { kv, hash, read, ownOrigins: replica.ownOrigins };
  const received = new Map(full.map(({ origin, seq }) => [origin, seq]));
  const after = new Map<OriginId, Seq>(heads.map(({ origin, seq }) => [origin, seq]));
  const found: SettledWrite[] = [];
  for (;;) {
    const wish = { after, received, floors: replica.floors(), bytesMax: PAGE_BYTES };
    const page = await readLogPage(deps, wish);
    if (page.outcome !== "page") return REFUSALS.trimmed;
    if (page.entries.length === 0) break;
    for (const { encoded } of page.entries) {
      const operation = decodeOperation(encoded);
      after.set(operation.dot.origin, operation.dot.seq);
      found.push(...overcome(parts, operation));
    }
    if (found.length > LIMITS.settledWritesMax) return REFUSALS.settled;
  }
  const isWhole = full.every(({ origin, seq }) => after.get(origin) === seq);
  return isWhole ? found : REFUSALS.unsigned;
}

/** A put of a null slot that has been applied, and neither stands in its slot nor is a conflict. */
function overcome(
  { index }: Pick<StoreParts, "index">,
  { body, dot, hlc }: Operation,
): readonly SettledWrite[] {
  if (body.kind !== "object-put" || !body.nullSlot) return [];
  if (index.get(TABLES.parked, logRunKeyOf(dot.origin, dot.seq)) !== undefined) return [];
  const { bucket, key } = body;
  const write = { hlc, ...dot };
  const current = nullVersion(index, { bucket, key });
  if (current !== undefined && sameWrite(current.row.stamp, write)) return [];
  if (historyOf(index, { bucket, key }, write)?.kind === "conflict") return [];
  return [{ bucket, key, write }];
}

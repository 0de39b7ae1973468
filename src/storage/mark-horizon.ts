import { covers } from "../core/causality.ts";
import { HLC_ZERO, type Hlc, hlcMs } from "../core/hlc.ts";
import { makeVersionId } from "../core/names.ts";
import type { Dot, LogStart, RowName, Vector } from "../core/records.ts";
import type { PeerPosition } from "./acknowledgements.ts";
import { readHeads } from "./log-starts.ts";
import { decodeRow, TABLES, type Table } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import type { TombstoneRow } from "./metadata/tombstone-row.ts";
import type { VoidedRow } from "./metadata/voided-rows.ts";
import { readKeyName, versionOfInverted } from "./row-operations.ts";
import { rowsInTurns } from "./spread-walk.ts";
import type { StoreParts } from "./store-parts.ts";

/**
 * Who must know of a removal before its mark (a tombstone, or the row of a removed version) may go.
 */
export type MarkReaders = {
  /** Members that the log waits for, with what each has applied. */
  readonly peers: readonly PeerPosition[];
  /** Where bootstraps began that are under way. */
  readonly held: readonly Vector[];
  readonly nowMs: number;
};

const ROWS_PER_COMMIT = 500;

/** The write that made a mark, and when: what decides whether the mark may go. */
type Mark = { readonly stamp: Dot & { readonly hlc: Hlc }; readonly madeMs: number };

/**
 * Drops tombstones, and marks of removed versions, that are old enough and that every member has
 * applied: nobody can bring back what they stand against any more. Each removal is a record in the
 * log, so that a rebuild agrees. Returns how many were dropped.
 */
export async function dropOldMarks(parts: StoreParts, readers: MarkReaders): Promise<number> {
  const isOld = judgeOf(parts, readers, readHeads(parts));
  const tombstones = await dropFrom(parts, TABLES.tombstone, tombstoneNames, isOld);
  return tombstones + (await dropFrom(parts, TABLES.voided, voidedNames, isOld));
}

type Judge = (mark: Mark) => boolean;
/** The names of those marks in a row that may go. */
type NamesOf<Row> = (key: string, row: Row, isOld: Judge) => readonly RowName[];

async function dropFrom<Row>(
  parts: StoreParts,
  table: Table<Row>,
  namesOf: NamesOf<Row>,
  isOld: Judge,
): Promise<number> {
  let dropped = 0;
  for await (const found of rowsInTurns(parts, table)) {
    const names = found.flatMap(({ key, row }) => namesOf(key, row, isOld));
    for (let at = 0; at < names.length; at += ROWS_PER_COMMIT) {
      const rows = names.slice(at, at + ROWS_PER_COMMIT);
      parts.admission.admitSmall();
      await parts.committer.submit(rows.length * 256, (batch) => {
        batch.local({ kind: "rows-removed", rows });
      });
      dropped += rows.length;
    }
  }
  return dropped;
}

/**
 * A mark may go when every member has applied it, and when everything that any member wrote before
 * it has been applied here: only such a write could still lose to it. What a peer has received says
 * what there is: of a log that waits there for bytes it has applied less.
 */
function judgeOf(
  parts: Pick<StoreParts, "kv" | "hash" | "timeBounds">,
  { peers, held, nowMs }: MarkReaders,
  heads: readonly LogStart[],
): Judge {
  const { timeBounds } = parts;
  const known = new Map(heads.map((head) => [head.origin, head]));
  const vectors = [...peers.map(({ applied }) => applied), ...held];
  let horizon = firstParked(parts, heads);
  for (const { received } of peers) {
    // A peer that has not spoken since the start may know of more than what it had applied.
    if (received === undefined) return () => false;
    for (const [origin, seq] of received) {
      const head = known.get(origin);
      if (head !== undefined && head.seq >= seq) continue;
      const until = head?.hlc ?? HLC_ZERO;
      if (horizon === undefined || until < horizon) horizon = until;
    }
  }
  return ({ stamp, madeMs }) => {
    if (nowMs - madeMs < timeBounds.historyMs) return false;
    if (horizon !== undefined && stamp.hlc >= horizon) return false;
    return vectors.every((vector) => covers(vector, stamp));
  };
}

/**
 * When the earliest operation was written that waits here for its bytes; undefined when none does.
 * In the log of an origin later operations have later readings.
 */
function firstParked(
  { kv, hash }: Pick<StoreParts, "kv" | "hash">,
  heads: readonly LogStart[],
): Hlc | undefined {
  const { prefix } = TABLES.parked;
  let first: Hlc | undefined;
  for (const { origin } of heads) {
    const range = { gte: indexKey(prefix, origin), lt: indexKey(prefix, `${origin}~`), limit: 1 };
    for (const { value } of kv.range(range)) {
      const { hlc } = decodeRow(TABLES.parked, value, hash.crc32);
      if (first === undefined || hlc < first) first = hlc;
    }
  }
  return first;
}

function tombstoneNames(key: string, row: TombstoneRow, isOld: Judge): readonly RowName[] {
  const { stamp, deletedMs } = row;
  if (!isOld({ stamp, madeMs: deletedMs })) return [];
  const [bucket = "", name = ""] = key.split("\0");
  const version = makeVersionId(stamp.hlc, stamp.origin);
  return [{ what: "tombstone", ...readKeyName(bucket, name), stamp: version }];
}

/**
 * Deletes that are void because of a concurrent lock stay: they tell that the version was not
 * removed.
 */
function voidedNames(key: string, { deletes, voids }: VoidedRow, isOld: Judge): readonly RowName[] {
  const isOldDelete = (stamp: Mark["stamp"]) => isOld({ stamp, madeMs: hlcMs(stamp.hlc) });
  if (voids.length > 0 || !deletes.every(isOldDelete)) return [];
  const [bucket = "", name = "", inverted = ""] = key.split("\0");
  const target = versionOfInverted(inverted);
  return deletes.map(({ hlc, origin }) => {
    const stamp = makeVersionId(hlc, origin);
    return { what: "voided", ...readKeyName(bucket, name), stamp, target } as const;
  });
}

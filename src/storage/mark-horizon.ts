import { asBuffer } from "../core/bytes.ts";
import { covers } from "../core/causality.ts";
import { HLC_ZERO, type Hlc, hlcMs } from "../core/hlc.ts";
import { makeVersionId } from "../core/names.ts";
import type { Dot, LogStart, RowName, Vector } from "../core/records.ts";
import type { PeerPosition } from "./acknowledgements.ts";
import { readHeads } from "./log-starts.ts";
import { decodeRow, TABLES, type Table } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import { readKeyName, versionOfInverted } from "./row-operations.ts";
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

const ROWS_PER_TURN = 2000;
const ROWS_PER_COMMIT = 500;

/** The write that made a mark: what decides whether the mark may go. */
type Mark = Dot & { readonly hlc: Hlc };

/**
 * Drops tombstones, and marks of removed versions, that are old enough and that every member has
 * applied: nobody can bring back what they stand against any more. Each removal is a record in the
 * log, so that a rebuild agrees. Returns how many were dropped.
 */
export async function dropOldMarks(parts: StoreParts, readers: MarkReaders): Promise<number> {
  const isOld = judgeOf(parts, readers, readHeads(parts));
  let dropped = 0;
  for (const gather of [gatherTombstones, gatherVoided]) {
    let from: string | undefined = "";
    while (from !== undefined) {
      const step: Gathered = gather(parts, from, isOld);
      for (let at = 0; at < step.rows.length; at += ROWS_PER_COMMIT) {
        const rows = step.rows.slice(at, at + ROWS_PER_COMMIT);
        await parts.committer.submit(rows.length * 256, (batch) => {
          batch.local({ kind: "rows-removed", rows });
        });
        dropped += rows.length;
      }
      from = step.next;
      if (from !== undefined) await parts.clock.sleep(0);
    }
  }
  return dropped;
}

/**
 * A mark may go when every member has applied it, and when everything that any member wrote before
 * it has arrived here: only such a write could still lose to it.
 */
function judgeOf(
  { timeBounds }: Pick<StoreParts, "timeBounds">,
  { peers, held, nowMs }: MarkReaders,
  heads: readonly LogStart[],
): (mark: Mark) => boolean {
  const known = new Map(heads.map((head) => [head.origin, head]));
  const vectors = [...peers.map(({ applied }) => applied), ...held];
  let horizon: Hlc | undefined;
  for (const { applied } of peers) {
    for (const [origin, seq] of applied) {
      const head = known.get(origin);
      if (head !== undefined && head.seq >= seq) continue;
      const until = head?.hlc ?? HLC_ZERO;
      if (horizon === undefined || until < horizon) horizon = until;
    }
  }
  return (mark) => {
    if (nowMs - hlcMs(mark.hlc) < timeBounds.historyMs) return false;
    if (horizon !== undefined && mark.hlc >= horizon) return false;
    return vectors.every((vector) => covers(vector, mark));
  };
}

type Gathered = { readonly rows: readonly RowName[]; readonly next: string | undefined };
type Judge = (mark: Mark) => boolean;

function gatherTombstones(parts: StoreParts, from: string, isOld: Judge): Gathered {
  return gatherRows(parts, { table: TABLES.tombstone, from }, (key, { stamp }) => {
    if (!isOld(stamp)) return [];
    const [bucket = "", name = ""] = key.split("\0");
    const version = makeVersionId(stamp.hlc, stamp.origin);
    return [{ what: "tombstone", ...readKeyName(bucket, name), stamp: version }];
  });
}

/**
 * Deletes that are void because of a concurrent lock stay: they tell that the version was not
 * removed.
 */
function gatherVoided(parts: StoreParts, from: string, isOld: Judge): Gathered {
  return gatherRows(parts, { table: TABLES.voided, from }, (key, { deletes, voids }) => {
    if (voids.length > 0 || !deletes.every(isOld)) return [];
    const [bucket = "", name = "", inverted = ""] = key.split("\0");
    const target = versionOfInverted(inverted);
    return deletes.map(({ hlc, origin }) => {
      const stamp = makeVersionId(hlc, origin);
      return { what: "voided", ...readKeyName(bucket, name), stamp, target } as const;
    });
  });
}

function gatherRows<Row>(
  { kv, hash }: StoreParts,
  { table, from }: { readonly table: Table<Row>; readonly from: string },
  namesOf: (key: string, row: Row) => readonly RowName[],
): Gathered {
  const { prefix } = table;
  const rows: RowName[] = [];
  let seen = 0;
  const lt = indexKey(String.fromCharCode(prefix.charCodeAt(0) + 1), "");
  for (const { key, value } of kv.range({ gte: indexKey(prefix, from), lt })) {
    const text = asBuffer(key).toString("utf8", prefix.length);
    if (seen >= ROWS_PER_TURN) return { rows, next: text };
    seen += 1;
    rows.push(...namesOf(text, decodeRow(table, value, hash.crc32)));
  }
  return { rows, next: undefined };
}

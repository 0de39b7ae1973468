import { asBuffer } from "../core/bytes.ts";
import type { OriginId } from "../core/names.ts";
import type { WriteStamp } from "../core/records.ts";
import type { SettledWrite } from "./logical-rows.ts";
import { type KeyName, nullVersion, sameWrite } from "./metadata/key-versions.ts";
import { logRunKeyOf } from "./metadata/keys.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey, type RowReader } from "./metadata/stored-rows.ts";
import { readKeyName } from "./row-operations.ts";
import type { StoreParts } from "./store-parts.ts";

/*
 * Writes of null slots that were overwritten or settled before they came by their logs ("settled"
 * in the table of history): they are no conflicts when they come.
 */

/**
 * Makes a function that tells whether nothing has to be remembered of a settled write any more: its
 * log has brought it, or continues behind it, and it is not in its slot. To be used within one
 * turn: how far the logs are is read once, so that a write which has still to arrive costs no read
 * of its own.
 */
export function judgeOver(index: RowReader): (name: KeyName, write: WriteStamp) => boolean {
  const heads = new Map<OriginId, number>();
  const headOf = (origin: OriginId): number => {
    const seq = heads.get(origin) ?? index.get(TABLES.originHead, origin)?.seq ?? -1;
    heads.set(origin, seq);
    return seq;
  };
  return (name, { origin, seq, hlc }) => {
    if (headOf(origin) < seq) return false;
    if (index.get(TABLES.parked, logRunKeyOf(origin, seq)) !== undefined) return false;
    const current = nullVersion(index, name);
    return current === undefined || !sameWrite(current.row.stamp, { hlc, origin });
  };
}

/** The settled writes that a site must know when it continues behind this site's logs. */
export function readSettled(parts: Pick<StoreParts, "kv" | "hash" | "index">): SettledWrite[] {
  const settled: SettledWrite[] = [];
  const { prefix } = TABLES.history;
  const isOver = judgeOver(parts.index);
  const range = { gte: indexKey(prefix, ""), lt: indexKey(prefix, "~") };
  for (const { key, value } of parts.kv.range(range)) {
    const history = decodeRow(TABLES.history, value, parts.hash.crc32);
    if (history.kind !== "settled") continue;
    const [bucket = "", rest = ""] = asBuffer(key).toString("utf8", prefix.length).split("\0");
    const name = readKeyName(bucket, rest);
    if (!isOver(name, history.stamp)) settled.push({ ...name, write: history.stamp });
  }
  return settled;
}

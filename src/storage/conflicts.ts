import { formatHlc, hlcMs } from "../core/hlc.ts";
import type { BucketName, VersionId } from "../core/names.ts";
import type { ObjectRecord } from "../core/records.ts";
import { compareUtf8 } from "../core/utf8-order.ts";
import type { OpenBatch } from "./batch.ts";
import type {
  ConflictName,
  ConflictOutcome,
  ConflictPage,
  Conflicts,
  ConflictWish,
} from "./conflict-wishes.ts";
import { historyOf } from "./metadata/apply-conflicts.ts";
import type { HistoryRow } from "./metadata/history-rows.ts";
import {
  type KeyName,
  newestVersion,
  versionsEnd,
  versionsStart,
  writeIdOf,
} from "./metadata/key-versions.ts";
import { bucketEnd, bucketStart, rangeStart } from "./metadata/keys.ts";
import type { ObjectRow } from "./metadata/object-row.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import { judgeQuota } from "./quotas.ts";
import { readKeyName } from "./row-operations.ts";
import type { StoredObject } from "./store.ts";
import { findBucket, type StoreParts, toStoredObject } from "./store-parts.ts";
import { isNullSlotWrite, judgeOverwrite } from "./versions.ts";

/** About what a resolution takes in the log. */
const RECORD_BYTES = 2048;

/** The conflicts of a store. */
export function createConflicts(parts: StoreParts): Conflicts {
  return {
    list: (bucket, after, max) => listConflicts(parts, { bucket, after, max }),
    find: (bucket, key, version) => findConflict(parts, { bucket, key }, version),
    resolve: (name, wish) => resolveConflicts(parts, name, wish),
  };
}

function listConflicts(
  { kv, hash }: StoreParts,
  {
    bucket,
    after,
    max,
  }: { bucket: BucketName | undefined; after: string | undefined; max: number },
): ConflictPage {
  const { prefix } = TABLES.history;
  const begin = bucket === undefined ? "" : bucketStart(bucket);
  const range = {
    ...(after === undefined || compareUtf8(after, begin) < 0
      ? { gte: indexKey(prefix, begin) }
      : { gt: rangeStart(indexKey(prefix, after)) }),
    lt: indexKey(prefix, bucket === undefined ? "~" : bucketEnd(bucket)),
  };
  const conflicts: StoredObject[] = [];
  let last: string | undefined;
  for (const { key: bytes, value } of kv.range(range)) {
    if (conflicts.length === max) return { conflicts, next: last };
    const text = Buffer.from(bytes).toString("utf8", prefix.length);
    const history = decodeRow(TABLES.history, value, hash.crc32);
    last = text;
    const name = nameOf(text);
    if (history.kind === "conflict") conflicts.push(toConflict(name, history));
  }
  return { conflicts, next: undefined };
}

function findConflict(
  { index }: StoreParts,
  name: KeyName,
  version: VersionId,
): StoredObject | undefined {
  const history = historyOf(index, name, writeIdOf(version));
  return history?.kind === "conflict" ? toConflict(name, history) : undefined;
}

function toConflict(
  { bucket, key }: KeyName,
  { row }: Extract<HistoryRow, { kind: "conflict" }>,
): StoredObject {
  return { ...toStoredObject(bucket, key, row), isNull: false, conflict: true };
}

/** Bucket and key of an index key of this table. */
function nameOf(text: string): KeyName {
  const [bucket = "", key = ""] = text.split("\0");
  return readKeyName(bucket, key);
}

async function resolveConflicts(
  parts: StoreParts,
  name: ConflictName,
  wish: ConflictWish,
): Promise<ConflictOutcome> {
  parts.admission.admitSmall();
  if (wish === "restore") return restoreConflict(parts, name);
  return parts.committer.submit<ConflictOutcome>(RECORD_BYTES, (batch) => {
    const found = conflictsOf(batch, name);
    if (found.length === 0) return { outcome: "no-such-conflict" };
    for (const row of found) addResolution(batch, name, row, undefined);
    return { outcome: "resolved", count: found.length };
  });
}

function conflictsOf({ context: { view } }: OpenBatch, name: ConflictName): ObjectRow[] {
  if (name.version !== undefined) {
    const history = historyOf(view, name, writeIdOf(name.version));
    return history?.kind === "conflict" ? [history.row] : [];
  }
  const rows = view.rows(TABLES.history, versionsStart(name), versionsEnd(name));
  return rows.flatMap(({ row }) => (row.kind === "conflict" ? [row.row] : []));
}

type Group = { readonly id: string; readonly count: number };

function addResolution(
  batch: OpenBatch,
  { bucket, key }: KeyName,
  { stamp: write }: ObjectRow,
  group: Group | undefined,
): void {
  const body = { kind: "conflict-resolve", bucket, key, write } as const;
  batch.operation(batch.nextHlc(write.hlc), body, undefined, group);
}

/** The conflict is written again, as what is current now, and settled in the same commit. */
async function restoreConflict(parts: StoreParts, name: ConflictName): Promise<ConflictOutcome> {
  const { bucket, key, version } = name;
  const found = version === undefined ? undefined : findConflict(parts, { bucket, key }, version);
  if (found === undefined) return { outcome: "no-such-conflict" };
  await parts.bodies.remote.bring(found);
  const inline = await parts.bodies.inline(found);
  const bytes = RECORD_BYTES + (inline?.length ?? 0);
  parts.admission.admit(bytes);
  return parts.committer.submit<ConflictOutcome>(bytes, (batch) => {
    const { view } = batch.context;
    if (findBucket(view, bucket) === undefined) return { outcome: "no-such-bucket" };
    const [row] = conflictsOf(batch, name);
    if (row === undefined) return { outcome: "no-such-conflict" };
    const nullSlot = isNullSlotWrite(view, bucket);
    if (nullSlot && judgeOverwrite(parts.clock, view, name) !== undefined) {
      return { outcome: "locked" };
    }
    const growth = { bytes: row.object.size, nullSlot };
    if (judgeQuota({ view, quotas: parts.quotas }, name, growth) !== undefined) {
      return { outcome: "over-quota" };
    }
    const hlc = batch.nextHlc(newestVersion(view, name)?.row.stamp.hlc);
    const group = { id: `restore-${formatHlc(hlc)}`, count: 2 };
    const object: ObjectRecord = { ...row.object, lastModifiedMs: hlcMs(hlc) };
    batch.operation(hlc, { kind: "object-put", bucket, key, nullSlot, object }, inline, group);
    addResolution(batch, name, row, group);
    return { outcome: "resolved", count: 1 };
  });
}

import { hlcMs } from "../core/hlc.ts";
import { LIMITS } from "../core/limits.ts";
import { type BucketName, parseBucketName, type SiteId, type UploadId } from "../core/names.ts";
import type { ConflictsRecord, DeletesRecord } from "../core/records.ts";
import { endUploadsOfGone } from "./buckets.ts";
import { createKeeping } from "./kept-versions.ts";
import { decodeRow, TABLES } from "./metadata/rows.ts";
import type { VoidedRow } from "./metadata/voided-rows.ts";
import { readKeyName, versionOfInverted } from "./row-operations.ts";
import { judgeOver } from "./settled-writes.ts";
import { SpreadWalk } from "./spread-walk.ts";
import { findBucket, type StoreParts } from "./store-parts.ts";

/** About what a verdict takes in the log. */
const RECORD_BYTES = 2048;
const RESULT_BYTES = 32;
/** Rows of each table that one look goes over: some milliseconds, whatever there is. */
const ROWS_PER_LOOK = 500;

/** Forgets rows that are not needed any more, going over a part of each table with every look. */
export class OldRows {
  readonly #parts: StoreParts;
  readonly #siteId: SiteId;
  readonly #results: SpreadWalk;
  readonly #uploads: SpreadWalk;
  readonly #history: SpreadWalk;
  readonly #kept: SpreadWalk;

  constructor(parts: StoreParts, siteId: SiteId) {
    this.#parts = parts;
    this.#siteId = siteId;
    this.#results = new SpreadWalk(parts.kv, TABLES.result, ROWS_PER_LOOK);
    this.#uploads = new SpreadWalk(parts.kv, TABLES.upload, ROWS_PER_LOOK);
    this.#history = new SpreadWalk(parts.kv, TABLES.history, ROWS_PER_LOOK);
    this.#kept = new SpreadWalk(parts.kv, TABLES.kept, ROWS_PER_LOOK);
  }

  /** True while there are rows that no look has gone over since the first one of its table. */
  get isUnderWay(): boolean {
    const walks = [this.#results, this.#uploads, this.#history, this.#kept];
    return walks.some(({ isUnderWay }) => isUnderWay);
  }

  /** Forgets what came of uploads that were completed long ago, and gives how many. */
  async expireResults(): Promise<number> {
    const { admission, committer, clock, hash } = this.#parts;
    const before = clock.nowMs() - LIMITS.completedUploadMsMin;
    const uploadIds: UploadId[] = [];
    for (const { value } of this.#results.rows()) {
      const { completed } = decodeRow(TABLES.result, value, hash.crc32);
      if (completed.completedMs < before) uploadIds.push(completed.uploadId);
    }
    if (uploadIds.length === 0) return 0;
    admission.admitSmall();
    await committer.submit(uploadIds.length * RESULT_BYTES, (batch) => {
      batch.local({ kind: "results-expired", uploadIds });
    });
    return uploadIds.length;
  }

  /**
   * Ends uploads in progress whose bucket has gone without a delete that was carried out here: the
   * last of what had kept it was removed, or its deletion came as a row.
   */
  async endUploads(): Promise<void> {
    const { admission, committer, index } = this.#parts;
    const gone = new Set<BucketName>();
    let last: string | undefined;
    for (const { key } of this.#uploads.rows()) {
      const [text = ""] = key.split("\0", 1);
      if (text === last) continue;
      last = text;
      const bucket = parseBucketName(text);
      if (bucket !== undefined && findBucket(index, bucket) === undefined) gone.add(bucket);
    }
    if (gone.size === 0) return;
    admission.admitSmall();
    await committer.submit(gone.size * RECORD_BYTES, (batch) => {
      for (const bucket of gone) endUploadsOfGone(batch, bucket);
    });
  }

  /**
   * Forgets conflicts, and what was remembered for writes that have arrived since, or that is older
   * than the retention by its own clock; and versions that need not be kept behind their delete any
   * more.
   */
  async forgetConflicts(): Promise<void> {
    const records = [...this.#endedConflicts(), ...this.#endedKeeping()];
    if (records.length === 0) return;
    const { admission, committer } = this.#parts;
    admission.admitSmall();
    await committer.submit(records.length * RECORD_BYTES, (batch) => {
      for (const record of records) batch.local(record);
    });
  }

  #endedConflicts(): ConflictsRecord[] {
    const { clock, hash, index, timeBounds } = this.#parts;
    const before = clock.nowMs() - timeBounds.conflictMs;
    const isOver = judgeOver(index);
    const records: ConflictsRecord[] = [];
    for (const { key, value } of this.#history.rows()) {
      const history = decodeRow(TABLES.history, value, hash.crc32);
      const { hlc, origin, seq } = history.kind === "conflict" ? history.row.stamp : history.stamp;
      const isOld = hlcMs(hlc) < before;
      if (!isOld && history.kind !== "settled") continue;
      const [bucket = "", rest = ""] = key.split("\0");
      const name = readKeyName(bucket, rest);
      if (!isOld && !isOver(name, { hlc, origin, seq })) continue;
      const verdicts = [{ verdict: "ended", write: { hlc, origin, seq } }] as const;
      records.push({ kind: "conflicts-judged", ...name, verdicts });
    }
    return records;
  }

  #endedKeeping(): DeletesRecord[] {
    const parts = this.#parts;
    let isOver: ((row: VoidedRow) => boolean) | undefined;
    const records: DeletesRecord[] = [];
    for (const { key } of this.#kept.rows()) {
      isOver ??= createKeeping({ parts, siteId: this.#siteId, nowMs: parts.clock.nowMs() });
      const row = parts.index.get(TABLES.voided, key);
      if (row === undefined || !isOver(row)) continue;
      const [bucket = "", rest = "", inverted = ""] = key.split("\0");
      const version = versionOfInverted(inverted);
      const name = { kind: "deletes-judged", ...readKeyName(bucket, rest), version } as const;
      records.push({ ...name, what: "ended", deletes: [] });
    }
    return records;
  }
}

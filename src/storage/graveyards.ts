import { LIMITS } from "../core/limits.ts";
import { decodeLocal } from "../core/local-codec.ts";
import { decodeOperation, operationHeader } from "../core/operation-codec.ts";
import type { ConflictsRecord, LocalRecord } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { OpenBatch } from "./batch.ts";
import { readFooterOffset } from "./discovery.ts";
import { type ScannedBatch, scanBatches } from "./log-scan.ts";
import { historyOf } from "./metadata/apply-conflicts.ts";
import { deletesOf } from "./metadata/apply-deletes.ts";
import { countGraves } from "./metadata/graves.ts";
import { writeIdOf } from "./metadata/key-versions.ts";
import { segmentKeyOf, uploadKeyOf } from "./metadata/keys.ts";
import { isRemoved } from "./metadata/removed-rows.ts";
import { TABLES } from "./metadata/rows.ts";
import type { RowReader } from "./metadata/stored-rows.ts";
import type { IndexView } from "./metadata/view.ts";
import { batchRecords } from "./segment/batch.ts";
import type { SegmentFacts, Segments } from "./segment/segments.ts";
import type { StoreParts } from "./store-parts.ts";

/** Removals are said once more while they are no more than this part of what that gives back. */
const SEGMENT_SHARE = 1 / 4;
/**
 * Smaller segments stay as they are. Where a removal is said once more in a quiet hour a segment
 * holds nothing else, and would be given back for another such one, again and again.
 */
const SEGMENT_BYTES_MIN = 64 * 1024;
const BYTES_MAX = 32 * 1024 * 1024;
/** About what one commit takes of them. */
const COMMIT_BYTES = 128 * 1024;
/** Segments that are looked through at once; the others have to wait for the next look. */
const SEGMENTS_AT_ONCE = 4;

type Removal = { readonly record: LocalRecord; readonly bytes: number };
type Found = { removals: Removal[]; bytes: number; isClear: boolean };

/**
 * Gives segments back that only removals keep: a removal leaves no row, and has to stay in the log
 * as long as an earlier segment may hold what it removed (`graves.ts`). Where one object stays for
 * years, every later segment with a removal would stay as well, and all dead bodies in it.
 *
 * What the removals say is said once more, in a segment that outlives all earlier ones again. Of
 * what is there by now, anew, nothing is said.
 */
export class Graveyards {
  readonly #parts: StoreParts;
  readonly #segments: Segments;
  /** Segments whose removals have been said once more by this process. */
  readonly #said = new Set<number>();
  /** Segments that cannot be given back so, with how many rows they had when that was seen. */
  readonly #kept = new Map<number, number>();

  constructor(parts: StoreParts, segments: Segments) {
    this.#parts = parts;
    this.#segments = segments;
  }

  /** Whether nothing but removals keeps a segment. */
  isOne(segment: number, view: RowReader): boolean {
    const live = view.get(TABLES.segment, segmentKeyOf(segment));
    if (live === undefined || live.bytes > 0 || this.#kept.get(segment) === live.rows) return false;
    const isLarge = (this.#segments.facts.get(segment)?.sizeBytes ?? 0) >= SEGMENT_BYTES_MIN;
    const isOne =
      isLarge && live.rows <= this.#segments.facts.size && countGraves(view, segment) === live.rows;
    if (!isOne) this.#kept.set(segment, live.rows);
    return isOne;
  }

  /** Whether a segment is one whose removals are said elsewhere too. */
  isCleared(segment: number, view: RowReader): boolean {
    return this.#said.has(segment) && this.isOne(segment, view);
  }

  /** Says the removals of some segments once more. */
  async clear(graveyards: readonly SegmentFacts[]): Promise<void> {
    for (const facts of graveyards.slice(0, SEGMENTS_AT_ONCE)) {
      if (this.#said.has(facts.id)) continue;
      const found = await this.#read(facts);
      const isWorth = found.bytes <= Math.min(BYTES_MAX, facts.sizeBytes * SEGMENT_SHARE);
      if (!found.isClear || !isWorth) {
        const live = this.#parts.index.get(TABLES.segment, segmentKeyOf(facts.id));
        this.#kept.set(facts.id, live?.rows ?? 0);
        continue;
      }
      await this.#sayAgain(found.removals);
      this.#said.add(facts.id);
    }
  }

  /** The removals that a segment's records carried out. */
  #read(facts: SegmentFacts): Promise<Found> {
    const { hash } = this.#parts;
    const found: Found = { removals: [], bytes: 0, isClear: true };
    return this.#segments.use(facts.id, async (file) => {
      const to = await readFooterOffset({ hash }, file, facts);
      if (to === undefined) return { ...found, isClear: false };
      const { crc32 } = hash;
      const place = { file, segment: facts.id, from: LIMITS.pageBytes, to };
      const { whole } = await scanBatches({ ...place, verifyBodies: false, crc32 }, (batch) => {
        collect(found, batch, crc32);
        return undefined;
      });
      return whole ? found : { ...found, isClear: false };
    });
  }

  async #sayAgain(removals: readonly Removal[]): Promise<void> {
    const { admission, committer } = this.#parts;
    for (let at = 0; at < removals.length; ) {
      let bytes = 0;
      const some: LocalRecord[] = [];
      for (; at < removals.length && bytes < COMMIT_BYTES; at++) {
        const removal = removals[at];
        if (removal === undefined) break;
        some.push(removal.record);
        bytes += removal.bytes;
      }
      admission.admitSmall();
      await committer.submit(bytes, (batch) => {
        for (const record of some) sayOnce(batch, record);
        // This is what outlives all earlier segments, and so the batch does.
        batch.local({ kind: "rows-removed", rows: [] });
      });
    }
  }
}

/** Adds the removals of a batch to what was found. */
function collect(found: Found, { records }: ScannedBatch, crc32: Hash["crc32"]): void {
  for (const { kind, payload } of batchRecords(records, crc32)) {
    // A row that lost may have used up what was remembered for it, and its record says so alone.
    if (kind === "row" && operationHeader(payload).kind === "object-put") found.isClear = false;
    const record =
      kind === "local" ? decodeLocal(Buffer.from(payload)) : resolutionIn(kind, payload);
    if (record === undefined || !REMOVALS.has(record.kind)) continue;
    found.removals.push({ record, bytes: payload.length });
    found.bytes += payload.length;
  }
}

const REMOVALS: ReadonlySet<LocalRecord["kind"]> = new Set([
  "rows-removed",
  "results-expired",
  "upload-end",
  "operations-unparked",
  "conflicts-judged",
  "deletes-judged",
]);

/** What an operation that settles a conflict removed. */
function resolutionIn(kind: string, payload: Buffer): ConflictsRecord | undefined {
  if (kind !== "op" || operationHeader(payload).kind !== "conflict-resolve") return undefined;
  const { body } = decodeOperation(Buffer.from(payload));
  if (body.kind !== "conflict-resolve") return undefined;
  const { bucket, key, write } = body;
  return { kind: "conflicts-judged", bucket, key, verdicts: [{ verdict: "ended", write }] };
}

/** Says of a removal what still holds: what is there by now, anew, was not removed. */
function sayOnce(batch: OpenBatch, record: LocalRecord): void {
  const still = stillRemoved(batch.context.view, record);
  if (still !== undefined) batch.local(still);
}

function stillRemoved(view: IndexView, record: LocalRecord): LocalRecord | undefined {
  switch (record.kind) {
    case "rows-removed": {
      const rows = record.rows.filter((row) => isRemoved(view, row));
      return rows.length === 0 ? undefined : { ...record, rows };
    }
    case "results-expired": {
      const isGone = (id: string) => view.get(TABLES.result, id) === undefined;
      const uploadIds = record.uploadIds.filter(isGone);
      return uploadIds.length === 0 ? undefined : { ...record, uploadIds };
    }
    case "upload-end": {
      const { bucket, key, uploadId } = record;
      const upload = view.get(TABLES.upload, uploadKeyOf(bucket, key, uploadId));
      return upload === undefined ? { ...record, completed: undefined } : undefined;
    }
    case "operations-unparked":
      return record;
    case "conflicts-judged": {
      const verdicts = record.verdicts.filter(
        ({ verdict, write }) => verdict === "ended" && historyOf(view, record, write) === undefined,
      );
      return verdicts.length === 0 ? undefined : { ...record, verdicts };
    }
    case "deletes-judged": {
      const kept = deletesOf(view, record, writeIdOf(record.version))?.kept;
      return record.what === "ended" && kept === undefined ? record : undefined;
    }
    default:
      return undefined;
  }
}

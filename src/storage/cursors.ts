import { asBuffer } from "../core/bytes.ts";
import type { BucketName } from "../core/names.ts";
import type { PartRecord, UploadRecord } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { Kv, KvRange, KvRow } from "../ports/kv.ts";
import { afterPrefix, bucketEnd, bucketStart } from "./metadata/keys.ts";
import { decodeRow, TABLES, type Table } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import { ObjectWalk } from "./object-walk.ts";
import type { ObjectCursor, UploadCursor } from "./store.ts";

type CursorDeps = { readonly kv: Kv; readonly hash: Hash };

/** Walks the rows of one bucket in one table; a seek begins a new walk elsewhere. */
export class BucketRows<Row> {
  readonly #deps: CursorDeps;
  readonly #table: Table<unknown>;
  readonly #read: (value: Uint8Array) => Row;
  readonly #start: string;
  readonly #end: Uint8Array;
  #rows: Iterator<KvRow>;
  rowsRead = 0;

  constructor(
    deps: CursorDeps,
    { table, bucket }: { table: Table<unknown>; bucket: BucketName },
    read: (value: Uint8Array) => Row,
  ) {
    this.#deps = deps;
    this.#table = table;
    this.#read = read;
    this.#start = bucketStart(bucket);
    this.#end = indexKey(table.prefix, bucketEnd(bucket));
    this.#rows = this.#walk({ gte: this.keyOf("") });
  }

  next(): { key: string; row: Row } | undefined {
    const step = this.#rows.next();
    if (step.done === true) return undefined;
    this.rowsRead += 1;
    const { key, value } = step.value;
    const from = this.#table.prefix.length + this.#start.length;
    return { key: asBuffer(key).toString("utf8", from), row: this.#read(value) };
  }

  /** The index key of a text in this bucket. */
  keyOf(text: string): Buffer {
    return indexKey(this.#table.prefix, this.#start + text);
  }

  from(query: { gte: Uint8Array } | { gt: Uint8Array }): void {
    this.#rows.return?.();
    this.#rows = this.#walk(query);
  }

  close(): void {
    this.#rows.return?.();
  }

  past(prefix: string): void {
    const after = afterPrefix(this.keyOf(prefix));
    this.from({ gte: after ?? this.#end });
  }

  #walk(query: KvRange): Iterator<KvRow> {
    const from = query.gte ?? query.gt;
    if (from !== undefined && Buffer.compare(from, this.#end) >= 0) return [][Symbol.iterator]();
    return this.#deps.kv.range({ ...query, lt: this.#end })[Symbol.iterator]();
  }
}

/** Walks a bucket's objects. */
export function objectCursor({ kv }: Pick<CursorDeps, "kv">, bucket: BucketName): ObjectCursor {
  return new ObjectWalk(kv, bucket);
}

/** Walks a bucket's uploads in progress by key, then by time of creation. */
export function uploadCursor(deps: CursorDeps, bucket: BucketName): UploadCursor {
  const { crc32 } = deps.hash;
  const read = (value: Uint8Array) => decodeRow(TABLES.upload, value, crc32);
  const rows = new BucketRows(deps, { table: TABLES.upload, bucket }, read);
  return {
    next: (): UploadRecord | undefined => rows.next()?.row.upload,
    seek: (fromKey) => rows.from({ gte: rows.keyOf(fromKey) }),
    seekPast: (prefix) => rows.past(prefix),
    close: () => rows.close(),
    seekAfter(key, uploadId) {
      if (uploadId === undefined) rows.past(`${key}\0`);
      else rows.from({ gt: rows.keyOf(`${key}\0${uploadId}`) });
    },
  };
}

/** Parts in order of number, after one of them. */
export function* listParts(
  { kv, hash }: CursorDeps,
  uploadId: string,
  after: number,
): Generator<PartRecord> {
  const { prefix } = TABLES.part;
  const gt = indexKey(prefix, uploadId + String(after).padStart(5, "0"));
  for (const { value } of kv.range({ gt, lt: indexKey(prefix, `${uploadId}~`) })) {
    yield decodeRow(TABLES.part, value, hash.crc32).part;
  }
}

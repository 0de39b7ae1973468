import { StorageFault } from "../core/faults.ts";
import { type BucketName, parseObjectKey } from "../core/names.ts";
import {
  checksumOfForm,
  ETAG_BYTES,
  ListingFields,
  type ObjectListing,
} from "../core/object-listing.ts";
import type { Kv, KvRange, KvWalk } from "../ports/kv.ts";
import { walkRows } from "../ports/kv-walk.ts";
import { afterPrefix, bucketEnd, bucketStart } from "./metadata/keys.ts";
import { decodeListingRow, readListingRow } from "./metadata/listing-row.ts";
import { TABLES } from "./metadata/rows.ts";
import { indexKey } from "./metadata/stored-rows.ts";
import type { ListedObject, ListedRow, ObjectCursor } from "./stored.ts";

const NOTHING = new Uint8Array(0);
const ASCII_END = 0x80;
/** Stands in no object key: it separates the parts of index keys. */
const NUL = 0;

/**
 * Walks the objects of a bucket without allocating anything for a row: a page of a listing has a
 * thousand. Invariant: `row` is this walk itself, and describes the row at which it stands.
 */
export class ObjectWalk implements ObjectCursor, ListedRow {
  rowsRead = 0;
  readonly row: ListedRow = this;
  key: Uint8Array = NOTHING;
  keyStart = 0;
  keyEnd = 0;
  value: Uint8Array = NOTHING;
  readonly fields = new ListingFields();
  unusual: ObjectListing | undefined;
  readonly #kv: Kv;
  readonly #start: string;
  readonly #end: Uint8Array;
  /** Bytes of an index key in front of the object's. */
  readonly #placeBytes: number;
  #rows: KvWalk | undefined;
  /** Where the next step begins a walk; undefined while one is under way, or is over. */
  #query: KvRange | undefined;

  constructor(kv: Kv, bucket: BucketName) {
    this.#kv = kv;
    this.#start = bucketStart(bucket);
    this.#end = indexKey(TABLES.object.prefix, bucketEnd(bucket));
    // Names of buckets are ASCII.
    this.#placeBytes = TABLES.object.prefix.length + this.#start.length;
    this.#query = { gte: this.#keyOf("") };
  }

  step(): boolean {
    if (this.#query !== undefined) this.#begin(this.#query);
    const rows = this.#rows;
    if (rows === undefined || !rows.next()) return false;
    this.rowsRead += 1;
    this.key = rows.key;
    this.keyStart = rows.keyStart + this.#placeBytes;
    this.keyEnd = rows.keyEnd;
    this.value = rows.value;
    this.#requireKey();
    const isUsual = readListingRow(rows.value, rows.valueEnd, this.fields);
    this.unusual = isUsual ? undefined : decodeListingRow(rows.value.subarray(0, rows.valueEnd));
    return true;
  }

  next(): ListedObject | undefined {
    if (!this.step()) return undefined;
    const key = parseObjectKey(this.#text());
    if (key === undefined) throw damagedKey();
    return { key, listing: this.unusual ?? this.#listing() };
  }

  seek(from: string): void {
    this.#go({ gte: this.#keyOf(from) });
  }

  seekAfter(key: string): void {
    this.#go({ gt: this.#keyOf(key) });
  }

  seekPast(prefix: string): void {
    this.#go({ gte: afterPrefix(this.#keyOf(prefix)) ?? this.#end });
  }

  close(): void {
    this.#rows?.close();
    this.#rows = undefined;
    this.#query = undefined;
  }

  #go(query: KvRange): void {
    this.close();
    this.#query = query;
  }

  #begin(query: KvRange): void {
    this.#query = undefined;
    const from = query.gte ?? query.gt;
    const isBehind = from !== undefined && Buffer.compare(from, this.#end) >= 0;
    this.#rows = isBehind ? undefined : walkRows(this.#kv, { ...query, lt: this.#end });
  }

  #keyOf(text: string): Buffer {
    return indexKey(TABLES.object.prefix, this.#start + text);
  }

  /**
   * Throws unless the row has a valid key: a client that was shown another one would be told that
   * it does not exist.
   */
  #requireKey(): void {
    const { key, keyStart, keyEnd } = this;
    for (let at = keyStart; at < keyEnd; at++) {
      const byte = key[at] as number;
      if (byte > NUL && byte < ASCII_END) continue;
      if (byte === NUL || parseObjectKey(this.#text()) === undefined) throw damagedKey();
      return;
    }
    if (keyStart >= keyEnd) throw damagedKey();
  }

  #text(): string {
    const { key, keyStart, keyEnd } = this;
    return Buffer.from(key.buffer, key.byteOffset + keyStart, keyEnd - keyStart).toString("utf8");
  }

  #listing(): ObjectListing {
    const { size, lastModifiedMs, etagAt, checksumForm } = this.fields;
    const { buffer, byteOffset } = this.value;
    return {
      size,
      etag: Buffer.from(buffer, byteOffset + etagAt, ETAG_BYTES).toString("hex"),
      lastModifiedMs,
      storageClass: undefined,
      ...checksumOfForm(checksumForm),
    };
  }
}

function damagedKey(): StorageFault {
  return new StorageFault("corrupt", "a row has no object key");
}

import { copyFew } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { type BucketName, parseBucketName } from "../core/names.ts";
import { OPERATION_LAYOUT as AT } from "../core/operation-codec.ts";
import { TAG } from "../core/operation-tags.ts";
import type { LocalRecord, OperationBody } from "../core/records.ts";
import { isText, varintBytes } from "../core/tagged-fields.ts";
import type { GatheredRows } from "./gathered-rows.ts";
import type { ApplyContext } from "./metadata/apply-context.ts";
import { isTimeOfPut, plainRowBytes, writePlainRow } from "./metadata/compact-row.ts";
import type { KeyName } from "./metadata/key-versions.ts";
import { bucketStart, objectKeyOf } from "./metadata/keys.ts";
import { type HashPair, hashPair, hashStart, KnownKeys } from "./metadata/known-keys.ts";
import { readPlainObject } from "./metadata/plain-object.ts";
import { type Crc32, sealCompactValue, TABLES, VALUE_HEADER_BYTES } from "./metadata/rows.ts";
import { addUsage } from "./metadata/usage.ts";
import type { ReplayLogs } from "./replay-logs.ts";
import { bodyRecordBytes } from "./segment/record.ts";

const MORE = 0x80;
const SLASH = 0x2f;
const VERSION_BYTES = 16;
/** Counts are brought into rows when there are so many folders. */
const COUNTS_MAX = 8192;

type Bucket = {
  readonly name: BucketName;
  readonly bytes: Buffer;
  /** What stands in front of its keys in the index, and the hashes of that. */
  readonly front: Buffer;
  readonly hashes: HashPair;
  /** By a hash of the folder. */
  readonly counts: Map<number, Count>;
};

/** What was added to a bucket, by the part of the keys up to their first slash. */
type Count = {
  objects: number;
  bytes: number;
  readonly bucket: BucketName;
  readonly key: string;
  readonly folder: Buffer;
  /** Where its bucket has it. */
  readonly counts: Map<number, Count>;
};

export type PlainPutsDeps = {
  readonly rows: GatheredRows;
  readonly context: ApplyContext;
  readonly logs: ReplayLogs;
  readonly crc32: Crc32;
  readonly keysExpected: number;
};

/**
 * Applies what a rebuild meets most without decoding it: the first operation on its key that the
 * log has, which puts an object, in the usual form. No table has a row about such a key, so what
 * `applyOperation` would do is known: one row, with the object's bytes as the operation has them,
 * and counts. Whatever else an operation is, it goes the way of all.
 *
 * Invariant: `#known` holds every key that a row, stored or on its way, speaks of. What is counted
 * here has been brought into rows (`settle`) before anything else is applied.
 */
export class PlainPuts {
  readonly #deps: PlainPutsDeps;
  readonly #known: KnownKeys;
  /** By name; a log may go from one to the other with each operation. */
  readonly #buckets = new Map<string, Bucket>();
  #bucket: Bucket | undefined;
  #counts: Count[] = [];
  readonly #live = { segment: 0, rows: 0, bytes: 0 };
  /** Where the operation at hand has its key and its object. */
  #keyAt = 0;
  #keyEnd = 0;
  #folderEnd = 0;
  #folderHash = 0;
  #nullSlot = false;
  #objectAt = 0;

  constructor(deps: PlainPutsDeps) {
    this.#deps = deps;
    this.#known = new KnownKeys(deps.keysExpected);
  }

  /** Rows about the keys of a record are about to be made, or looked for, the other way. */
  note(record: LocalRecord | OperationBody): void {
    if (record.kind === "rows-removed") for (const row of record.rows) this.#noteKey(row);
    else if ("key" in record) this.#noteKey(record);
  }

  #noteKey(name: KeyName): void {
    const text = TABLES.object.prefix + objectKeyOf(name.bucket, name.key);
    const bytes = Buffer.from(text, "utf8");
    const { first, second } = hashPair(bytes, 0, bytes.length);
    this.#known.add(first, second);
  }

  /**
   * Applies the operation from `from` up to `to`, whose inline body stands at `body`. Gives the
   * bytes of that body's record; undefined, and nothing is changed, when it is none of these;
   * "flush" when the rows gathered have to go first.
   */
  apply(
    bytes: Buffer,
    { from, to }: { readonly from: number; readonly to: number },
    body: { readonly segment: number; readonly offset: number },
  ): number | "flush" | undefined {
    const bucket = this.#readFields(bytes, from, to);
    if (bucket === undefined) return undefined;
    const object = readPlainObject(bytes, this.#objectAt, to);
    if (object === undefined || !isTimeOfPut(bytes, from, object)) return undefined;
    const { rows, logs, crc32 } = this.#deps;
    const nameBytes = bucket.front.length + this.#keyEnd - this.#keyAt;
    const row = { bytes, from, to, object, nullSlot: this.#nullSlot, place: body };
    const valueBytes = VALUE_HEADER_BYTES + plainRowBytes(row);
    const room = rows.roomFor(nameBytes + valueBytes);
    if (room === "flush") return room;
    const { first, second } = hashPair(bytes, this.#keyAt, this.#keyEnd, bucket.hashes);
    if (this.#known.mayHold(first, second) || !room.mayTake(first)) return undefined;
    if (!logs.next(bytes, from, to)) return undefined;
    this.#known.add(first, second);
    const start = room.reserve(first, nameBytes, valueBytes);
    const { memory } = room;
    const { front } = bucket;
    copyFew(memory, start, { bytes: front, from: 0, to: front.length });
    copyFew(memory, start + front.length, { bytes, from: this.#keyAt, to: this.#keyEnd });
    const valueAt = start + nameBytes;
    writePlainRow(memory, valueAt + VALUE_HEADER_BYTES, row);
    sealCompactValue(memory, valueAt, valueAt + valueBytes, crc32);
    this.#count(bucket, bytes, object.size);
    this.#countLive(body.segment, object.inlineBytes);
    return this.#bodyRecordBytes(bucket, object.inlineBytes);
  }

  /** Brings what was counted into the rows of the view. */
  settle(): void {
    const { view, references } = this.#deps.context;
    const live = this.#live;
    if (live.rows > 0) references.addLive(live.segment, live.rows, live.bytes);
    live.rows = 0;
    live.bytes = 0;
    if (this.#counts.length === 0) return;
    // In the order in which folders were met first: the first ones are listed.
    for (const count of this.#counts) {
      addUsage(view, count, count);
      count.counts.clear();
    }
    this.#counts = [];
  }

  /** Finds bucket, key and object of a put that has nothing else; undefined for all others. */
  #readFields(bytes: Buffer, from: number, to: number): Bucket | undefined {
    let at = from + AT.fields;
    if (at + 8 > to || bytes[from + AT.kind] !== AT.objectPut) return undefined;
    if (bytes.readUInt32LE(from + AT.fieldsBytes) !== to - at) return undefined;
    // The first operation of a batch says what had been seen: here nothing, as all along.
    if (bytes[at] === AT.vector) {
      if (bytes[at + 1] !== 1 || bytes[at + 2] !== 1 || !this.#deps.logs.hasSeenNothing) {
        return undefined;
      }
      at += 3;
    }
    if (bytes[at] !== TAG.bucket) return undefined;
    const bucketEnd = at + 2 + (bytes[at + 1] as number);
    if (bucketEnd + 4 > to) return undefined;
    const bucket = this.#bucketOf(bytes, at + 2, bucketEnd);
    if (bucket === undefined || bytes[bucketEnd] !== TAG.key) return undefined;
    at = bucketEnd + 1;
    let length = bytes[at++] as number;
    if (length >= MORE) length = (length & 0x7f) | ((bytes[at++] as number) << 7);
    if (at - bucketEnd - 1 !== varintBytes(length) || at + length + 2 > to) return undefined;
    this.#keyAt = at;
    this.#keyEnd = at + length;
    if (!this.#readKey(bytes)) return undefined;
    at += length;
    this.#nullSlot = bytes[at] === TAG.nullSlot;
    if (this.#nullSlot) {
      if (bytes[at + 1] !== 0) return undefined;
      at += 2;
    }
    if (at + 4 > to || bytes[at++] !== TAG.object) return undefined;
    length = bytes[at++] as number;
    if (length >= MORE) length = (length & 0x7f) | ((bytes[at++] as number) << 7);
    this.#objectAt = at;
    return at + length === to && length < MORE * MORE ? bucket : undefined;
  }

  /** Looks at the key's bytes: whether they can be a key, and where its first slash is. */
  #readKey(bytes: Buffer): boolean {
    const from = this.#keyAt;
    const to = this.#keyEnd;
    if (from === to || to - from > LIMITS.keyBytesMax) return false;
    this.#folderEnd = from;
    this.#folderHash = 0;
    let isAscii = true;
    let hash = 0;
    for (let at = from; at < to; at++) {
      const byte = bytes[at] as number;
      if (byte === 0) return false;
      if (byte >= MORE) isAscii = false;
      if (this.#folderEnd !== from) continue;
      hash = (Math.imul(hash, 31) + byte) | 0;
      if (byte !== SLASH) continue;
      this.#folderEnd = at + 1;
      this.#folderHash = hash;
    }
    return isAscii || isText(bytes.subarray(from, to));
  }

  #bucketOf(bytes: Buffer, from: number, to: number): Bucket | undefined {
    if (isAt(this.#bucket?.bytes, bytes, from, to)) return this.#bucket;
    const text = bytes.toString("latin1", from, to);
    let found = this.#buckets.get(text);
    if (found === undefined) {
      const name = parseBucketName(text);
      if (name === undefined) return undefined;
      const front = Buffer.from(TABLES.object.prefix + bucketStart(name), "utf8");
      const hashes = hashStart(front);
      found = { name, bytes: Buffer.from(text, "latin1"), front, hashes, counts: new Map() };
      this.#buckets.set(text, found);
    }
    this.#bucket = found;
    return found;
  }

  #count({ name, counts }: Bucket, bytes: Buffer, size: number): void {
    const known = counts.get(this.#folderHash);
    if (known !== undefined && isAt(known.folder, bytes, this.#keyAt, this.#folderEnd)) {
      known.objects += 1;
      known.bytes += size;
      return;
    }
    if (this.#counts.length >= COUNTS_MAX) this.settle();
    const folder = Buffer.from(bytes.subarray(this.#keyAt, this.#folderEnd));
    const key = folder.toString("utf8");
    const count = { objects: 1, bytes: size, bucket: name, key, folder, counts };
    this.#counts.push(count);
    counts.set(this.#folderHash, count);
  }

  #countLive(segment: number, bytes: number): void {
    const live = this.#live;
    if (live.segment !== segment) this.settle();
    live.segment = segment;
    live.rows += 1;
    live.bytes += bytes;
  }

  /** What `bodyOwner` gives for it is as long as this. */
  #bodyRecordBytes({ bytes }: Bucket, inlineBytes: number): number {
    const keyBytes = this.#keyEnd - this.#keyAt;
    const lengths = varintBytes(bytes.length) + varintBytes(keyBytes);
    return bodyRecordBytes(lengths + bytes.length + keyBytes + VERSION_BYTES, inlineBytes);
  }
}

/** Whether `bytes` stand in `other` from `from` up to `to`; they are few. */
function isAt(bytes: Buffer | undefined, other: Buffer, from: number, to: number): boolean {
  if (bytes?.length !== to - from) return false;
  for (let at = from; at < to; at++) if (bytes[at - from] !== other[at]) return false;
  return true;
}

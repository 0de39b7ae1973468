import { asBuffer, copyFew } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { parseBucketName } from "../core/names.ts";
import type { LocalRecord, OperationBody } from "../core/records.ts";
import { varintBytes } from "../core/tagged-fields.ts";
import type { GatheredRows } from "./gathered-rows.ts";
import type { ApplyContext } from "./metadata/apply-context.ts";
import {
  isLaterWrite,
  isTimeOfWrite,
  type PlainBefore,
  plainRowBytes,
  readPlainRow,
  writePlainRow,
} from "./metadata/compact-row.ts";
import type { KeyName } from "./metadata/key-versions.ts";
import { bucketStart, objectKeyOf } from "./metadata/keys.ts";
import { type HashPair, hashPair, hashStart, KnownKeys } from "./metadata/known-keys.ts";
import { type PlainObject, readPlainObject } from "./metadata/plain-object.ts";
import type { ReadyRows, Side } from "./metadata/ready-rows.ts";
import {
  type Crc32,
  isCompactValue,
  sealCompactValue,
  TABLES,
  VALUE_HEADER_BYTES,
} from "./metadata/rows.ts";
import {
  plainTombstoneBytes,
  readPlainTombstone,
  writePlainTombstone,
} from "./metadata/tombstone-row.ts";
import { type BucketCounts, PlainCounts } from "./plain-counts.ts";
import { isAt, PlainFields } from "./plain-fields.ts";
import type { ReplayLogs } from "./replay-logs.ts";
import { bodyRecordBytes } from "./segment/record.ts";

const VERSION_BYTES = 16;
/** The filter for keys that went the long way is sized for this part of all keys; it can grow. */
const LONG_WAY_PART = 1 / 8;
/**
 * When the long way forces versions to be written before this many were gathered, gathering is not
 * worth it: the next VERSIONS_PASSED versions go the long way too.
 */
const VERSIONS_WORTH = 1000;
const VERSIONS_PASSED = 20_000;

type Bucket = {
  readonly bytes: Buffer;
  /** The prefix of its keys in the index, and the hashes of that prefix. */
  readonly front: Buffer;
  readonly hashes: HashPair;
  readonly counts: BucketCounts;
  /** Whether its keys have nothing but a null slot, as the bucket's row of counts says. */
  isPlain: boolean;
  /**
   * Whether its keys have at most versions: no conflicts, and no deletes or changes of single ones.
   */
  hasVersionsOnly: boolean;
  mayHaveTombstones: boolean;
  /** The value of `#now` for which these three were read. */
  asOf: number;
};

/** Where in the log an operation stands, and where its inline body does. */
type Place = { readonly segment: number; readonly offset: number };
type Flush = "flush" | "flush versions";
type Span = { readonly bytes: Buffer; readonly from: number; readonly to: number };

export type PlainWritesDeps = {
  readonly rows: GatheredRows;
  readonly context: ApplyContext;
  readonly logs: ReplayLogs;
  readonly crc32: Crc32;
  readonly keysExpected: number;
};

/**
 * Applies the most frequent operations of a rebuild without decoding them: puts and deletes in the
 * usual form, where the effect of `applyOperation` is known beforehand.
 *
 * - The first put or delete of a key: no table has a row about the key, so one is added.
 * - A later write of the null slot, in a bucket whose keys have nothing else, when every earlier
 * operation on the key was applied here too: a row of an object or a tombstone is all that exists
 * of the key, and the later write replaces it.
 * - A later version of such a key, in a bucket where nothing is said about single versions: the row
 * of the current object becomes the row of an older version, byte for byte.
 *
 * Every other operation goes "the long way": it is decoded and applied as at any other time.
 *
 * Invariant: `#known` holds every key that any row is about, in the store or in memory. `#long`
 * holds the keys about which anything was applied, or looked up, the long way. Counts that were
 * summed up here are brought into rows (`settle`) before anything is applied the long way.
 */
export class PlainWrites {
  readonly #deps: PlainWritesDeps;
  readonly #counts: PlainCounts;
  readonly #known: KnownKeys;
  readonly #long: KnownKeys;
  /** By name: consecutive operations may be of different buckets. */
  readonly #buckets = new Map<string, Bucket>();
  #bucket: Bucket | undefined;
  /** Changes whenever rows of counts may have changed. */
  #now = 1;
  readonly #fields = new PlainFields();
  /** The name of the current key, as gathered rows have it, once it was needed. */
  readonly #name = Buffer.alloc(LIMITS.bucketNameBytesMax + LIMITS.keyBytesMax + 2);
  #nameBytes = 0;
  /** How many versions still go the long way before gathering is tried again. */
  #versionsToPass = 0;
  readonly #before: PlainBefore = { hlcHigh: 0, hlcLow: 0, home: 0, size: 0 };
  /** The number of the current key's row in the memory being filled, or -1. */
  #row = -1;
  /** Which kind of row the current key has. */
  #side: Side | undefined;
  #value: Buffer | undefined;

  constructor(deps: PlainWritesDeps) {
    this.#deps = deps;
    this.#counts = new PlainCounts(deps.context);
    this.#known = new KnownKeys(deps.keysExpected);
    this.#long = new KnownKeys(deps.keysExpected * LONG_WAY_PART);
  }

  /** Notes the keys of a record that is about to be applied the long way. */
  note(record: LocalRecord | OperationBody): void {
    if (record.kind === "rows-removed") for (const row of record.rows) this.#noteKey(row);
    else if ("key" in record) this.#noteKey(record);
  }

  #noteKey(name: KeyName): void {
    const text = TABLES.object.prefix + objectKeyOf(name.bucket, name.key);
    const bytes = Buffer.from(text, "utf8");
    const { first, second } = hashPair(bytes, 0, bytes.length);
    this.#known.add(first, second);
    this.#long.add(first, second);
  }

  /** Brings the summed-up counts into the rows of the view, which may change from now on. */
  settle(): void {
    this.#now += 1;
    this.#counts.settle();
  }

  /**
   * Told that this many gathered versions had to be written so that an operation could go the long
   * way.
   */
  cutVersions(count: number): void {
    if (count < VERSIONS_WORTH) this.#versionsToPass = VERSIONS_PASSED;
  }

  /**
   * Applies the operation from `from` up to `to`, whose inline body stands at `body`. Returns the
   * bytes of that body's record; undefined, with nothing changed, when the operation has to go the
   * long way; or which gathered rows have to be flushed before it can be tried again.
   */
  apply(operation: Span, body: Place): number | Flush | undefined {
    const { bytes } = operation;
    const { logs } = this.#deps;
    const kind = this.#fields.read(bytes, operation, logs.seen);
    if (kind === undefined) return undefined;
    const bucket = this.#bucketOf(bytes, this.#fields.bucketAt, this.#fields.bucketEnd);
    if (bucket === undefined) return undefined;
    return kind === "put"
      ? this.#put(bucket, operation, body)
      : this.#delete(bucket, operation, body.segment);
  }

  #put(bucket: Bucket, operation: Span, place: Place): number | Flush | undefined {
    const { bytes, from } = operation;
    const { objectAt, objectEnd, nullSlot } = this.#fields;
    const object = readPlainObject(bytes, objectAt, objectEnd);
    if (object === undefined || !isTimeOfWrite(bytes, from, object.timeMs)) return undefined;
    const row = { bytes, from, to: objectEnd, object, nullSlot, place };
    const valueBytes = VALUE_HEADER_BYTES + plainRowBytes(row);
    const at = this.#makeRoom(bucket, operation, { side: "object", valueBytes });
    if (at === undefined || typeof at === "string") return at;
    const { memory, valueAt } = at;
    writePlainRow(memory, valueAt + VALUE_HEADER_BYTES, row);
    sealCompactValue(memory, valueAt, valueAt + valueBytes);
    this.#countPut(bucket, bytes, object);
    this.#counts.addLive(place.segment, 1, object.inlineBytes);
    return this.#bodyRecordBytes(bucket, object.inlineBytes);
  }

  #countPut(bucket: Bucket, bytes: Buffer, { size }: PlainObject): void {
    const { counts } = bucket;
    const before = this.#before;
    const overwrites = this.#side === "object";
    if (overwrites && !this.#fields.nullSlot) {
      this.#counts.add(counts, bytes, this.#fields, { objects: 0, bytes: size });
      this.#counts.addNoncurrent(counts);
      bucket.isPlain = false;
      return;
    }
    const change = { objects: overwrites ? 0 : 1, bytes: overwrites ? size - before.size : size };
    this.#counts.add(counts, bytes, this.#fields, change);
    if (this.#side === undefined) return;
    this.#counts.addLive(before.home, -1, -before.size);
    if (this.#side === "tombstone") this.#counts.addTombstones(counts, -1);
  }

  #delete(bucket: Bucket, operation: Span, home: number): 0 | Flush | undefined {
    if (!this.#fields.nullSlot) return undefined;
    const row = { ...operation, home };
    const valueBytes = VALUE_HEADER_BYTES + plainTombstoneBytes(row);
    const at = this.#makeRoom(bucket, operation, { side: "tombstone", valueBytes });
    if (at === undefined || typeof at === "string") return at;
    const { memory, valueAt } = at;
    writePlainTombstone(memory, valueAt + VALUE_HEADER_BYTES, row);
    sealCompactValue(memory, valueAt, valueAt + valueBytes);
    const { counts } = bucket;
    const before = this.#before;
    bucket.mayHaveTombstones = true;
    this.#counts.addLive(home, 1, 0);
    if (this.#side !== undefined) this.#counts.addLive(before.home, -1, -before.size);
    if (this.#side === "tombstone") return 0;
    this.#counts.addTombstones(counts, 1);
    if (this.#side === "object") {
      this.#counts.takeOff(counts, operation.bytes, this.#fields, before.size);
    }
    return 0;
  }

  /**
   * Makes room for what the key has from now on, and follows the log. Gives where the value is to
   * be written, and leaves in `#side` and `#before` what it takes the place of.
   */
  #makeRoom(
    bucket: Bucket,
    { bytes, from, to }: Span,
    { side, valueBytes }: { readonly side: Side; readonly valueBytes: number },
  ): { readonly memory: Buffer; readonly valueAt: number } | Flush | undefined {
    const { rows, logs } = this.#deps;
    const { keyAt, keyEnd } = this.#fields;
    const { front } = bucket;
    const nameBytes = front.length + keyEnd - keyAt;
    const room = rows.roomFor(nameBytes + valueBytes);
    if (room === "flush") return room;
    const { first, second } = hashPair(bytes, keyAt, keyEnd, bucket.hashes);
    const isNew = !this.#known.mayHold(first, second);
    this.#side = undefined;
    this.#value = undefined;
    this.#row = -1;
    if (!isNew) {
      if (this.#long.mayHold(first, second)) return undefined;
      if (!this.#isAllThereIs(bucket)) return undefined;
      this.#writeName(bucket, bytes);
      if (!this.#readBefore(room, first, bucket)) return undefined;
      if (this.#side !== undefined && !isLaterWrite(bytes, from, this.#before)) return undefined;
    }
    const row = this.#row;
    const slot = row < 0 ? room.slotFor(first) : 0;
    if (slot < 0) return undefined;
    const older = this.#olderValue();
    const versions = older && rows.versionsFor(nameBytes, older.length);
    if (versions === "flush versions") return versions;
    if (!logs.next(bytes, from, to)) return undefined;
    if (older !== undefined) versions?.add(this.#name, nameBytes, older);
    const { memory } = room;
    if (row >= 0) return { memory, valueAt: room.replace(row, side, valueBytes) };
    if (isNew) this.#known.add(first, second);
    const start = room.reserve(slot, { nameBytes, valueBytes }, side, this.#side);
    copyFew(memory, start, { bytes: front, from: 0, to: front.length });
    copyFew(memory, start + front.length, { bytes, from: keyAt, to: keyEnd });
    return { memory, valueAt: start + nameBytes };
  }

  /** Whether a write changes nothing but the object of its key, or adds an older version to it. */
  #isAllThereIs(bucket: Bucket): boolean {
    if (bucket.asOf !== this.#now) {
      // Tombstones that are only counted so far count as well.
      const usage = this.#deps.context.view.get(TABLES.usage, bucket.counts.name);
      const { noncurrent = 0, markers = 0, voided = 0, metas = 0 } = usage ?? {};
      const { conflicts = 0, marked = 0, tombstones = 0 } = usage ?? {};
      bucket.hasVersionsOnly = voided + metas + conflicts + marked === 0;
      bucket.isPlain = bucket.hasVersionsOnly && noncurrent + markers === 0;
      bucket.mayHaveTombstones = bucket.mayHaveTombstones || tombstones > 0;
      bucket.asOf = this.#now;
    }
    if (this.#fields.nullSlot) return bucket.isPlain;
    if (this.#versionsToPass === 0) return bucket.hasVersionsOnly;
    this.#versionsToPass -= 1;
    return false;
  }

  /** Finds what the key has; false when that has to be decoded. */
  #readBefore(room: ReadyRows, hash: number, { mayHaveTombstones }: Bucket): boolean {
    const { rows, crc32 } = this.#deps;
    const row = room.find(hash, this.#name, this.#nameBytes);
    if (row >= 0) {
      this.#row = row;
      const side = room.sideAt(row);
      return side !== undefined && this.#readValue(side, room.valueAt(row));
    }
    const below = rows.below(hash, this.#name, this.#nameBytes, mayHaveTombstones);
    if (below === undefined) return true;
    const value = asBuffer(below.value);
    return isCompactValue(value, crc32) && this.#readValue(below.side, value);
  }

  #readValue(side: Side, value: Buffer): boolean {
    const { nullSlot } = this.#fields;
    const before = this.#before;
    this.#side = side;
    this.#value = value;
    if (side === "object") {
      // A folder of empty objects would be none for a moment, and might not be listed again.
      const isRead = readPlainRow(value, VALUE_HEADER_BYTES, nullSlot, before);
      return isRead && (nullSlot || before.size > 0);
    }
    return nullSlot && readPlainTombstone(value, VALUE_HEADER_BYTES, before);
  }

  /** What becomes an older version. */
  #olderValue(): Buffer | undefined {
    return this.#fields.nullSlot ? undefined : this.#value;
  }

  #writeName({ front }: Bucket, bytes: Buffer): void {
    const { keyAt, keyEnd } = this.#fields;
    copyFew(this.#name, 0, { bytes: front, from: 0, to: front.length });
    copyFew(this.#name, front.length, { bytes, from: keyAt, to: keyEnd });
    this.#nameBytes = front.length + keyEnd - keyAt;
  }

  #bucketOf(bytes: Buffer, from: number, to: number): Bucket | undefined {
    if (isAt(this.#bucket?.bytes, bytes, from, to)) return this.#bucket;
    const text = bytes.toString("latin1", from, to);
    const found = this.#buckets.get(text) ?? makeBucket(text);
    if (found === undefined) return undefined;
    this.#buckets.set(text, found);
    this.#bucket = found;
    return found;
  }

  /** What `bodyOwner` gives for it is as long as this. */
  #bodyRecordBytes({ bytes }: Bucket, inlineBytes: number): number {
    const keyBytes = this.#fields.keyEnd - this.#fields.keyAt;
    const lengths = varintBytes(bytes.length) + varintBytes(keyBytes);
    return bodyRecordBytes(lengths + bytes.length + keyBytes + VERSION_BYTES, inlineBytes);
  }
}

function makeBucket(text: string): Bucket | undefined {
  const name = parseBucketName(text);
  if (name === undefined) return undefined;
  const front = Buffer.from(TABLES.object.prefix + bucketStart(name), "utf8");
  const counts = { name, folders: new Map(), tombstones: 0, noncurrent: 0, elsewhere: undefined };
  return {
    ...{ bytes: Buffer.from(text, "latin1"), front, hashes: hashStart(front), counts },
    ...{ isPlain: false, hasVersionsOnly: false, mayHaveTombstones: false, asOf: 0 },
  };
}

import { type ByteReader, type ByteWriter, LayoutError } from "../../core/bytes.ts";
import { addUnseen, hasSeen, NOTHING_SEEN, type Witness } from "../../core/causality.ts";
import type { Hlc } from "../../core/hlc.ts";
import { laterStamp } from "../../core/lww.ts";
import { type BucketName, parseBucketName } from "../../core/names.ts";
import { readStamp, readVector, type Stamp, writeStamp, writeVector } from "./stamp.ts";

/** A setting of a bucket; one that was removed keeps its stamp, without a value. */
export type SettingRow = {
  readonly stamp: Stamp;
  readonly home: number;
  readonly value: Uint8Array | undefined;
};

/** A creation or deletion, with what its origin had received. */
type BucketEvent = Witness & { readonly hlc: Hlc; readonly home: number };
export type BucketCreation = BucketEvent & { readonly createdMs: number; readonly owner: string };

/**
 * What is said about a bucket: creations that no other creation has seen, deletions that no
 * creation and no other deletion has seen, and the last value of each setting. All of it follows
 * from the set of operations and not from their order: whoever sees an operation has seen
 * everything that it saw, so what was superseded can never count again.
 */
export type BucketFacts = {
  readonly name: BucketName;
  readonly creations: readonly BucketCreation[];
  readonly deletions: readonly BucketEvent[];
  readonly said: ReadonlyMap<string, SettingRow>;
};

export type BucketRow = BucketFacts & {
  readonly createdMs: number;
  readonly owner: string;
  /**
   * Every creation has been seen by a deletion: then the bucket exists only for as long as it holds
   * something.
   */
  readonly deleted: boolean;
  /** The settings in force; of a deleted bucket, those it would come back with. */
  readonly settings: ReadonlyMap<string, SettingRow>;
};

/** Settings that decide who may reach a bucket. */
const ACCESS_SETTINGS: ReadonlySet<string> = new Set([
  "policy",
  "acl",
  "public-access-block",
  "ownership-controls",
]);
const GRANTING_SETTINGS: ReadonlySet<string> = new Set(["policy", "acl"]);

/** The row of a bucket about which nothing has been said. */
export function emptyBucket(name: BucketName): BucketRow {
  return toBucketRow({ name, creations: [], deletions: [], said: new Map() });
}

/** The row with one more creation. */
export function withCreation(row: BucketRow, creation: BucketCreation): BucketRow {
  const creations = addUnseen(row.creations, creation);
  return toBucketRow({ ...row, creations, deletions: unseenBy(creations, row.deletions) });
}

/** The row with one more deletion. */
export function withDeletion(row: BucketRow, deletion: BucketEvent): BucketRow {
  const deletions = addUnseen(row.deletions, deletion);
  return toBucketRow({ ...row, deletions: unseenBy(row.creations, deletions) });
}

/** A bucket that was created again after a deletion needs it no more. */
function unseenBy(
  creations: readonly BucketCreation[],
  deletions: readonly BucketEvent[],
): readonly BucketEvent[] {
  return deletions.filter((one) => !creations.some((creation) => hasSeen(creation, one)));
}

/** The row with one more value of a setting; the later one counts. */
export function withSetting(row: BucketRow, name: string, setting: SettingRow): BucketRow {
  const before = row.said.get(name);
  if (before !== undefined && laterStamp(before.stamp, setting.stamp)) return row;
  // By name: which of them was set first is not known any more once its segment has gone.
  const sorted = [...row.said].filter(([other]) => other !== name);
  sorted.push([name, setting]);
  sorted.sort(([left], [right]) => (left < right ? -1 : 1));
  return toBucketRow({ ...row, said: new Map(sorted) });
}

/** Segments that hold what the row rests on, as often as they do. */
export function homesOf({ creations, deletions, said }: BucketRow): number[] {
  return [...creations, ...deletions, ...said.values()].map(({ home }) => home);
}

function toBucketRow({ name, creations, deletions, said }: BucketFacts): BucketRow {
  const isDeleted = (one: Stamp): boolean => deletions.some((deletion) => hasSeen(deletion, one));
  const alive = creations.some((creation) => !isDeleted(creation));
  let last: BucketCreation | undefined;
  for (const one of creations) if (last === undefined || laterStamp(one, last)) last = one;
  // A setting made before the bucket was created (anew) is not this bucket's.
  const own = [...said].filter(
    ([, { stamp }]) => !creations.some((creation) => hasSeen(creation, stamp)),
  );
  const settings = alive
    ? own.filter(([, { stamp }]) => !isDeleted(stamp))
    : lastSettings(own, isDeleted);
  return {
    ...{ name, creations, deletions, said, deleted: !alive },
    ...{ createdMs: last?.createdMs ?? 0, owner: last?.owner ?? "" },
    settings: new Map(settings),
  };
}

/**
 * The settings of a bucket that exists only because of a write its deletion did not know of. It has
 * the settings of that time, and those made concurrently with the deletion, except for those that
 * decide who may reach it: nothing is opened that way. When such a setting was changed concurrently
 * with the deletion, nobody but the owner has any rights.
 */
function lastSettings(
  own: ReadonlyArray<[string, SettingRow]>,
  isDeleted: (stamp: Stamp) => boolean,
): Array<[string, SettingRow]> {
  const beside = (name: string, { stamp }: SettingRow): boolean =>
    ACCESS_SETTINGS.has(name) && !isDeleted(stamp);
  const walled = own.every(([name, row]) => GRANTING_SETTINGS.has(name) || !beside(name, row));
  return own.filter(
    ([name, row]) => !beside(name, row) && (walled || !GRANTING_SETTINGS.has(name)),
  );
}

/** In rows of older programs this says whether the bucket is deleted, and little else is there. */
const WITH_EVENTS = 2;

function encodeBucket(writer: ByteWriter, row: BucketRow): void {
  writer.bigU64(0n).hex("0".repeat(16)).u64(0).u32(0).text(row.name).u64(0).text("");
  writer.u8(WITH_EVENTS).varint(row.said.size);
  for (const [name, setting] of row.said) {
    writer.text(name);
    writeStamp(writer, setting.stamp);
    writer.u32(setting.home).u8(setting.value === undefined ? 0 : 1);
    writer.sized(setting.value ?? new Uint8Array(0));
  }
  writer.varint(row.creations.length);
  for (const creation of row.creations) {
    writeEvent(writer, creation);
    writer.u64(creation.createdMs).text(creation.owner);
  }
  writer.varint(row.deletions.length);
  for (const deletion of row.deletions) writeEvent(writer, deletion);
}

function writeEvent(writer: ByteWriter, event: BucketEvent): void {
  writeStamp(writer, event);
  writeVector(writer.u32(event.home), event.vector);
}

function readEvent(reader: ByteReader): BucketEvent {
  const stamp = readStamp(reader);
  const home = reader.u32();
  return { ...stamp, home, vector: readVector(reader) };
}

function decodeBucket(reader: ByteReader): BucketRow {
  const stamp = readStamp(reader);
  const home = reader.u32();
  const name = parseBucketName(reader.text());
  if (name === undefined) throw new LayoutError("not a bucket name");
  const createdMs = reader.u64();
  const owner = reader.text();
  const form = reader.u8();
  const said = readSettings(reader);
  if (form !== WITH_EVENTS) {
    // Older programs knew of no other site.
    const event = { ...stamp, home, vector: NOTHING_SEEN };
    const creations = form === 0 ? [{ ...event, createdMs, owner }] : [];
    return toBucketRow({ name, creations, deletions: form === 0 ? [] : [event], said });
  }
  const creations: BucketCreation[] = [];
  for (let count = reader.varint(); count > 0; count--) {
    const event = readEvent(reader);
    creations.push({ ...event, createdMs: reader.u64(), owner: reader.text() });
  }
  const deletions: BucketEvent[] = [];
  for (let count = reader.varint(); count > 0; count--) deletions.push(readEvent(reader));
  return toBucketRow({ name, creations, deletions, said });
}

function readSettings(reader: ByteReader): Map<string, SettingRow> {
  const settings = new Map<string, SettingRow>();
  for (let count = reader.varint(); count > 0; count--) {
    const setting = reader.text();
    const stamp = readStamp(reader);
    const home = reader.u32();
    const present = reader.u8() === 1;
    const value = Buffer.from(reader.sized());
    settings.set(setting, { stamp, home, value: present ? value : undefined });
  }
  return settings;
}

/** Buckets by name, deleted ones too. */
export const BUCKET_TABLE = { prefix: "b", encode: encodeBucket, decode: decodeBucket } as const;

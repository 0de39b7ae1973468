import { assert } from "../../core/assert.ts";
import { formatHlc, type Hlc, parseHlc } from "../../core/hlc.ts";
import { laterStamp } from "../../core/lww.ts";
import {
  type BucketName,
  type ObjectKey,
  type OriginId,
  parseOriginId,
  type VersionId,
} from "../../core/names.ts";
import { objectKeyOf } from "./keys.ts";
import type { ObjectRow } from "./object-row.ts";
import { TABLES, type UsageRow } from "./rows.ts";
import type { Stamp } from "./stamp.ts";
import type { RowReader } from "./stored-rows.ts";
import type { VersionRow } from "./version-rows.ts";

/** One key of one bucket. */
export type KeyName = { readonly bucket: BucketName; readonly key: ObjectKey };
/** Which write: the same as its version id. */
export type WriteId = { readonly hlc: Hlc; readonly origin: OriginId };

/** The text that the keys of a key's versions begin with. */
export function versionsStart({ bucket, key }: KeyName): string {
  return `${objectKeyOf(bucket, key)}\0`;
}

/** The first text behind the keys of a key's versions. */
export function versionsEnd({ bucket, key }: KeyName): string {
  return `${objectKeyOf(bucket, key)}\u0001`;
}

/** The id as digits that sort the newest write first. */
export function invertedId(id: WriteId): string {
  let inverted = "";
  for (const digit of formatHlc(id.hlc) + id.origin) {
    inverted += (15 - Number.parseInt(digit, 16)).toString(16);
  }
  return inverted;
}

/** Key of one version among the others of its key. */
export function versionKeyOf(name: KeyName, id: WriteId): string {
  return versionsStart(name) + invertedId(id);
}

/** Key of the changes of a version; those of the null slot stand at a place of their own. */
export function metaKeyOf(name: KeyName, id: WriteId, nullSlot: boolean): string {
  return nullSlot ? nullMetaKeyOf(name) : versionKeyOf(name, id);
}

/** Key of the changes of writes of a null slot. */
export function nullMetaKeyOf(name: KeyName): string {
  return `${versionsStart(name)}null`;
}

/** Whether a bucket has any older versions or delete markers; one without is never asked. */
export function hasVersions(usage: UsageRow | undefined): boolean {
  return usage !== undefined && usage.noncurrent + usage.markers > 0;
}

/** Where a version stands: as the current object of its key, or among the others. */
export type Located = VersionRow & { readonly current: boolean };

function currentOf(row: ObjectRow): Located {
  return { kind: "object", row, current: true };
}

/** The newest version of a key, delete markers included; undefined when there is none. */
export function newestVersion(reader: RowReader, name: KeyName): Located | undefined {
  const row = reader.get(TABLES.object, objectKeyOf(name.bucket, name.key));
  if (row !== undefined) return currentOf(row);
  if (!hasVersions(reader.get(TABLES.usage, name.bucket))) return undefined;
  const first = reader.firstVersion(versionsStart(name), versionsEnd(name));
  return first === undefined ? undefined : { ...first, current: false };
}

/** The version in the null slot of a key; undefined when the slot is new or was emptied. */
export function nullVersion(reader: RowReader, name: KeyName): Located | undefined {
  const key = objectKeyOf(name.bucket, name.key);
  const row = reader.get(TABLES.object, key);
  if (row?.nullSlot === true) return currentOf(row);
  if (!hasVersions(reader.get(TABLES.usage, name.bucket))) return undefined;
  const place = reader.get(TABLES.nullVersion, key);
  if (place === undefined) return undefined;
  const older = reader.get(TABLES.version, versionKeyOf(name, place.stamp));
  return older === undefined ? undefined : { ...older, current: false };
}

/** A version by its id, unless it is the null version: that one has no id of its own. */
export function versionById(reader: RowReader, name: KeyName, id: WriteId): Located | undefined {
  const row = reader.get(TABLES.object, objectKeyOf(name.bucket, name.key));
  if (row !== undefined && sameWrite(row.stamp, id))
    return row.nullSlot ? undefined : currentOf(row);
  if (!hasVersions(reader.get(TABLES.usage, name.bucket))) return undefined;
  const older = reader.get(TABLES.version, versionKeyOf(name, id));
  return older === undefined || older.row.nullSlot ? undefined : { ...older, current: false };
}

/** The write that a version id names. */
export function writeIdOf(version: VersionId): WriteId {
  const hlc = parseHlc(BigInt(`0x${version.slice(0, 16)}`));
  const origin = parseOriginId(version.slice(16));
  assert(hlc !== undefined && origin !== undefined, "a version id is a reading and an origin");
  return { hlc, origin };
}

/** Whether two stamps are those of one write. */
export function sameWrite(left: WriteId, right: WriteId): boolean {
  return left.hlc === right.hlc && left.origin === right.origin;
}

/** Whether a write is the newest of its key when it comes to the versions that are there. */
export function isNewest(newest: Located | undefined, stamp: Stamp): boolean {
  return newest === undefined || laterStamp(stamp, newest.row.stamp);
}

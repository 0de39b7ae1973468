import { unreachable } from "../core/assert.ts";
import { ByteWriter } from "../core/bytes.ts";
import { NOTHING_SEEN } from "../core/causality.ts";
import { StorageFault } from "../core/faults.ts";
import { formatHlc, hlcMs } from "../core/hlc.ts";
import {
  makeVersionId,
  parseBucketName,
  parseObjectKey,
  parseVersionId,
  type VersionId,
} from "../core/names.ts";
import { encodeOperation } from "../core/operation-codec.ts";
import type { Operation, OperationBody, RowName, Vector } from "../core/records.ts";
import { compareUtf8 } from "../core/utf8-order.ts";
import type { Hash } from "../ports/hash.ts";
import type { LogicalRow } from "./logical-rows.ts";
import type { BucketRow } from "./metadata/bucket-rows.ts";
import type { HistoryRow } from "./metadata/history-rows.ts";
import { type KeyName, metaKeyOf, versionKeyOf, writeIdOf } from "./metadata/key-versions.ts";
import { aspectsOf, changesOf, type MetaRow } from "./metadata/meta-rows.ts";
import type { ObjectRow } from "./metadata/object-row.ts";
import type { AccessKeyRow } from "./metadata/rows.ts";
import type { SiteRow } from "./metadata/site-rows.ts";
import type { Stamp } from "./metadata/stamp.ts";
import type { TombstoneRow } from "./metadata/tombstone-row.ts";
import type { VersionRow } from "./metadata/version-rows.ts";
import { type VoidedRow, validDeletes } from "./metadata/voided-rows.ts";
import { toStoredObject } from "./store-parts.ts";
import type { StoredObject } from "./stored.ts";

/*
 * Positions: a letter, then what the row is about. All rows of a key stand together, newest
 * version first, so that any stretch of positions can be read without what lies before it.
 *
 * | letter | row                                        | rest                                   |
 * | ------ | ------------------------------------------ | -------------------------------------- |
 * | A      | access key                                 | id                                     |
 * | B      | what was said about a site                 | id, NUL, write                         |
 * | C      | creation, deletion or setting of a bucket  | bucket, NUL, which                     |
 * | D      | versions, deletes and changes of an object | bucket, NUL, key, NUL, version, letter |
 */
export const SECTIONS = { accessKeys: "A", sites: "B", buckets: "C", objects: "D" } as const;

const NO_CHAIN = new Uint8Array(32);

function rowOperation({ hlc, origin, seq }: Stamp, body: OperationBody): Operation {
  const vector = { full: false, entries: new Map() };
  const dot = { origin, seq };
  return { dot, hlc, chainBefore: NO_CHAIN, vector, group: undefined, body, unknownFields: [] };
}

/** The row of an access key. */
export function accessKeyRows({ operation }: AccessKeyRow, id: string): LogicalRow[] {
  const stamp = { hlc: operation.hlc, ...operation.dot };
  const { body, unknownFields } = operation;
  const bare = { ...rowOperation(stamp, body), unknownFields };
  return [{ position: SECTIONS.accessKeys + id, operation: bare, stored: undefined }];
}

/** The operations about a site that still count. */
export function siteRows({ entries }: SiteRow, id: string): LogicalRow[] {
  const rows = entries.map(({ operation }) => {
    const stamp = { hlc: operation.hlc, ...operation.dot };
    const { body, unknownFields } = operation;
    const position = `${SECTIONS.sites}${id}\0${formatHlc(stamp.hlc)}${stamp.origin}`;
    const bare = { ...rowOperation(stamp, body), unknownFields };
    return { position, operation: bare, stored: undefined };
  });
  return rows.sort((left, right) => (left.position < right.position ? -1 : 1));
}

/** The creations, deletions and settings of a bucket that count, or may count again. */
export function bucketRows(row: BucketRow): LogicalRow[] {
  const { name: bucket } = row;
  const start = `${SECTIONS.buckets}${bucket}\0`;
  const rows: LogicalRow[] = [];
  for (const { createdMs, owner, ...event } of row.creations) {
    const body = { kind: "bucket-create", bucket, createdMs, owner } as const;
    rows.push(eventRow(start, "created", event, body));
  }
  for (const event of row.deletions) {
    const body = { kind: "bucket-delete", bucket, deletedMs: hlcMs(event.hlc) } as const;
    rows.push(eventRow(start, "deleted", event, body));
  }
  for (const [name, setting] of row.said) {
    const body = { kind: "bucket-setting", bucket, name, value: setting.value } as const;
    const operation = rowOperation(setting.stamp, body);
    rows.push({ position: `${start}set:${name}`, operation, stored: undefined });
  }
  return rows.sort((left, right) => compareUtf8(left.position, right.position));
}

/**
 * A creation or deletion with what its origin had received, which tells what it removes or leaves.
 */
function eventRow(
  start: string,
  what: string,
  { hlc, origin, seq, vector: entries }: Stamp & { readonly vector: Vector },
  body: OperationBody,
): LogicalRow {
  const position = `${start}${what}:${formatHlc(hlc)}${origin}`;
  const full = entries.size > 0;
  const operation = { ...rowOperation({ hlc, origin, seq }, body), vector: { full, entries } };
  return { position, operation, stored: undefined };
}

/** A version of an object, whether it is current or not. */
export function versionRows(name: KeyName, { kind, row }: VersionRow): LogicalRow[] {
  const { stamp, nullSlot } = row;
  const position = `${SECTIONS.objects}${versionKeyOf(name, stamp)}v`;
  if (kind === "object") {
    const body = { kind: "object-put", ...name, nullSlot, object: row.object } as const;
    const stored = toStoredObject(name.bucket, name.key, row);
    return [{ position, operation: rowOperation(stamp, body), stored }];
  }
  const { deletedMs } = row;
  // The marker of an expired version stands where it was not made: of several one is to stay.
  const isExpiry = !nullSlot && hlcMs(stamp.hlc) !== deletedMs;
  const place = isExpiry ? { standsAt: stamp.hlc } : {};
  const slot = { nullSlot, nullMarker: nullSlot, deletedMs, ...place };
  const body = { kind: "object-delete", ...name, ...slot } as const;
  return [{ position, operation: rowOperation(stamp, body), stored: undefined }];
}

/** The current object of a key. */
export function objectRows(name: KeyName, row: ObjectRow): LogicalRow[] {
  return versionRows(name, { kind: "object", row });
}

/** What emptied the null slot of a key. */
export function tombstoneRows(name: KeyName, { stamp, deletedMs }: TombstoneRow): LogicalRow[] {
  const position = `${SECTIONS.objects}${versionKeyOf(name, stamp)}t`;
  const slot = { nullSlot: true, nullMarker: false, deletedMs };
  const body = { kind: "object-delete", ...name, ...slot } as const;
  return [{ position, operation: rowOperation(stamp, body), stored: undefined }];
}

/**
 * Deletes of a single version; those that are void say nothing.
 *
 * @param inverted what its key in the index says of the version.
 * @throws StorageFault "corrupt" when that is no version.
 */
export function voidedRows(name: KeyName, inverted: string, row: VoidedRow): LogicalRow[] {
  const version = versionOfInverted(inverted);
  const start = `${SECTIONS.objects}${versionKeyOf(name, writeIdOf(version))}x`;
  const rows = validDeletes(row).map(({ hlc, origin, seq, vector: entries }) => {
    const body = { kind: "version-delete", ...name, version } as const;
    const vector = { full: entries.size > 0, entries };
    const operation = { ...rowOperation({ hlc, origin, seq }, body), vector };
    return { position: `${start}${formatHlc(hlc)}${origin}`, operation, stored: undefined };
  });
  return rows.sort((left, right) => (left.position < right.position ? -1 : 1));
}

/** What is kept behind the deletes of a version, as the rows that it was: they stand in front. */
export function keptRows(name: KeyName, { kept }: VoidedRow): LogicalRow[] {
  const changes = kept?.meta === undefined ? [] : metaRows(name, false, kept.meta);
  return kept?.version === undefined ? changes : [...changes, ...versionRows(name, kept.version)];
}

/**
 * A conflict: a write that lost to one that did not know of it. A write that is only expected to
 * become one is no fact yet. Its position is behind the one it had in its slot, so that a walk in
 * steps does not miss it.
 */
export function historyRows(name: KeyName, history: HistoryRow): LogicalRow[] {
  if (history.kind !== "conflict") return [];
  const { row } = history;
  const position = `${SECTIONS.objects}${versionKeyOf(name, row.stamp)}w`;
  const { object } = row;
  const body = { kind: "object-put", ...name, nullSlot: true, object, conflict: true } as const;
  const stored = toStoredObject(name.bucket, name.key, row);
  return [{ position, operation: rowOperation(row.stamp, body), stored }];
}

/** The changes of a version that still count. */
export function metaRows(name: KeyName, nullSlot: boolean, row: MetaRow): LogicalRow[] {
  const rows = changesOf(row).flatMap((one) => changeRows(name, nullSlot, one));
  return rows.sort((left, right) => (left.position < right.position ? -1 : 1));
}

function changeRows(name: KeyName, nullSlot: boolean, row: MetaRow): LogicalRow[] {
  const { target } = row;
  const version = makeVersionId(target.hlc, target.origin);
  const start = `${SECTIONS.objects}${metaKeyOf(name, target, nullSlot)}m`;
  return aspectsOf(row).map(({ stamp, change, vector: entries = NOTHING_SEEN }) => {
    const body = { kind: "object-meta", ...name, version, nullSlot, change } as const;
    const position = `${start}${change.kind}:${formatHlc(stamp.hlc)}${stamp.origin}`;
    const vector = { full: entries.size > 0, entries };
    return { position, operation: { ...rowOperation(stamp, body), vector }, stored: undefined };
  });
}

/**
 * The position of a row that came from elsewhere, given its operation; undefined when such an
 * operation is no row. Rows of this store get their positions by the same rule.
 */
export function positionOfRow({ hlc, dot, body }: Operation): string | undefined {
  const write = `${formatHlc(hlc)}${dot.origin}`;
  const id = { hlc, origin: dot.origin };
  switch (body.kind) {
    case "access-key-put":
      return SECTIONS.accessKeys + body.accessKey.id;
    case "site-put":
      return `${SECTIONS.sites}${body.site.id}\0${write}`;
    case "bucket-create":
      return `${SECTIONS.buckets}${body.bucket}\0created:${write}`;
    case "bucket-delete":
      return `${SECTIONS.buckets}${body.bucket}\0deleted:${write}`;
    case "bucket-setting":
      return `${SECTIONS.buckets}${body.bucket}\0set:${body.name}`;
    case "object-put":
      return `${SECTIONS.objects}${versionKeyOf(body, id)}${body.conflict === true ? "w" : "v"}`;
    case "object-delete": {
      const marker = !body.nullSlot || body.nullMarker;
      return `${SECTIONS.objects}${versionKeyOf(body, id)}${marker ? "v" : "t"}`;
    }
    case "version-delete":
      return `${SECTIONS.objects}${versionKeyOf(body, writeIdOf(body.version))}x${write}`;
    case "object-meta": {
      const target = writeIdOf(body.version);
      const start = `${SECTIONS.objects}${metaKeyOf(body, target, body.nullSlot)}m`;
      return `${start}${body.change.kind}:${write}`;
    }
    case "conflict-resolve":
      return undefined;
  }
  return unreachable(body);
}

/** The positions a version may have: that of a version of its key, and that of a conflict. */
export function positionsOfVersion(object: StoredObject): readonly string[] {
  const start = `${SECTIONS.objects}${versionKeyOf(object, writeIdOf(object.version))}`;
  return [`${start}v`, `${start}w`];
}

/**
 * The name of a row that is to be removed; undefined for a row that is removed together with
 * another.
 */
export function rowNameOf({ hlc, dot, body }: Operation): RowName | undefined {
  const stamp = makeVersionId(hlc, dot.origin);
  if (body.kind === "object-put" || body.kind === "object-delete") {
    const { bucket, key } = body;
    return { what: whatOf(body), bucket, key, stamp };
  }
  if (body.kind !== "version-delete") return undefined;
  const { bucket, key, version } = body;
  return { what: "voided", bucket, key, stamp, target: version };
}

function whatOf(
  body: Extract<OperationBody, { kind: "object-put" | "object-delete" }>,
): RowName["what"] {
  if (!body.nullSlot) return "version";
  if (body.kind === "object-put") return body.conflict === true ? "conflict" : "null";
  return body.nullMarker ? "null" : "tombstone";
}

/** A bucket's name and a key, as they stand in front of an index key or position. */
export function readKeyName(bucketText: string, keyText: string): KeyName {
  const bucket = parseBucketName(bucketText);
  const key = parseObjectKey(keyText);
  if (bucket === undefined || key === undefined) {
    throw new StorageFault("corrupt", "a row of the index has no object key", {
      hint: "Stop the server and run `atoll rebuild-index`; no data is lost.",
    });
  }
  return { bucket, key };
}

/** The version that its inverted digits name. @throws StorageFault "corrupt" when they do not. */
export function versionOfInverted(inverted: string): VersionId {
  let digits = "";
  for (const digit of inverted) digits += (15 - Number.parseInt(digit, 16)).toString(16);
  const version = parseVersionId(digits);
  if (version === undefined) throw new StorageFault("corrupt", "a row of the index has no version");
  return version;
}

const scratch = new ByteWriter(4096);

/** The encoding of a row's operation; a copy. Equal bytes mean that two sites agree about it. */
export function encodeLogicalRow({ operation }: LogicalRow): Buffer {
  scratch.reset();
  encodeOperation(scratch, operation);
  return scratch.finish();
}

/** BLAKE3-256 of a row's encoding: what `repl-verify` compares. */
export function logicalRowHash(hash: Hash, row: LogicalRow): Buffer {
  scratch.reset();
  encodeOperation(scratch, row.operation);
  return hash.digest("BLAKE3", scratch.view());
}

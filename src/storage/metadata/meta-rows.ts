import { unreachable } from "../../core/assert.ts";
import { type ByteReader, type ByteWriter, LayoutError } from "../../core/bytes.ts";
import type { Hlc } from "../../core/hlc.ts";
import { laterStamp } from "../../core/lww.ts";
import type { OriginId } from "../../core/names.ts";
import { withAcl } from "../../core/object-acl.ts";
import { readRetention, writeRetention } from "../../core/object-lock-state.ts";
import type { ObjectAttributes, ObjectChange, ObjectRecord, Vector } from "../../core/records.ts";
import { joinLocks, type LockChange, lockAfter, lockChange } from "./lock-changes.ts";
import {
  readHlc,
  readOrigin,
  readStamp,
  readVector,
  type Stamp,
  writeStamp,
  writeVector,
} from "./stamp.ts";

/** The write that made the version which a change is about. */
export type Target = { readonly hlc: Hlc; readonly origin: OriginId };

/** A change that still counts, and the segment that holds it. */
export type Aspect<Change extends ObjectChange = ObjectChange> = {
  readonly stamp: Stamp;
  readonly home: number;
  readonly change: Change;
  /** What its origin had received of others, where that matters. */
  readonly vector?: Vector | undefined;
};
type Of<Kind extends ObjectChange["kind"]> = Aspect<Extract<ObjectChange, { kind: Kind }>>;

/** The last change of each kind of one version, which may not have arrived yet. */
export type MetaRow = {
  readonly target: Target;
  /** In the row of a null slot: changes of its earlier writes, the latest write first. */
  readonly others?: readonly MetaRow[] | undefined;
  readonly tags?: Of<"tags"> | undefined;
  readonly encryption?: Of<"encryption"> | undefined;
  readonly acl?: Of<"acl"> | undefined;
  /** Retentions and legal holds are kept with what was set concurrently elsewhere. */
  readonly locks?: readonly LockChange[] | undefined;
};

/** The changes of one version that a row keeps in the log. */
export function aspectsOf({ tags, encryption, acl, locks = [] }: MetaRow): Aspect[] {
  return [tags, encryption, acl, ...locks].filter((one) => one !== undefined);
}

/** A row before the first change. */
export function noChanges({ hlc, origin }: Target): MetaRow {
  return { target: { hlc, origin } };
}

/** One row for each write, of a row that holds the changes of several. */
export function changesOf({ others = [], ...latest }: MetaRow): readonly MetaRow[] {
  return [latest, ...others];
}

/** The row with one more change; the order in which changes come makes no difference. */
export function joinMeta(row: MetaRow, { stamp, home, change, vector }: Aspect): MetaRow {
  switch (change.kind) {
    case "tags":
      return { ...row, tags: later(row.tags, { stamp, home, change }) };
    case "encryption":
      return { ...row, encryption: later(row.encryption, { stamp, home, change }) };
    case "acl":
      return { ...row, acl: later(row.acl, { stamp, home, change }) };
    case "legal-hold":
    case "retention": {
      const next = lockChange({ stamp, home, vector }, change);
      return { ...row, locks: joinLocks(row.locks ?? [], next) };
    }
  }
  return unreachable(change);
}

function later<One extends Aspect>(before: One | undefined, next: One): One {
  return before !== undefined && !laterStamp(next.stamp, before.stamp) ? before : next;
}

/** The record of a version as its changes leave it. */
export function changedRecord(record: ObjectRecord, row: MetaRow): ObjectRecord {
  const { encryption } = row;
  return {
    ...record,
    attributes: changedAttributes(record.attributes, row),
    ...(encryption === undefined ? {} : { encryption: encryption.change.envelope }),
    lock: lockAfter(record.lock, row.locks ?? []),
  };
}

function changedAttributes(base: ObjectAttributes, { tags, acl }: MetaRow): ObjectAttributes {
  if (tags === undefined && acl === undefined) return base;
  return {
    ...base,
    ...(tags === undefined ? {} : { tags: tags.change.tags }),
    ...(acl === undefined ? {} : { system: withAcl(base.system, acl.change.acl) }),
  };
}

/*
 * A row: its target, then each change behind a number that says what it is of: 1 tags,
 * 2 retention, 4 legal hold, 5 encryption, 6 ACL, and 7 retention and 8 legal hold with a vector in
 * front of the change. 3 was the longest compliance where it was not the last retention: now it
 * stands among them. 9 is no change: behind it stands another target, which those that follow are
 * of.
 */
const NUMBERS = {
  tags: 1,
  retention: 2,
  "legal-hold": 4,
  encryption: 5,
  acl: 6,
} as const satisfies Record<ObjectChange["kind"], number>;
const WITH_VECTOR = { retention: 7, "legal-hold": 8 } as const;
const OTHER_TARGET = 9;

/** Writes a row: its target, its changes, and behind them the same for other writes. */
export function encodeMetaRow(writer: ByteWriter, row: MetaRow): void {
  for (const [index, one] of changesOf(row).entries()) {
    if (index > 0) writer.u8(OTHER_TARGET);
    writeChanges(writer, one);
  }
}

function writeChanges(writer: ByteWriter, row: MetaRow): void {
  writer.bigU64(row.target.hlc).hex(row.target.origin);
  for (const { stamp, home, change, vector } of aspectsOf(row)) {
    const isLock = change.kind === "retention" || change.kind === "legal-hold";
    const seen = isLock && vector !== undefined && vector.size > 0 ? vector : undefined;
    writer.u8(isLock && seen !== undefined ? WITH_VECTOR[change.kind] : NUMBERS[change.kind]);
    writeStamp(writer, stamp);
    writer.u32(home);
    if (seen !== undefined) writeVector(writer, seen);
    writeChange(writer, change);
  }
}

function writeChange(writer: ByteWriter, change: ObjectChange): void {
  switch (change.kind) {
    case "tags":
      writer.varint(change.tags.length);
      for (const [name, value] of change.tags) writer.text(name).text(value);
      return;
    case "retention":
      writeRetention(writer, change.retention);
      return;
    case "legal-hold":
      writer.u8(change.on ? 1 : 0);
      return;
    case "encryption":
      writer.sized(change.envelope);
      return;
    case "acl":
      writer.text(change.acl);
      return;
  }
  unreachable(change);
}

/** Reads a row that fills the rest; throws LayoutError when it is none. */
export function decodeMetaRow(reader: ByteReader): MetaRow {
  const latest = readChanges(reader);
  if (reader.remaining === 0) return latest;
  const others: MetaRow[] = [];
  while (reader.remaining > 0) others.push(readChanges(reader));
  return { ...latest, others };
}

/** Reads the changes of one target, up to the end or the number that stands before the next. */
function readChanges(reader: ByteReader): MetaRow {
  let row: MetaRow = { target: { hlc: readHlc(reader), origin: readOrigin(reader) } };
  while (reader.remaining > 0) {
    const number = reader.u8();
    if (number === OTHER_TARGET) return row;
    const at = { stamp: readStamp(reader), home: reader.u32() };
    const vector = number === 7 || number === 8 ? readVector(reader) : undefined;
    row = joinMeta(row, { ...at, vector, change: readChange(reader, number) });
  }
  return row;
}

function readChange(reader: ByteReader, number: number): ObjectChange {
  switch (number) {
    case 1:
      return { kind: "tags", tags: readTags(reader) };
    case 2:
    case 3:
    case 7:
      return { kind: "retention", retention: readRetention(reader) };
    case 4:
    case 8:
      return { kind: "legal-hold", on: reader.u8() === 1 };
    case 5:
      return { kind: "encryption", envelope: Buffer.from(reader.sized()) };
    case 6:
      return { kind: "acl", acl: reader.text() };
  }
  throw new LayoutError("unknown kind of change");
}

function readTags(reader: ByteReader): Array<[string, string]> {
  const tags: Array<[string, string]> = [];
  for (let count = reader.varint(); count > 0; count--) tags.push([reader.text(), reader.text()]);
  return tags;
}

import { unreachable } from "../../core/assert.ts";
import { type ByteReader, type ByteWriter, LayoutError } from "../../core/bytes.ts";
import { type Hlc, hlcMs } from "../../core/hlc.ts";
import { laterStamp } from "../../core/lww.ts";
import type { OriginId } from "../../core/names.ts";
import { withAcl } from "../../core/object-acl.ts";
import {
  type ObjectLock,
  type Retention,
  readRetention,
  writeRetention,
} from "../../core/object-lock-state.ts";
import type { ObjectAttributes, ObjectChange, ObjectRecord } from "../../core/records.ts";
import { readHlc, readOrigin, readStamp, type Stamp, writeStamp } from "./stamp.ts";

/** What a change of a version came to be after: the write of the version itself. */
export type Target = { readonly hlc: Hlc; readonly origin: OriginId };

/** A change that still counts, and the segment that holds it. */
export type Aspect<Change extends ObjectChange = ObjectChange> = {
  readonly stamp: Stamp;
  readonly home: number;
  readonly change: Change;
};
type Of<Kind extends ObjectChange["kind"]> = Aspect<Extract<ObjectChange, { kind: Kind }>>;

/**
 * Changes of one version, the last of each kind; their version may not have arrived yet.
 * `compliance` is the longest retention in compliance mode, where it is not the last one: a change
 * that did not know of it does not end it.
 */
export type MetaRow = {
  readonly target: Target;
  readonly tags?: Of<"tags"> | undefined;
  readonly retention?: Of<"retention"> | undefined;
  readonly compliance?: Of<"retention"> | undefined;
  readonly hold?: Of<"legal-hold"> | undefined;
  readonly encryption?: Of<"encryption"> | undefined;
  readonly acl?: Of<"acl"> | undefined;
};

const ROLES = ["tags", "retention", "compliance", "hold", "encryption", "acl"] as const;

/** The changes that a row keeps in the log. */
export function aspectsOf(row: MetaRow): Aspect[] {
  return ROLES.flatMap((role) => row[role] ?? []);
}

/** The row with one more change; the order in which changes come makes no difference. */
export function joinMeta(row: MetaRow, { stamp, home, change }: Aspect): MetaRow {
  switch (change.kind) {
    case "tags":
      return { ...row, tags: later(row.tags, { stamp, home, change }) };
    case "legal-hold":
      return { ...row, hold: later(row.hold, { stamp, home, change }) };
    case "encryption":
      return { ...row, encryption: later(row.encryption, { stamp, home, change }) };
    case "acl":
      return { ...row, acl: later(row.acl, { stamp, home, change }) };
    case "retention": {
      const aspect = { stamp, home, change };
      const known = [row.retention, row.compliance, aspect].filter((one) => one !== undefined);
      const retention = later(row.retention, aspect);
      return { ...row, retention, compliance: longest(known, retention) };
    }
  }
  return unreachable(change);
}

function later<One extends Aspect>(before: One | undefined, next: One): One {
  return before !== undefined && !laterStamp(next.stamp, before.stamp) ? before : next;
}

/** The longest compliance that the last change did not outlive; that change itself is no news. */
function longest(
  known: ReadonlyArray<Of<"retention">>,
  last: Of<"retention">,
): Of<"retention"> | undefined {
  let found: Of<"retention"> | undefined;
  for (const one of known) {
    if (one.change.retention?.mode !== "COMPLIANCE") continue;
    if (found === undefined || isLonger(one, found)) found = one;
  }
  const until = found?.change.retention?.untilMs ?? 0;
  const same = found?.stamp.hlc === last.stamp.hlc && found.stamp.origin === last.stamp.origin;
  return same || hlcMs(last.stamp.hlc) >= until ? undefined : found;
}

function isLonger(left: Of<"retention">, right: Of<"retention">): boolean {
  const [one, other] = [left.change.retention?.untilMs ?? 0, right.change.retention?.untilMs ?? 0];
  return one === other ? laterStamp(left.stamp, right.stamp) : one > other;
}

/** The record of a version as its changes leave it. */
export function changedRecord(record: ObjectRecord, row: MetaRow): ObjectRecord {
  const { encryption } = row;
  return {
    ...record,
    attributes: changedAttributes(record.attributes, row),
    ...(encryption === undefined ? {} : { encryption: encryption.change.envelope }),
    lock: changedLock(record.lock, row),
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

/** Compliance that has not ended is never ended by a change that came before its end. */
function changedLock(base: ObjectLock | undefined, row: MetaRow): ObjectLock | undefined {
  const { retention, compliance, hold } = row;
  if (retention === undefined && hold === undefined) return base;
  const legalHold = hold?.change.on ?? base?.legalHold ?? false;
  if (retention === undefined) return { retention: base?.retention, legalHold };
  const madeMs = hlcMs(retention.stamp.hlc);
  let stays: Retention | undefined = retention.change.retention;
  for (const strict of [base?.retention, compliance?.change.retention]) {
    if (strict?.mode !== "COMPLIANCE" || madeMs >= strict.untilMs) continue;
    if (stays?.mode !== "COMPLIANCE" || strict.untilMs > stays.untilMs) stays = strict;
  }
  return { retention: stays, legalHold };
}

/** Writes a row: its target, then each change behind the number of its role, from 1. */
export function encodeMetaRow(writer: ByteWriter, row: MetaRow): void {
  writer.bigU64(row.target.hlc).hex(row.target.origin);
  for (const [index, role] of ROLES.entries()) {
    const aspect = row[role];
    if (aspect === undefined) continue;
    writer.u8(index + 1);
    writeStamp(writer, aspect.stamp);
    writer.u32(aspect.home);
    writeChange(writer, aspect.change);
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
  let row: MetaRow = { target: { hlc: readHlc(reader), origin: readOrigin(reader) } };
  while (reader.remaining > 0) {
    const role = ROLES[reader.u8() - 1];
    const at = { stamp: readStamp(reader), home: reader.u32() };
    switch (role) {
      case "tags":
        row = { ...row, tags: { ...at, change: { kind: "tags", tags: readTags(reader) } } };
        break;
      case "retention":
      case "compliance": {
        const change = { kind: "retention", retention: readRetention(reader) } as const;
        row = { ...row, [role]: { ...at, change } };
        break;
      }
      case "hold":
        row = { ...row, hold: { ...at, change: { kind: "legal-hold", on: reader.u8() === 1 } } };
        break;
      case "encryption": {
        const envelope = Buffer.from(reader.sized());
        row = { ...row, encryption: { ...at, change: { kind: "encryption", envelope } } };
        break;
      }
      case "acl":
        row = { ...row, acl: { ...at, change: { kind: "acl", acl: reader.text() } } };
        break;
      case undefined:
        throw new LayoutError("unknown kind of change");
    }
  }
  return row;
}

function readTags(reader: ByteReader): Array<[string, string]> {
  const tags: Array<[string, string]> = [];
  for (let count = reader.varint(); count > 0; count--) tags.push([reader.text(), reader.text()]);
  return tags;
}

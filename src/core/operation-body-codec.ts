import { unreachable } from "./assert.ts";
import { type Pairs, readPairs, writePairsField } from "./attribute-codec.ts";
import { ByteWriter, LayoutError } from "./bytes.ts";
import { readWriteStamp, writeWriteStamp } from "./conflict-record.ts";
import { type Hlc, parseHlc } from "./hlc.ts";
import {
  type AccessKeyId,
  type BucketName,
  type ObjectKey,
  parseAccessKeyId,
  parseBucketName,
  parseObjectKey,
  parseVersionId,
  type VersionId,
} from "./names.ts";
import { decodeObject, encodeObject } from "./object-codec.ts";
import { type Retention, readRetention, writeRetention } from "./object-lock-state.ts";
import { TAG } from "./operation-tags.ts";
import type {
  AccessKeyRecord,
  AccessKeyState,
  ObjectChange,
  ObjectRecord,
  OperationBody,
  OperationKind,
  WriteStamp,
} from "./records.ts";
import { decodeSite, encodeSite } from "./site-codec.ts";
import type { SiteRecord } from "./site-record.ts";
import { type FieldReader, required, writeVarintField } from "./tagged-fields.ts";

const VERSION_BYTES = 16;

const STATE_NUMBERS = { active: 1, disabled: 2, revoked: 3 } as const satisfies Record<
  AccessKeyState,
  number
>;
const STATES: ReadonlyArray<AccessKeyState | undefined> = [
  undefined,
  "active",
  "disabled",
  "revoked",
];

const CHANGE_NUMBERS = {
  tags: 1,
  retention: 2,
  "legal-hold": 3,
  encryption: 4,
  acl: 5,
} as const satisfies Record<ObjectChange["kind"], number>;
const CHANGES: ReadonlyArray<ObjectChange["kind"] | undefined> = [
  undefined,
  "tags",
  "retention",
  "legal-hold",
  "encryption",
  "acl",
];

const objectScratch = new ByteWriter(1024);

/** Writes the fields of an operation's body, in ascending order of tags. */
export function writeBodyFields(writer: ByteWriter, body: OperationBody): void {
  if ("bucket" in body) writer.u8(TAG.bucket).text(body.bucket);
  switch (body.kind) {
    case "object-put":
      writer.u8(TAG.key).text(body.key);
      if (body.nullSlot) writer.u8(TAG.nullSlot).u8(0);
      objectScratch.reset();
      encodeObject(objectScratch, body.object);
      writer.u8(TAG.object).sized(objectScratch.view());
      if (body.prior !== undefined) writeWrite(writer, body.prior);
      if (body.conflict === true) writer.u8(TAG.conflict).u8(0);
      return;
    case "object-delete":
      writer.u8(TAG.key).text(body.key);
      if (body.nullSlot) writer.u8(TAG.nullSlot).u8(0);
      writeVarintField(writer, TAG.time, body.deletedMs);
      if (body.nullMarker) writer.u8(TAG.nullMarker).u8(0);
      if (body.prior !== undefined) writeWrite(writer, body.prior);
      if (body.standsAt !== undefined) writer.u8(TAG.standsAt).u8(8).bigU64(body.standsAt);
      return;
    case "bucket-create":
      writeVarintField(writer, TAG.time, body.createdMs);
      writer.u8(TAG.owner).text(body.owner);
      return;
    case "bucket-delete":
      writeVarintField(writer, TAG.time, body.deletedMs);
      return;
    case "bucket-setting":
      writer.u8(TAG.settingName).text(body.name);
      if (body.value !== undefined) writer.u8(TAG.settingValue).sized(body.value);
      return;
    case "access-key-put":
      writeAccessKey(writer, body.accessKey);
      return;
    case "version-delete":
      writer.u8(TAG.key).text(body.key).u8(TAG.version).u8(VERSION_BYTES).hex(body.version);
      return;
    case "object-meta":
      writer.u8(TAG.key).text(body.key);
      if (body.nullSlot) writer.u8(TAG.nullSlot).u8(0);
      writer.u8(TAG.version).u8(VERSION_BYTES).hex(body.version);
      writeChange(writer, body.change);
      return;
    case "site-put":
      objectScratch.reset();
      encodeSite(objectScratch, body.site);
      writer.u8(TAG.site).sized(objectScratch.view());
      return;
    case "conflict-resolve":
      writer.u8(TAG.key).text(body.key);
      writeWrite(writer, body.write);
      return;
  }
  unreachable(body);
}

function writeWrite(writer: ByteWriter, write: WriteStamp): void {
  objectScratch.reset();
  writeWriteStamp(objectScratch, write);
  writer.u8(TAG.write).sized(objectScratch.view());
}

function writeChange(writer: ByteWriter, change: ObjectChange): void {
  writer.u8(TAG.change).u8(1).u8(CHANGE_NUMBERS[change.kind]);
  switch (change.kind) {
    case "tags":
      writePairsField(writer, TAG.tags, change.tags);
      return;
    case "retention":
      objectScratch.reset();
      writeRetention(objectScratch, change.retention);
      writer.u8(TAG.retention).sized(objectScratch.view());
      return;
    case "legal-hold":
      if (change.on) writer.u8(TAG.holdOn).u8(0);
      return;
    case "encryption":
      writer.u8(TAG.envelope).sized(change.envelope);
      return;
    case "acl":
      writer.u8(TAG.acl).text(change.acl);
      return;
  }
  unreachable(change);
}

function writeAccessKey(writer: ByteWriter, accessKey: AccessKeyRecord): void {
  writeVarintField(writer, TAG.time, accessKey.createdMs);
  writer.u8(TAG.accessKeyId).text(accessKey.id);
  writer.u8(TAG.state).u8(1).u8(STATE_NUMBERS[accessKey.state]);
  writer.u8(TAG.name).text(accessKey.name);
  writer.u8(TAG.sealedSecret).sized(accessKey.sealedSecret);
  writePairsField(writer, TAG.policies, accessKey.policies);
}

/** Fields as they are met; what is missing is noticed when the body is built. */
export class BodyFields {
  bucket: BucketName | undefined;
  key: ObjectKey | undefined;
  nullSlot = false;
  object: ObjectRecord | undefined;
  timeMs: number | undefined;
  owner: string | undefined;
  settingName: string | undefined;
  settingValue: Uint8Array | undefined;
  accessKeyId: AccessKeyId | undefined;
  state: AccessKeyState | undefined;
  name: string | undefined;
  sealedSecret: Uint8Array | undefined;
  policies: Pairs = [];
  version: VersionId | undefined;
  change: ObjectChange["kind"] | undefined;
  tags: Pairs = [];
  retention: Retention | undefined;
  holdOn = false;
  envelope: Uint8Array | undefined;
  nullMarker = false;
  acl: string | undefined;
  site: SiteRecord | undefined;
  write: WriteStamp | undefined;
  conflict = false;
  standsAt: Hlc | undefined;
}

/** Reads one field of a body. */
export function readBodyField(fields: FieldReader, tag: number, found: BodyFields): void {
  switch (tag) {
    case TAG.bucket:
      found.bucket = parseBucketName(fields.text());
      return;
    case TAG.key:
      found.key = parseObjectKey(fields.text());
      return;
    case TAG.nullSlot:
      found.nullSlot = true;
      return;
    case TAG.object:
      found.object = decodeObject(fields.view());
      return;
    case TAG.time:
      found.timeMs = fields.reader.varint();
      return;
    case TAG.owner:
      found.owner = fields.text();
      return;
    case TAG.settingName:
      found.settingName = fields.text();
      return;
    case TAG.settingValue:
      found.settingValue = fields.copy();
      return;
    default:
      if (tag <= TAG.policies) readAccessKeyField(fields, tag, found);
      else readVersionField(fields, tag, found);
  }
}

function readVersionField(fields: FieldReader, tag: number, found: BodyFields): void {
  switch (tag) {
    case TAG.version:
      found.version = parseVersionId(fields.reader.hex(VERSION_BYTES));
      return;
    case TAG.change:
      found.change = CHANGES[fields.reader.u8()];
      return;
    case TAG.tags:
      found.tags = readPairs(fields);
      return;
    case TAG.retention:
      found.retention = readRetention(fields.reader);
      return;
    case TAG.holdOn:
      found.holdOn = true;
      return;
    case TAG.envelope:
      found.envelope = fields.copy();
      return;
    case TAG.nullMarker:
      found.nullMarker = true;
      return;
    case TAG.acl:
      found.acl = fields.text();
      return;
    case TAG.site:
      found.site = decodeSite(fields.view());
      return;
    case TAG.write:
      found.write = readWriteStamp(fields.reader);
      return;
    case TAG.conflict:
      found.conflict = true;
      return;
    case TAG.standsAt:
      found.standsAt = parseHlc(fields.reader.bigU64());
      return;
    default:
      throw new LayoutError(`field ${tag} has no reader`);
  }
}

function readAccessKeyField(fields: FieldReader, tag: number, found: BodyFields): void {
  switch (tag) {
    case TAG.accessKeyId:
      found.accessKeyId = parseAccessKeyId(fields.text());
      return;
    case TAG.state:
      found.state = STATES[fields.reader.u8()];
      return;
    case TAG.name:
      found.name = fields.text();
      return;
    case TAG.sealedSecret:
      found.sealedSecret = fields.copy();
      return;
    case TAG.policies:
      found.policies = readPairs(fields);
      return;
    default:
      throw new LayoutError(`field ${tag} has no reader`);
  }
}

/** Puts a body together. Throws LayoutError when a field is missing or not valid. */
export function buildBody(kind: OperationKind, found: BodyFields): OperationBody {
  if (kind === "access-key-put") return { kind, accessKey: buildAccessKey(found) };
  if (kind === "site-put") return { kind, site: required(found.site, "site") };
  const bucket = required(found.bucket, "bucket");
  switch (kind) {
    case "object-put": {
      const key = required(found.key, "key");
      const object = required(found.object, "object");
      const { nullSlot, write, conflict } = found;
      const lost = conflict ? { conflict } : undefined;
      return { kind, bucket, key, nullSlot, object, ...priorOf(write), ...lost };
    }
    case "object-delete": {
      const key = required(found.key, "key");
      const deletedMs = required(found.timeMs, "time");
      const { nullSlot, nullMarker, write, standsAt } = found;
      if (nullMarker && !nullSlot) throw new LayoutError("a marker without its null slot");
      if (nullMarker && standsAt !== undefined) throw new LayoutError("a marker elsewhere");
      const place = standsAt === undefined ? undefined : { standsAt };
      return { kind, bucket, key, nullSlot, nullMarker, deletedMs, ...priorOf(write), ...place };
    }
    case "version-delete":
      return { kind, bucket, ...buildVersionName(found) };
    case "object-meta": {
      const { nullSlot } = found;
      return { kind, bucket, ...buildVersionName(found), nullSlot, change: buildChange(found) };
    }
    case "bucket-create": {
      const createdMs = required(found.timeMs, "time");
      return { kind, bucket, createdMs, owner: required(found.owner, "owner") };
    }
    case "bucket-delete":
      return { kind, bucket, deletedMs: required(found.timeMs, "time") };
    case "bucket-setting": {
      const name = required(found.settingName, "name");
      return { kind, bucket, name, value: found.settingValue };
    }
    case "conflict-resolve":
      return {
        ...{ kind, bucket, key: required(found.key, "key") },
        write: required(found.write, "write"),
      };
  }
  return unreachable(kind);
}

function priorOf(prior: WriteStamp | undefined): { readonly prior: WriteStamp } | undefined {
  return prior === undefined ? undefined : { prior };
}

function buildVersionName(found: BodyFields): { key: ObjectKey; version: VersionId } {
  return { key: required(found.key, "key"), version: required(found.version, "version") };
}

function buildChange(found: BodyFields): ObjectChange {
  const kind = required(found.change, "change");
  switch (kind) {
    case "tags":
      return { kind, tags: found.tags };
    case "retention":
      return { kind, retention: found.retention };
    case "legal-hold":
      return { kind, on: found.holdOn };
    case "encryption":
      return { kind, envelope: required(found.envelope, "envelope") };
    case "acl":
      return { kind, acl: required(found.acl, "ACL") };
  }
  return unreachable(kind);
}

function buildAccessKey(found: BodyFields): AccessKeyRecord {
  return {
    id: required(found.accessKeyId, "access key id"),
    state: required(found.state, "state"),
    name: required(found.name, "name"),
    sealedSecret: required(found.sealedSecret, "secret"),
    policies: found.policies,
    createdMs: required(found.timeMs, "time"),
  };
}

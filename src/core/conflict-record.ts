import { type ByteReader, ByteWriter } from "./bytes.ts";
import { parseHlc } from "./hlc.ts";
import {
  type BucketName,
  type ObjectKey,
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
  parseVersionId,
  type VersionId,
} from "./names.ts";
import type { ConflictsRecord, DeletesRecord, WriteStamp } from "./records.ts";
import { FieldReader, readList, required } from "./tagged-fields.ts";

/*
 * Fields of local records about conflicts and deleted versions.
 *
 * | tag | in kind | value                                                                |
 * | --- | ------- | -------------------------------------------------------------------- |
 * | 1   | 20, 21  | bucket: text                                                         |
 * | 3   | 20, 21  | key: text                                                            |
 * | 5   | 20      | verdicts: each what (u8: 1 expected to be a conflict, 2 settled      |
 * |     |         | before it came, 3 ended), HLC (8), origin (8), sequence (varint)     |
 * | 7   | 21      | version: HLC and origin (16)                                         |
 * | 9   | 21      | what (u8): 1 kept, 2 kept no more, 3 void                            |
 * | 11  | 21      | deletes that are void: each as in field 5, without what              |
 */
const TAG = { bucket: 1, key: 3, verdicts: 5, version: 7, what: 9, deletes: 11 } as const;

const VERSION_BYTES = 16;

type Verdict = ConflictsRecord["verdicts"][number];
const NUMBERS = { expected: 1, settled: 2, ended: 3 } as const satisfies Record<
  Verdict["verdict"],
  number
>;
const VERDICTS: ReadonlyArray<Verdict["verdict"] | undefined> = [
  undefined,
  "expected",
  "settled",
  "ended",
];

const WHAT_NUMBERS = { kept: 1, ended: 2, void: 3 } as const satisfies Record<
  DeletesRecord["what"],
  number
>;
const WHATS: ReadonlyArray<DeletesRecord["what"] | undefined> = [
  undefined,
  "kept",
  "ended",
  "void",
];

const scratch = new ByteWriter();

/** Writes the fields of a record, behind its kind. */
export function writeConflictsRecord(
  writer: ByteWriter,
  record: ConflictsRecord | DeletesRecord,
): void {
  writer.u8(TAG.bucket).text(record.bucket).u8(TAG.key).text(record.key);
  if (record.kind === "deletes-judged") {
    writer.u8(TAG.version).u8(VERSION_BYTES).hex(record.version);
    writer.u8(TAG.what).u8(1).u8(WHAT_NUMBERS[record.what]);
    if (record.deletes.length === 0) return;
    scratch.reset();
    for (const one of record.deletes) writeWriteStamp(scratch, one);
    writer.u8(TAG.deletes).sized(scratch.view());
    return;
  }
  if (record.verdicts.length === 0) return;
  scratch.reset();
  for (const { verdict, write } of record.verdicts) {
    writeWriteStamp(scratch.u8(NUMBERS[verdict]), write);
  }
  writer.u8(TAG.verdicts).sized(scratch.view());
}

/** Writes which write: HLC, origin, and sequence as a varint. */
export function writeWriteStamp(writer: ByteWriter, { hlc, origin, seq }: WriteStamp): void {
  writer.bigU64(hlc).hex(origin).varint(seq);
}

/** Reads what `writeWriteStamp` wrote; throws LayoutError when it is something else. */
export function readWriteStamp(reader: ByteReader): WriteStamp {
  const hlc = required(parseHlc(reader.bigU64()), "HLC");
  const origin = required(parseOriginId(reader.hex(8)), "origin");
  return { hlc, origin, seq: required(parseSeq(reader.varint()), "sequence") };
}

/**
 * Reads the fields of a record, up to the end of its bytes. Throws LayoutError when they do not
 * fit, and StorageFault ("unsupported") for an unknown critical field.
 */
export function readConflictsRecord(
  kind: "conflicts-judged" | "deletes-judged",
  reader: ByteReader,
  end: number,
): ConflictsRecord | DeletesRecord {
  const fields = new FieldReader(reader, end);
  let bucket: BucketName | undefined;
  let key: ObjectKey | undefined;
  let verdicts: Verdict[] = [];
  let version: VersionId | undefined;
  let what: DeletesRecord["what"] | undefined;
  let deletes: readonly WriteStamp[] = [];
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    if (tag === TAG.bucket) bucket = parseBucketName(fields.text());
    else if (tag === TAG.key) key = parseObjectKey(fields.text());
    else if (tag === TAG.verdicts) verdicts = readVerdicts(fields);
    else if (tag === TAG.version) version = parseVersionId(reader.hex(VERSION_BYTES));
    else if (tag === TAG.what) what = WHATS[reader.u8()];
    else if (tag === TAG.deletes) deletes = readList(fields, () => readWriteStamp(reader));
    else fields.passUnknown(tag);
  }
  const name = { bucket: required(bucket, "bucket"), key: required(key, "key") };
  if (kind === "conflicts-judged") return { kind, ...name, verdicts };
  return {
    kind,
    ...name,
    version: required(version, "version"),
    what: required(what, "what"),
    deletes,
  };
}

function readVerdicts(fields: FieldReader): Verdict[] {
  return readList(fields, () => {
    const verdict = required(VERDICTS[fields.reader.u8()], "verdict");
    return { verdict, write: readWriteStamp(fields.reader) };
  });
}

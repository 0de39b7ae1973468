import { type ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import { parseHlc } from "./hlc.ts";
import {
  type BucketName,
  type ObjectKey,
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
} from "./names.ts";
import type { ConflictsRecord, WriteStamp } from "./records.ts";
import { FieldReader, required } from "./tagged-fields.ts";

/*
 * Fields of the local record about conflicts.
 *
 * | tag | in kind | value                                                                |
 * | --- | ------- | -------------------------------------------------------------------- |
 * | 1   | 20      | bucket: text                                                         |
 * | 3   | 20      | key: text                                                            |
 * | 5   | 20      | verdicts: each what (u8: 1 expected to be a conflict, 2 settled      |
 * |     |         | before it came, 3 ended), HLC (8), origin (8), sequence (varint)     |
 */
const TAG = { bucket: 1, key: 3, verdicts: 5 } as const;

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

const scratch = new ByteWriter();

/** Writes the fields of the record, behind its kind. */
export function writeConflictsRecord(writer: ByteWriter, record: ConflictsRecord): void {
  writer.u8(TAG.bucket).text(record.bucket).u8(TAG.key).text(record.key);
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
 * Reads the fields of the record, up to the end of its bytes. Throws LayoutError when they do not
 * fit, and StorageFault ("unsupported") for an unknown critical field.
 */
export function readConflictsRecord(reader: ByteReader, end: number): ConflictsRecord {
  const fields = new FieldReader(reader, end);
  let bucket: BucketName | undefined;
  let key: ObjectKey | undefined;
  let verdicts: Verdict[] = [];
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    if (tag === TAG.bucket) bucket = parseBucketName(fields.text());
    else if (tag === TAG.key) key = parseObjectKey(fields.text());
    else if (tag === TAG.verdicts) verdicts = readVerdicts(fields);
    else fields.passUnknown(tag);
  }
  const name = { bucket: required(bucket, "bucket"), key: required(key, "key") };
  return { kind: "conflicts-judged", ...name, verdicts };
}

function readVerdicts(fields: FieldReader): Verdict[] {
  if (!fields.more()) throw new LayoutError("an empty list is left out");
  const verdicts: Verdict[] = [];
  while (fields.more()) {
    const verdict = required(VERDICTS[fields.reader.u8()], "verdict");
    verdicts.push({ verdict, write: readWriteStamp(fields.reader) });
  }
  return verdicts;
}

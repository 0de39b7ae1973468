import { type ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import type { ChecksumAlgorithm, StoredChecksum } from "./records.ts";
import { type FieldReader, readText, varintBytes } from "./tagged-fields.ts";

/*
 * ETag:
 *
 * | part  | bytes  | meaning                                                       |
 * | ----- | ------ | ------------------------------------------------------------- |
 * | form  | u8     | 0: 32 hex digits; 1: 32 hex digits, "-", part count; 2: text  |
 * | value | 16     | forms 0 and 1: the digest                                     |
 * | count | varint | form 1 only                                                   |
 * | text  | rest   | form 2 only: UTF-8 that fits neither of the other forms       |
 *
 * Checksum:
 *
 * | part  | bytes  | meaning                                                       |
 * | ----- | ------ | ------------------------------------------------------------- |
 * | form  | u8     | bits 0-3: algorithm (1 CRC32, 2 CRC32C, 3 CRC64NVME, 4 SHA1,  |
 * |       |        | 5 SHA256); bit 4: composite; bit 5: count; bit 6: text        |
 * | value | 4 - 32 | the digest, as long as the algorithm says                     |
 * | count | varint | with bit 5: N of a value that ends in "-N"                    |
 * | text  | sized  | with bit 6, instead of value and count: what is not base64    |
 */

const ETAG_PLAIN = 0;
const ETAG_MULTIPART = 1;
const ETAG_TEXT = 2;
const ETAG_OF_MD5 = /^[0-9a-f]{32}$/;
const ETAG_FORMS = /^[0-9a-f]{32}(?:-([1-9][0-9]{0,14}))?$/;

export const ALGORITHM_NUMBERS = {
  CRC32: 1,
  CRC32C: 2,
  CRC64NVME: 3,
  SHA1: 4,
  SHA256: 5,
} as const satisfies Record<ChecksumAlgorithm, number>;

export const ALGORITHMS: ReadonlyArray<ChecksumAlgorithm | undefined> = [
  undefined,
  "CRC32",
  "CRC32C",
  "CRC64NVME",
  "SHA1",
  "SHA256",
];

/** Length of each digest in bytes. */
export const DIGEST_BYTES = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
} as const satisfies Record<ChecksumAlgorithm, number>;

export const COMPOSITE = 0x10;
const COUNTED = 0x20;
const TEXT = 0x40;
const COUNT = /^[1-9][0-9]{0,14}$/;
const field = new ByteWriter();
const scratch = Buffer.allocUnsafeSlow(64);

/** Whether an ETag is sixteen bytes as hexadecimal digits, and nothing else. */
export function isPlainEtag(etag: string): boolean {
  return etag.length === 32 && ETAG_OF_MD5.test(etag);
}

/** Writes a field that holds an ETag. */
export function writeEtagField(writer: ByteWriter, tag: number, etag: string): void {
  const match = etag.length >= 32 ? ETAG_FORMS.exec(etag) : null;
  writer.varint(tag);
  if (match === null) {
    writer
      .varint(1 + Buffer.byteLength(etag))
      .u8(ETAG_TEXT)
      .bytes(Buffer.from(etag));
  } else if (match[1] === undefined) {
    writer.u8(17).u8(ETAG_PLAIN).hex(etag);
  } else {
    const count = Number(match[1]);
    writer
      .u8(17 + varintBytes(count))
      .u8(ETAG_MULTIPART)
      .hex(etag.slice(0, 32))
      .varint(count);
  }
}

/** Reads the ETag that fills the field. */
export function readEtag(fields: FieldReader): string {
  const { reader } = fields;
  const form = reader.u8();
  if (form === ETAG_PLAIN) return reader.hex(16);
  if (form === ETAG_MULTIPART) {
    const digest = reader.hex(16);
    return `${digest}-${readCount(reader)}`;
  }
  if (form !== ETAG_TEXT) throw new LayoutError("unknown form of ETag");
  const etag = fields.text();
  if (ETAG_FORMS.test(etag)) throw new LayoutError("ETag is not in its shortest form");
  return etag;
}

/** Writes a field of checksums; an empty list is left out. */
export function writeChecksumsField(
  writer: ByteWriter,
  tag: number,
  checksums: readonly StoredChecksum[],
): void {
  if (checksums.length === 0) return;
  field.reset();
  writeChecksums(field, checksums);
  writer.varint(tag).sized(field.view());
}

/** Reads the checksums that fill the field. */
export function readChecksums(fields: FieldReader): StoredChecksum[] {
  if (!fields.more()) throw new LayoutError("an empty list is left out");
  const checksums: StoredChecksum[] = [];
  while (fields.more()) checksums.push(readChecksum(fields.reader));
  return checksums;
}

/** Writes checksums one behind the other. */
export function writeChecksums(writer: ByteWriter, checksums: readonly StoredChecksum[]): void {
  for (const checksum of checksums) writeChecksum(writer, checksum);
}

/**
 * The eight bytes of the checksum that S3 gives by default, when an object has that one alone;
 * they are valid until the next call of this module.
 */
export function onlyCrc64(checksums: readonly StoredChecksum[]): Uint8Array | undefined {
  const [only] = checksums;
  if (only === undefined || checksums.length > 1) return undefined;
  if (only.algorithm !== "CRC64NVME" || only.type !== "FULL_OBJECT") return undefined;
  const size = DIGEST_BYTES.CRC64NVME;
  const isPlain = isBase64(only.value, size, Math.ceil(size / 3) * 4);
  return isPlain ? scratch.subarray(0, size) : undefined;
}

/** Reads a checksum whose bytes `onlyCrc64` gave. */
export function readOnlyCrc64(reader: ByteReader): readonly StoredChecksum[] {
  const value = reader.bytes(DIGEST_BYTES.CRC64NVME).toString("base64");
  return [{ algorithm: "CRC64NVME", type: "FULL_OBJECT", value }];
}

function writeChecksum(writer: ByteWriter, checksum: StoredChecksum): void {
  const { algorithm, value } = checksum;
  const form = ALGORITHM_NUMBERS[algorithm] | (checksum.type === "COMPOSITE" ? COMPOSITE : 0);
  const size = DIGEST_BYTES[algorithm];
  const digits = Math.ceil(size / 3) * 4;
  const count = value.length > digits + 1 ? value.slice(digits + 1) : "";
  const counted = value[digits] === "-" && COUNT.test(count);
  const digest = counted ? value.slice(0, digits) : value;
  if (!isBase64(digest, size, digits)) {
    writer.u8(form | TEXT).text(value);
    return;
  }
  writer.u8(counted ? form | COUNTED : form).bytes(scratch.subarray(0, size));
  if (counted) writer.varint(Number(count));
}

/** Whether the text is the one base64 form of `size` bytes; leaves them in the scratch memory. */
function isBase64(text: string, size: number, digits: number): boolean {
  if (text.length !== digits || scratch.write(text, 0, "base64") !== size) return false;
  return scratch.toString("base64", 0, size) === text;
}

/** Reads one checksum. */
export function readChecksum(reader: ByteReader): StoredChecksum {
  const form = reader.u8();
  const algorithm = ALGORITHMS[form & 0x0f];
  if (algorithm === undefined || form >= 0x80) throw new LayoutError("unknown form of checksum");
  const type = (form & COMPOSITE) === 0 ? "FULL_OBJECT" : "COMPOSITE";
  if ((form & TEXT) !== 0) return { algorithm, type, value: readTextValue(reader, form) };
  const at = reader.bytes(DIGEST_BYTES[algorithm]);
  const digest = at.toString("base64");
  const value = (form & COUNTED) === 0 ? digest : `${digest}-${readCount(reader)}`;
  return { algorithm, type, value };
}

function readTextValue(reader: ByteReader, form: number): string {
  const value = readText(reader);
  const size = DIGEST_BYTES[ALGORITHMS[form & 0x0f] ?? "CRC32"];
  const digits = Math.ceil(size / 3) * 4;
  const counted = value[digits] === "-" && COUNT.test(value.slice(digits + 1));
  if ((form & COUNTED) !== 0 || isBase64(counted ? value.slice(0, digits) : value, size, digits)) {
    throw new LayoutError("checksum is not in its shortest form");
  }
  return value;
}

/** A part count as the writer's pattern allows it: 1 to 15 digits, not zero. */
function readCount(reader: ByteReader): number {
  const count = reader.varint();
  if (count < 1 || count > 999_999_999_999_999) throw new LayoutError("count out of range");
  return count;
}
